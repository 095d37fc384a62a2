"""Our verdicts as Evidently's stat tests, so that its report shows them as its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pandas as pd

from pipelines.monitoring.evidently_report.library import ColumnType, StatTest, registry
from pipelines.records import ColumnDrift

_KINDS = [ColumnType.Numerical, ColumnType.Categorical]
# Evidently keeps its stat tests in one table of the process.
_registering = threading.Lock()


@contextmanager
def our_verdicts(drifts: Mapping[str, ColumnDrift]) -> Iterator[dict[str, str]]:
    """Let Evidently find our verdict where it looks for the outcome of a stat test.

    Parameters
    ----------
    drifts : mapping of str to ColumnDrift
        The verdict by the column's name in the data frames.

    Yields
    ------
    dict of str to str
        The name of the stat test to use for each column. It says what was measured and the q-value; its
        score is our distance, and whether it drifted our verdict. Known to Evidently within the block only,
        and to one block of the process at a time.
    """

    def verdict(reference: pd.Series, _current: pd.Series, _kind: Any, _threshold: float) -> Any:
        drift = drifts[str(reference.name)]
        return drift.distance, drift.is_drifted

    names = {name: _test_name(drift) for name, drift in drifts.items()}
    tests = [StatTest(name, name, _KINDS) for name in sorted(set(names.values()))]
    with _registering:
        try:
            for test in tests:
                registry.register_stattest(test, verdict)
            yield names
        finally:
            for test in tests:
                registry._registered_stat_tests.pop(test.name, None)
                registry._impls.pop(test, None)
            registry._registered_stat_test_funcs.pop(verdict, None)


def _test_name(drift: ColumnDrift) -> str:
    return f"Holdfast: {drift.method}, q = {drift.q_value:.3g}"
