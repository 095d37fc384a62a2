"""Sketches survive the way to disk, and nothing else is taken for one."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pipelines.errors import IntegrityError
from pipelines.monitoring.sketch import DaySketches, TableSketch, learn_grid, sketch_days, sketch_table
from pipelines.monitoring.sketch.packing import _PREFIX, _SEAL_BYTES, _seal


@pytest.fixture(scope="module")
def table():
    random = np.random.default_rng(1)
    n = 600
    return pa.table(
        {
            "x": pa.array(random.normal(size=n), mask=random.random(n) < 0.1),
            "nothing": pa.nulls(n, pa.float64()),
            "kind": random.choice(["a", "b", 'a "quoted" 名'], n),
            "partition_key": np.repeat(["2013-01-01", "2013-01-02", "2013-01-03"], n // 3),
        }
    )


@pytest.fixture(scope="module")
def days(table):
    # The grid knows two of three levels: the third is a stranger.
    grid = learn_grid(table.slice(0, 2), numeric=["x", "nothing"], categorical=["kind"])
    return sketch_days(table, grid)


def test_what_is_read_is_what_was_written(days, table):
    content = days.to_bytes()
    found = DaySketches.from_bytes(content)
    assert found.to_bytes() == content
    assert found.days == days.days
    assert found.grid.digest == days.grid.digest
    for column in ("x", "nothing", "kind"):
        assert found.day_counts(column).tolist() == days.day_counts(column).tolist()
        assert found.day_missing(column).tolist() == days.day_missing(column).tolist()
    assert found.day_sums("x").tolist() == days.day_sums("x").tolist()
    assert found.total.categorical["kind"].strangers == days.total.categorical["kind"].strangers != {}
    whole = sketch_table(table, days.grid)
    again = TableSketch.from_bytes(whole.to_bytes())
    assert (again.n_rows, again.mean("x")) == (whole.n_rows, whole.mean("x"))


def test_days_without_rows_can_be_written(days):
    assert DaySketches.from_bytes(days.select([]).to_bytes()).days == ()


def _resealed(content):
    """Return bytes whose seal is right, whatever is below it."""
    prefix, packed = content[: _PREFIX.size], content[_PREFIX.size + _SEAL_BYTES :]
    return prefix + _seal(prefix + packed) + packed


def _of_size(content, size):
    """Return bytes that say to unfold to ``size``."""
    return content[:10] + size.to_bytes(8, "little") + content[18:]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        pytest.param(lambda _: b"", "no sketch", id="nothing"),
        pytest.param(lambda _: b"\x80\x05}q\x00." * 20, "no sketch", id="pickle"),
        pytest.param(lambda good: b"PAR1" + good, "no sketch", id="other-format"),
        pytest.param(lambda good: good[:-7], "changed or cut off", id="cut-off"),
        pytest.param(lambda good: good[:-1] + bytes([good[-1] ^ 1]), "changed or cut off", id="one-bit"),
        pytest.param(lambda good: good[:8] + b"\x09\x00" + good[10:], "format 9", id="version"),
        pytest.param(
            lambda good: _resealed(good[:100] + bytes(50) + good[150:]), "can't be read", id="forged"
        ),
        pytest.param(lambda good: _of_size(good, 1_000), "changed", id="other-size"),
        pytest.param(lambda good: _resealed(_of_size(good, 1 << 60)), "changed", id="bomb"),
    ],
)
def test_other_bytes_are_refused(days, spoil, reason):
    with pytest.raises(IntegrityError, match=reason):
        DaySketches.from_bytes(spoil(days.to_bytes()))


def test_many_days_are_not_taken_for_one_table(days):
    with pytest.raises(IntegrityError, match="many days"):
        TableSketch.from_bytes(days.to_bytes())


def test_fifty_columns_take_about_a_hundred_kilobytes():
    random = np.random.default_rng(1)
    table = pa.table({f"x{number}": random.normal(size=20_000) for number in range(50)})
    grid = learn_grid(table, numeric=table.column_names, categorical=[])
    assert len(sketch_table(table, grid).to_bytes()) < 120_000
