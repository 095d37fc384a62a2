"""A real S3-compatible store on loopback: OpenStack Swift, one replica on one device, by its s3api."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

_PROGRAMS = Path(sys.prefix) / "swift" / "bin"
_FILTERS = {
    "tempauth": "tempauth",
    "s3api": "s3api",
    "cache": "memcache",
    "catch_errors": "catch_errors",
    "listing_formats": "listing_formats",
    "bulk": "bulk",
    "copy": "copy",
    "slo": "slo",
    "dlo": "dlo",
    "versioned_writes": "versioned_writes",
    "symlink": "symlink",
}
_PIPELINE = (
    "catch_errors cache listing_formats bulk s3api tempauth copy slo dlo versioned_writes symlink "
    "proxy-server"
)
_SECONDS_TO_START = 60


@dataclass(frozen=True)
class S3Server:
    """Where the store is, and who may use it."""

    endpoint_url: str
    access_key: str
    secret_key: str

    @property
    def port(self) -> int:
        return int(self.endpoint_url.rpartition(":")[2])

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
        }


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """Start a store with its state below ``folder``; stop it at the end."""
    assert (_PROGRAMS / "swift-proxy-server").exists(), "Swift is missing: run `make services`"
    server = S3Server(f"http://127.0.0.1:{_free_port()}", "ml:dvc", secrets.token_hex(16))
    parts = {"account": _free_port(), "container": _free_port(), "object": _free_port()}
    _write_configuration(folder, server, parts)
    with ExitStack() as stack:
        for part in (*parts, "proxy"):
            log = stack.enter_context((folder / f"{part}.log").open("wb"))
            process = subprocess.Popen(
                [str(_PROGRAMS / f"swift-{part}-server"), str(folder / f"{part}-server.conf")],
                stdout=log,
                stderr=log,
                env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")},
            )
            stack.callback(_stop, process)
        _wait_for(f"{server.endpoint_url}/info", folder)
        yield server


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _write_configuration(folder: Path, server: S3Server, parts: dict[str, int]) -> None:
    (folder / "devices" / "d1").mkdir(parents=True)
    common = (
        f"swift_dir = {folder}\ndevices = {folder / 'devices'}\nmount_check = false\nbind_ip = 127.0.0.1\n"
    )
    common += f"user = {_user()}\nlog_level = WARNING\ndisable_fallocate = true\n"
    (folder / "swift.conf").write_text(
        f"[swift-hash]\nswift_hash_path_prefix = {secrets.token_hex(8)}\n"
        f"swift_hash_path_suffix = {secrets.token_hex(8)}\n[storage-policy:0]\nname = one\ndefault = yes\n"
    )
    for part, port in parts.items():
        (folder / f"{part}-server.conf").write_text(
            f"[DEFAULT]\n{common}bind_port = {port}\nworkers = 0\n[pipeline:main]\npipeline = {part}-server\n"
            f"[app:{part}-server]\nuse = egg:swift#{part}\n"
        )
        builder = [str(_PROGRAMS / "swift-ring-builder"), str(folder / f"{part}.builder")]
        for words in (["create", "4", "1", "1"], ["add", f"r1z1-127.0.0.1:{port}/d1", "1"], ["rebalance"]):
            subprocess.run([*builder, *words], check=True, stdout=subprocess.DEVNULL)
    filters = "".join(f"[filter:{name}]\nuse = egg:swift#{egg}\n" for name, egg in _FILTERS.items())
    filters = filters.replace(
        "egg:swift#tempauth\n",
        f"egg:swift#tempauth\nuser_{server.access_key.replace(':', '_')} = {server.secret_key} .admin\n",
    )
    filters = filters.replace("egg:swift#s3api\n", "egg:swift#s3api\nlocation = us-east-1\n")
    # There is no memcache: port 1 refuses at once.
    memcache = "egg:swift#memcache\n"
    filters = filters.replace(memcache, f"{memcache}memcache_servers = 127.0.0.1:1\n")
    (folder / "proxy-server.conf").write_text(
        f"[DEFAULT]\n{common}bind_port = {server.port}\nworkers = 0\n"
        f"[pipeline:main]\npipeline = {_PIPELINE}\n"
        f"[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n{filters}"
    )


def _wait_for(url: str, folder: Path) -> None:
    until = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < until:
        with suppress(httpx.HTTPError):
            if httpx.get(url, timeout=5).is_success:
                return
        time.sleep(0.2)
    logs = "\n".join(path.read_text(errors="replace")[-500:] for path in sorted(folder.glob("*.log")))
    raise AssertionError(f"The S3 server did not start within {_SECONDS_TO_START} s:\n{logs}")


def _user() -> str:
    import pwd

    return pwd.getpwuid(os.geteuid()).pw_name


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
