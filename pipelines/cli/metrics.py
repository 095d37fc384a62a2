"""Figures for a monitoring system."""

from __future__ import annotations

import signal
from contextlib import suppress
from typing import Annotated

import typer

from pipelines.cli.arguments import open_runtime

Host = Annotated[str, typer.Option(help="Where to listen. The figures have no login: keep it to loopback.")]
Port = Annotated[int, typer.Option(help="The port; 0 takes a free one.", min=0, max=65535)]


def metrics(port: Port = 9464, host: Host = "127.0.0.1") -> None:
    """Serve the figures of all datasets in Prometheus' format, until it is stopped."""
    from pipelines.monitoring.telling.exporter import exporter
    from pipelines.steps.metrics import collect

    runtime = open_runtime()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with (
        suppress(KeyboardInterrupt),
        exporter(lambda: collect(runtime), host=host, port=port) as (server, thread),
    ):
        typer.echo(f"Figures at http://{host}:{server.server_port}/metrics")
        thread.join()
