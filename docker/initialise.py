"""Make the production profile ready, once before its services start; safe to run again.

Refuses weak secrets, then migrates Airflow's database, makes the first user and the buckets.
"""

from __future__ import annotations

import os
import subprocess
import sys

WELL_KNOWN = frozenset(
    {"airflow", "admin", "postgres", "password", "changeme", "secret", "minioadmin", "redis", "holdfast"}
)
MIN_CHARS = {
    "POSTGRES_PASSWORD": 16,
    "REDIS_PASSWORD": 16,
    "S3_ACCESS_KEY": 8,
    "S3_SECRET_KEY": 16,
    "AIRFLOW_ADMIN_PASSWORD": 12,
    "AIRFLOW_JWT_SECRET": 64,
    "AIRFLOW_SECRET_KEY": 32,
    "AIRFLOW_FERNET_KEY": 44,
    "GRAFANA_ADMIN_PASSWORD": 12,
}
BUCKETS = ("holdfast", "mlflow", "dvc")
CREATE_ADMIN = [
    *("airflow", "users", "create", "--use-random-password", "--username", "admin", "--role", "Admin"),
    *("--email", "admin@example.org", "--firstname", "Holdfast", "--lastname", "Admin"),
]


def refusals(environ: dict[str, str]) -> list[str]:
    """Return one sentence for each secret that is missing, short or well known."""
    found = []
    for name, min_chars in MIN_CHARS.items():
        value = environ.get(name, "")
        if not value:
            found.append(f"{name} is not set.")
        elif len(value) < min_chars:
            found.append(f"{name} has {len(value)} characters; it needs {min_chars}.")
        elif any(word in value.lower() and len(value) < len(word) + 8 for word in WELL_KNOWN):
            found.append(f"{name} is a well-known password with little added.")
        elif len(set(value)) < 6:
            found.append(f"{name} repeats too few characters.")
    return found


def make_buckets(endpoint_url: str, access_key: str, secret_key: str) -> None:
    """Make the buckets that are not there yet."""
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=endpoint_url,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name="us-east-1",
    )
    present = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
    for name in BUCKETS:
        if name not in present:
            client.create_bucket(Bucket=name)


def main() -> int:
    """Do it all; return the exit status."""
    environ = dict(os.environ)
    if problems := refusals(environ):
        sys.stderr.write("\n".join([*problems, "Set them in docker/.env; see docker/.env.example.", ""]))
        return 1
    make_buckets(environ["HOLDFAST_S3_ENDPOINT_URL"], environ["S3_ACCESS_KEY"], environ["S3_SECRET_KEY"])
    subprocess.run(["airflow", "db", "migrate"], check=True)
    created = subprocess.run(CREATE_ADMIN, check=False, stdout=subprocess.DEVNULL)
    if created.returncode:
        return created.returncode
    # The password goes through standard input: a command line can be read by every process.
    reset = subprocess.run(
        ["airflow", "users", "reset-password", "--username", "admin"],
        input=f"{environ['AIRFLOW_ADMIN_PASSWORD']}\n" * 2,
        text=True,
        check=False,
        stdout=subprocess.DEVNULL,
    )
    return reset.returncode


if __name__ == "__main__":
    sys.exit(main())
