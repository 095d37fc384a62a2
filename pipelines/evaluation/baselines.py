"""What knows next to nothing: the mean of the past and, where rows have an order, "as last time"."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.config import DatasetConfig
from pipelines.evaluation.holdout import Floats, Integers
from pipelines.metrics import evaluate_predictions
from pipelines.records.evaluation import BaselineKind
from pipelines.storage.lake import PARTITION_COLUMN

# A group that came before in fewer of the rows says little of the table.
_MIN_COVERAGE = 0.5
_EVENT_TIME = "event_time"


class NaivePrediction(NamedTuple):
    """What a baseline says of each held-out row, before it happened.

    ``prediction`` has the shape of a model's; ``what`` is in words; ``coverage`` is the share of rows that
    more is said of than the mean of the past.
    """

    kind: BaselineKind
    what: str
    prediction: Floats
    coverage: float


def naive_predictions(seen: pa.Table, holdout: pa.Table, config: DatasetConfig) -> list[NaivePrediction]:
    """Predict the held-out rows by what anybody would say.

    ``prior`` is the mean of the target before the holdout. Of a table that is split by time there is also
    ``last_day``, the mean of the last day whose labels were known, and ``same_group_last_time``, the mean of
    the last such day on which the row's own group came. Groups are told apart by the columns of the key that
    are no times, by the categorical features, and by the time of day; those are left out that are known for
    fewer than half of the rows. What is said of a row uses targets of days up to ``label_delay_days`` before
    its own, of the holdout's days too.

    Parameters
    ----------
    seen, holdout : pyarrow.Table, shape (n, any) and (m, any)
        ``partition_key`` and the target as a number (nulls are left out of what is known), and the columns
        of groups; one that is not in both tells no groups apart.

    Returns
    -------
    list of NaivePrediction
        ``prior`` first.
    """
    past = _known(seen, config)
    prior = _prior(past, config)
    found = [NaivePrediction("prior", _prior_words(config), _tiled(prior, holdout.num_rows), 1.0)]
    if config.training.split == "rows" or not past.size:
        return found
    both = pa.concat_tables(
        [_columns(seen, holdout, config), _columns(holdout, seen, config)], promote_options="permissive"
    )
    history = _History.of(both, config, prior)
    together = np.zeros(both.num_rows, dtype=np.int64)
    last_day, is_known = history.last_time(together, seen.num_rows, fallback=found[0].prediction)
    found.append(
        NaivePrediction(
            "last_day", "the mean of the last day whose labels were known", last_day, is_known.mean()
        )
    )
    for what, groups in _groupings(both, config):
        guess, is_known = history.last_time(groups, seen.num_rows, fallback=last_day)
        if is_known.mean() >= _MIN_COVERAGE:
            found.append(NaivePrediction("same_group_last_time", what, guess, float(is_known.mean())))
    return found


def baseline_metrics(
    seen: npt.ArrayLike, target: npt.ArrayLike, task: str, *, n_classes: int = 0
) -> dict[str, float]:
    """Measure what knows nothing but the past's mean: the least that a model must beat.

    Parameters
    ----------
    seen : array-like of float, shape (n,)
        The target before the holdout; its mean is the prediction for every row. Of a multiclass task
        it is how often each class came, with one row more for each, so that none has no chance at all.
    target : array-like of float, shape (m,)
        The target of the holdout.
    n_classes : int
        Of a multiclass task.
    """
    happened = np.asarray(target, dtype=np.float64)
    prior = _mean_of(np.asarray(seen, dtype=np.float64), task, n_classes)
    return evaluate_predictions(happened, _tiled(prior, happened.size), task)


class _History:
    """The targets of every day, and what was known of them when."""

    def __init__(self, day: Integers, target: Floats, config: DatasetConfig, prior: Floats | float) -> None:
        self._day = day
        self._target = target
        self._delay = config.label_delay_days
        self._task = config.task
        self._prior = prior

    @classmethod
    def of(cls, table: pa.Table, config: DatasetConfig, prior: Floats | float) -> _History:
        days = np.array(table[PARTITION_COLUMN].to_pylist(), dtype="datetime64[D]").astype(np.int64)
        return cls(days - days.min(), _target(table, config), config, prior)

    def last_time(
        self, group: Integers, first: int, *, fallback: Floats
    ) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Return what came last in the group of each row from ``first`` on, and where anything did.

        Parameters
        ----------
        group : ndarray of int64, shape (n,)
            Of every row; one below 0 is no group.
        fallback : ndarray of float64, shape (n - first,) or (n - first, K)
            What is said where nothing is known.
        """
        span = int(self._day.max()) + 1
        is_told = np.isfinite(self._target) & (group >= 0)
        cell, place = np.unique((group * span + self._day)[is_told], return_inverse=True)
        if not cell.size:
            return fallback, np.zeros(len(fallback), dtype=np.bool_)
        means = self._means(self._target[is_told], place, cell.size)
        latest = self._day[first:] - self._delay
        at = np.searchsorted(cell, group[first:] * span + latest, side="right") - 1
        is_known = (at >= 0) & (latest >= 0) & (group[first:] >= 0)
        is_known &= cell[np.maximum(at, 0)] // span == group[first:]
        said = np.array(fallback)
        said[is_known] = means[at[is_known]]
        return said, is_known

    def _means(self, target: Floats, place: Integers, n_cells: int) -> Floats:
        """Return the mean of each cell; of classes with one row more that is like the past."""
        rows = np.bincount(place, minlength=n_cells).astype(np.float64)
        if self._task == "regression":
            return np.asarray(np.bincount(place, weights=target, minlength=n_cells) / rows)
        if self._task == "binary":
            return np.asarray(
                (np.bincount(place, weights=target, minlength=n_cells) + self._prior) / (rows + 1)
            )
        n_classes = np.size(self._prior)
        counts = np.bincount(place * n_classes + target.astype(np.int64), minlength=n_cells * n_classes)
        return np.asarray((counts.reshape(n_cells, n_classes) + self._prior) / (rows + 1)[:, None])


