"""A stand-in for the `airflow` program: migrates, serves, or idles, as the command line says.

``FAKE_AIRFLOW`` (JSON) bends it: ``dies`` names the command that fails, ``is_unhealthy`` and
``import_errors`` are what its API tells, and with ``world`` (its kind) its Dags do
their work, at once. Most of its processes only idle, so nothing heavy is imported up here.
"""

import json
import os
import signal
import sys
from pathlib import Path


def main() -> int:
    """Run one command."""
    behaviour = json.loads(os.environ.get("FAKE_AIRFLOW", "{}"))
    command = sys.argv[1]
    if command == behaviour.get("dies"):
        print(f"the {command} has no luck today", flush=True)  # noqa: T201
        return 3
    if command == "db":
        Path(os.environ["AIRFLOW_HOME"], "airflow.db").touch()
    elif command == "echo":
        print(os.environ["AIRFLOW_HOME"])  # noqa: T201
        return 7
    elif command == "api-server":
        serve(behaviour)
    else:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        while True:
            signal.pause()
    return 0


def serve(behaviour: dict) -> None:
    """Be the API server."""
    from fake_server import HEALTHY, FakeAirflow

    passwords = Path(os.environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])
    fake = FakeAirflow(
        port=int(os.environ["AIRFLOW__API__PORT"]), password=json.loads(passwords.read_text())["admin"]
    )
    fake.import_errors = behaviour.get("import_errors", [])
    fake.fails = behaviour.get("fails")
    if behaviour.get("is_unhealthy"):
        fake.health = {**HEALTHY, "scheduler": {"status": "unhealthy"}}
    if "world" in behaviour:
        from fake_world import World

        from pipelines.ledger.ledger import Ledger

        ledger = Ledger(os.environ["HOLDFAST_LEDGER_URL"])
        fake.live_through = World(fake, ledger, kind=behaviour["world"]).live_through
    fake.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
