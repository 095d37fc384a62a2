"""A stand-in for Airflow's API: as quick as a test needs, over the same HTTP as the real one."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

Json = dict[str, Any]

VERBS = ("ingest", "arrive", "score", "monitor", "retrain", "train", "promote", "rollback")
HEALTHY = {
    part: {"status": "healthy"} for part in ("metadatabase", "scheduler", "triggerer", "dag_processor")
}
PASSWORD = "correct horse"


def stamp() -> str:
    return datetime.now(UTC).isoformat()


class FakeAirflow(ThreadingHTTPServer):
    """Airflow's API, as far as the stack uses it.

    ``scripted`` holds answers that are given once, before any other: (path prefix, status, body).
    ``asked`` lists the requests as (method, path, query, body).
    """

    daemon_threads = True

    def __init__(self, *, port: int = 0, password: str = PASSWORD) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.password = password
        # What a range of nights brings about; it adds the runs that would follow.
        self.live_through: Callable[[str, str], None] | None = None
        self.token = "token-1"
        self.health: Json = HEALTHY
        self.dags = [f"{verb}_flights" for verb in VERBS]
        self.import_errors: list[Json] = []
        self.parsed_at = datetime.now(UTC) + timedelta(hours=1)
        self.runs: list[Json] = []
        self.tasks: list[Json] = []
        self.log: list[Any] = []
        self.backfills: list[Json] = []
        self.hitl: list[Json] = []
        self.scripted: list[tuple[str, int, Json]] = []
        self.asked: list[tuple[str, str, dict[str, list[str]], Json]] = []
        self.fails: str | None = None
        self.stalls: str | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def add_run(self, dag_id: str, key: str | None, *, run_id: str | None = None, **fields: Any) -> Json:
        run = {
            "dag_id": dag_id,
            "dag_run_id": run_id or f"{dag_id}__{key}__{len(self.runs)}",
            "partition_key": key,
            "state": "success",
            "run_type": "asset_triggered",
            "queued_at": stamp(),
            "run_after": stamp(),
            **fields,
        }
        if dag_id == self.fails:
            run["state"] = "failed"
        if dag_id == self.stalls:
            run["state"] = "running"
        self.runs.append(run)
        names = {"dag_id": dag_id, "dag_run_id": run["dag_run_id"], "task_id": dag_id.partition("_")[0]}
        self.tasks.append({**names, "state": run["state"], "try_number": 1, "duration": 1.5})
        return run


class Handler(BaseHTTPRequestHandler):
    """Finds the answer to a request among the methods named ``on_<METHOD>_<thing>``."""

    server: FakeAirflow
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_PUT(self) -> None:
        self._serve("PUT")

    def do_PATCH(self) -> None:
        self._serve("PATCH")

    def log_message(self, format: str, *args: Any) -> None:
        """Be quiet."""

    def _serve(self, method: str) -> None:
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        query = parse_qs(parts.query)
        self.server.asked.append((method, unquote(parts.path), query, body))
        status, answer = self._answer(method, unquote(parts.path), query, body)
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _answer(self, method: str, path: str, query: dict[str, list[str]], body: Json) -> tuple[int, Json]:
        fake = self.server
        for place, (prefix, status, answer) in enumerate(fake.scripted):
            if path.startswith(prefix):
                del fake.scripted[place]
                return status, answer
        if path == "/auth/token":
            is_known = body == {"username": "admin", "password": fake.password}
            return (201, {"access_token": fake.token}) if is_known else (401, {"detail": "no"})
        if path == "/api/v2/monitor/health":
            return 200, fake.health
        if self.headers.get("Authorization") != f"Bearer {fake.token}":
            return 401, {"detail": "token"}
        return self._api(method, path.removeprefix("/api/v2"), query, body)

    def _api(self, method: str, path: str, query: dict[str, list[str]], body: Json) -> tuple[int, Json]:
        fake = self.server
        if path == "/dags":
            parsed = {"is_stale": False, "last_parsed_time": fake.parsed_at.isoformat()}
            return 200, page("dags", [{"dag_id": dag_id, **parsed} for dag_id in fake.dags], query)
        if path == "/importErrors":
            return 200, page("import_errors", fake.import_errors, query)
        if path.endswith("/taskInstances"):
            return 200, page("task_instances", fake.tasks, query)
        if path.endswith("/hitlDetails"):
            return 200, page("hitl_details", fake.hitl, query) if method == "GET" else {}
        if "/logs/" in path:
            return 200, {"content": fake.log}
        if path.startswith("/backfills"):
            return self._backfills(method, path, query, body)
        return self._runs(method, path, query, body)

    def _runs(self, method: str, path: str, query: dict[str, list[str]], body: Json) -> tuple[int, Json]:
        fake = self.server
        found = re.fullmatch(r"/dags/([^/]+)/dagRuns(?:/(.+))?", path)
        assert found is not None, path
        dag_id, run_id = found.groups()
        if method == "POST":
            if any(run["dag_run_id"] == body["dag_run_id"] for run in fake.runs):
                return 409, {"detail": "it is there"}
            run = fake.add_run(dag_id, body["partition_key"], run_id=body["dag_run_id"], run_type="manual")
            if fake.live_through is not None and run["state"] == "success":
                fake.live_through(body["conf"]["first"], body["conf"]["last"])
            return 200, run
        if run_id is not None:
            return 200, next(run for run in fake.runs if run["dag_run_id"] == run_id)
        states = query.get("state", [])
        chosen = [
            run
            for run in fake.runs
            if dag_id in ("~", run["dag_id"]) and (not states or run["state"] in states)
        ]
        return 200, page("dag_runs", chosen, query)

    def _backfills(self, method: str, path: str, query: dict[str, list[str]], body: Json) -> tuple[int, Json]:
        fake = self.server
        if method == "GET":
            return 200, page("backfills", fake.backfills, query)
        if method == "PUT":
            number = int(path.split("/")[2])
            fake.backfills[number]["completed_at"] = stamp()
            return 200, {}
        if any(backfill["completed_at"] is None for backfill in fake.backfills):
            return 409, {"detail": "another backfill is running"}
        fake.backfills.append({"id": len(fake.backfills), "completed_at": None})
        night = body["from_date"][:10]
        fake.add_run("ingest_flights", night, run_type="backfill")
        if fake.live_through is not None:
            fake.live_through(night, night)
        return 200, fake.backfills[-1]


def page(key: str, rows: list[Json], query: dict[str, list[str]]) -> Json:
    offset, limit = int(query["offset"][0]), int(query["limit"][0])
    return {key: rows[offset : offset + limit], "total_entries": len(rows)}


@contextmanager
def serving(fake: FakeAirflow) -> Iterator[FakeAirflow]:
    """Answer requests in a thread until the block is left."""
    thread = threading.Thread(target=fake.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        fake.shutdown()
        fake.server_close()
        thread.join()