def _groupings(table: pa.Table, config: DatasetConfig) -> list[tuple[str, Integers]]:
    """Return the ways to tell groups apart that the table allows, in words and as a number a row."""
    wanted = [
        [name for name in config.key if name in table.column_names and not _is_time(table, name)],
        [name for name in config.features.categorical if name in table.column_names],
    ]
    found = []
    for number, names in enumerate(wanted):
        if names and names not in wanted[:number]:
            what = f"the mean of the last known day with the same {', '.join(names)}"
            found.append((what, _numbered([_codes(table[name]) for name in names])))
    times = _times_of_day(table)
    if times is not None:
        found.append(("the mean of the last known day at the same time of day", times))
    return [(what, groups) for what, groups in found if np.ptp(groups)]


def _columns(table: pa.Table, other: pa.Table, config: DatasetConfig) -> pa.Table:
    """Return what groups are told apart by, of the columns that both tables have."""
    names = [*config.key, *config.features.categorical, _EVENT_TIME]
    shared = set(table.column_names) & set(other.column_names)
    wanted = [PARTITION_COLUMN, config.target, *(name for name in dict.fromkeys(names) if name in shared)]
    return table.select(list(dict.fromkeys(wanted)))


def _is_time(table: pa.Table, name: str) -> bool:
    kind = table.schema.field(name).type
    return bool(pa.types.is_temporal(kind))


def _times_of_day(table: pa.Table) -> Integers | None:
    if _EVENT_TIME not in table.column_names or not _is_time(table, _EVENT_TIME):
        return None
    if pa.types.is_date(table.schema.field(_EVENT_TIME).type):
        return None
    stamps = table[_EVENT_TIME].cast(pa.timestamp("us", tz="UTC"), safe=False)
    minutes = pc.add(pc.multiply(pc.hour(stamps), 60), pc.minute(stamps))
    return np.asarray(pc.fill_null(minutes, -1).to_numpy(), dtype=np.int64)


def _codes(column: pa.ChunkedArray) -> Integers:
    indices = column.combine_chunks().dictionary_encode().indices
    return np.asarray(pc.fill_null(indices, -1).to_numpy(zero_copy_only=False), dtype=np.int64)


def _numbered(columns: Sequence[Integers]) -> Integers:
    """Return one number for each combination of codes; -1 where a code is missing."""
    together = columns[0]
    is_missing = columns[0] < 0
    for codes in columns[1:]:
        is_missing |= codes < 0
        together = np.unique(together * (int(codes.max()) + 2) + codes, return_inverse=True)[1].astype(
            np.int64
        )
    return np.where(is_missing, -1, together)


def _target(table: pa.Table, config: DatasetConfig) -> Floats:
    return np.asarray(table[config.target].cast(pa.float64()).to_numpy(), dtype=np.float64)


def _known(table: pa.Table, config: DatasetConfig) -> Floats:
    target = _target(table, config)
    return target[np.isfinite(target)]


def _prior(past: Floats, config: DatasetConfig) -> Floats | float:
    return _mean_of(past, config.task, len(config.classes))


def _mean_of(past: Floats, task: str, n_classes: int) -> Floats | float:
    if task == "multiclass":
        counts = np.bincount(past.astype(np.int64), minlength=n_classes) + 1.0
        return np.asarray(counts / counts.sum())
    return float(past.mean()) if past.size else math.nan


def _prior_words(config: DatasetConfig) -> str:
    return "how often each class came before" if config.task == "multiclass" else "the mean of the past"


def _tiled(prior: Floats | float, n_rows: int) -> Floats:
    return np.tile(prior, (n_rows, 1)) if np.ndim(prior) else np.full(n_rows, prior)
