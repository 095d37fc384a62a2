"""Figures in Prometheus' format, over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from pipelines.errors import ConfigError
from pipelines.monitoring.telling.gauges import GAUGES, Sample


class GaugeCollector(Collector):
    """Reads all figures anew whenever it is asked.

    Parameters
    ----------
    read : callable
        Returns the samples of the moment.
    """

    def __init__(self, read: Callable[[], Iterable[Sample]]) -> None:
        self._read = read

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Give one family a gauge, with its samples."""
        by_name: dict[str, list[Sample]] = {}
        for sample in self._read():
            by_name.setdefault(sample.name, []).append(sample)
        for name, samples in by_name.items():
            labels = list(samples[0].labels)
            family = GaugeMetricFamily(name, GAUGES[name], labels=labels)
            for sample in samples:
                family.add_metric([sample.labels[label] for label in labels], float(sample.value))
            yield family


@contextmanager
def exporter(
    read: Callable[[], Iterable[Sample]], *, host: str, port: int
) -> Iterator[tuple[WSGIServer, threading.Thread]]:
    """Serve figures at ``http://<host>:<port>/metrics`` within the block; port 0 takes a free one.

    Yields
    ------
    tuple of WSGIServer and Thread
        The server, and the thread that it runs in.

    Raises
    ------
    ConfigError
        If the address can't be listened at.
    """
    registry = CollectorRegistry()
    registry.register(GaugeCollector(read))
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        raise ConfigError(f"Can't listen at {host}:{port}: {error.strerror}. Take another --port.") from error
    try:
        yield server, thread
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
