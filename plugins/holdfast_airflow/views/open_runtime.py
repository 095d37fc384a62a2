"""The project's stores as the pages read them: opened once, and again when params.yaml has changed."""

from __future__ import annotations

from threading import Lock

from pipelines.config import Settings, load_params
from pipelines.runtime import Runtime


class OpenRuntime:
    """Gives the Runtime of the moment to any thread that asks.

    Parameters
    ----------
    settings : Settings
        Where things live. ``params.yaml`` is read anew once it has changed: a dataset that was added has
        its pages without a restart.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = Lock()
        self._runtime: Runtime | None = None
        self._stamp: tuple[int, int] | None = None

    def __call__(self) -> Runtime:
        """Return the Runtime.

        Raises
        ------
        ConfigError
            If ``params.yaml`` can't be read.
        EngineError
            If the ledger can't be opened.
        """
        with self._lock:
            stamp = self._stamp_of_params()
            if self._runtime is None or stamp != self._stamp:
                fresh = Runtime(settings=self._settings, params=load_params(self._settings.params))
                fresh.ledger  # noqa: B018  opened here, under the lock, so that there is one
                if self._runtime is not None:
                    self._runtime.ledger.close()
                self._runtime, self._stamp = fresh, stamp
            return self._runtime

    def _stamp_of_params(self) -> tuple[int, int] | None:
        try:
            found = self._settings.params.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size
