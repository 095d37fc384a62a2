"""What DuckDB finds is what Great Expectations finds on pandas: row for row, field for field.

Where Great Expectations is wrong, or fails, a test of its own says so. Floats that are sums agree to
within rounding: pandas' depend on the order of the rows. The order of a set that a result lists is
left open by Great Expectations.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import duckdb
import great_expectations as gx
import pandas as pd
import pyarrow as pa
import pytest
import sqlalchemy as sa
from expectation_cases import (
    ARGUMENTS,
    PARTITION,
    REALS,
    TEXTS,
    WHOLES,
    queries,
    suites,
    tables,
)
from great_expectations.core.batch import Batch
from great_expectations.core.batch_spec import SqlAlchemyDatasourceBatchSpec
from great_expectations.execution_engine import SqlAlchemyExecutionEngine
from great_expectations.validator.validator import Validator
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pipelines.storage.engine import connect
from pipelines.validation.engine import BREACHES, Examination, Examiner
from pipelines.validation.engine.columns import typed_frame
from pipelines.validation.engine.gx import RESULT_FORMAT, GreatExpectations
from pipelines.validation.engine.planning import PUSHED_DOWN
from pipelines.validation.engine.results import trimmed
from pipelines.validation.rules import POSITION, Rule
from pipelines.validation.suite import Suite

# Great Expectations takes an exception inside a metric for a failed expectation. A warning is none, as
# wherever suites run: of groups in a pattern, of a mean of nothing, of a time zone that dateutil guesses.
pytestmark = pytest.mark.filterwarnings("ignore")
_GX = GreatExpectations("agreement")
_THOROUGH = settings(
    max_examples=15,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
# Great Expectations fails on these where pandas has nothing but nulls to judge, or can't say it in JSON.
_MAY_FAIL = {
    "expect_column_pair_values_to_be_in_set",
    "expect_column_value_z_scores_to_be_less_than",
    "expect_column_values_to_not_be_outliers",
}
_LIKE_PATTERNS = (
    "expect_column_values_to_match_like_pattern",
    "expect_column_values_to_match_like_pattern_list",
    "expect_column_values_to_not_match_like_pattern",
    "expect_column_values_to_not_match_like_pattern_list",
)
_TESTED_APART = {
    *_LIKE_PATTERNS,
    "expect_column_quantile_values_to_be_between",
    "expect_query_results_to_match_comparison",
    "expect_table_row_count_to_equal_other_table",
    "unexpected_rows_expectation",
}


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with connect() as opened:
        yield opened


@_THOROUGH
@given(table=tables(), rules=suites())
def test_duckdb_finds_what_great_expectations_finds_on_pandas(
    connection: duckdb.DuckDBPyConnection, table: pa.Table, rules: list[Rule]
) -> None:
    expected = _on_pandas(typed_frame(table), rules)
    failed = {rule.type for rule in rules if rule.position not in expected}
    assert failed <= _MAY_FAIL
    judged = [rule for rule in rules if rule.position in expected]
    examination, breaches = _examined(connection, table, judged)
    results = {each.expectation_config.meta[POSITION]: each for each in examination.result.results}
    for rule, finding in zip(judged, examination.findings, strict=True):
        theirs, ours = expected[rule.position], results[rule.position]
        rows = list(map(int, theirs.result.get("unexpected_index_list") or ()))
        assert breaches.get(rule.position, []) == rows, (rule, table.select(rule.columns).to_pydict())
        assert finding.is_met == bool(theirs.success), (rule, table.select(rule.columns).to_pydict())
        assert finding.n_unexpected == len(rows)
        _assert_same(_plain(ours), _plain(trimmed(theirs, finding.engine)), rule)


def test_every_expectation_that_is_pushed_down_is_held_against_another_engine() -> None:
    assert set(PUSHED_DOWN) == set(ARGUMENTS) | _TESTED_APART


@settings(_THOROUGH, max_examples=6)
@given(parts=st.lists(tables(max_rows=5), min_size=2, max_size=4), rules=suites())
def test_partitions_are_judged_together_as_each_is_alone(
    connection: duckdb.DuckDBPyConnection, parts: list[pa.Table], rules: list[Rule]
) -> None:
    rules = [rule for rule in rules if rule.type not in _MAY_FAIL]
    alone = [_examined(connection, part, rules) for part in parts]
    keys = [f"2013-07-{day:02}" for day in range(1, len(parts) + 1)]
    placed = [_placed(part, key) for part, key in zip(parts, keys, strict=True)]
    connection.register("rows_together", pa.concat_tables(placed))
    together = _examiner(rules).examine(connection, "rows_together", keys)
    rows = connection.execute(f"SELECT * FROM {BREACHES} ORDER BY ALL").fetchall()
    for key, (examination, breaches) in zip(keys, alone, strict=True):
        assert together[key].findings == examination.findings
        assert _plain(together[key].result) == _plain(examination.result)
        found: dict[int, list[int]] = {}
        for owner, position, rule in rows:
            if owner == key:
                found.setdefault(rule, []).append(position)
        assert found == breaches


def test_a_zero_is_written_with_its_sign(connection: duckdb.DuckDBPyConnection) -> None:
    table = pa.table({"real": [0.0, -0.0, 1.5, None]})

    _, breaches = _examined(
        connection, table, [_rule("expect_column_value_lengths_to_equal", column="real", value=3)]
    )

    assert breaches == {1: [1]}


@_THOROUGH
@given(values=st.lists(st.sampled_from([*TEXTS, None]), min_size=1, max_size=8), data=st.data())
def test_like_patterns_find_what_great_expectations_finds_on_sqlite(
    connection: duckdb.DuckDBPyConnection, values: list[str | None], data: st.DataObject
) -> None:
    # SQLite ends a text at its first NUL.
    table = pa.table(
        {"text": pa.array([v for v in values if v is None or "\0" not in v] or ["a"], pa.string())}
    )
    rules = data.draw(queries(_LIKE_PATTERNS))
    expected = _on_sqlite(table, rules)
    examination, breaches = _examined(connection, table, rules)
    for rule, finding, result in zip(rules, examination.findings, examination.result.results, strict=True):
        theirs = expected[rule.position]
        assert finding.is_met == bool(theirs.success), (rule, values)
        assert (
            len(breaches.get(rule.position, [])) == finding.n_unexpected == theirs.result["unexpected_count"]
        )
        ours = _plain(result)["result"]
        for name in ("element_count", "missing_count", "unexpected_percent", "partial_unexpected_list"):
            assert ours[name] == _plain(theirs)["result"][name], (rule, values)


@pytest.mark.parametrize("way", [False, "linear", "lower", "higher", "nearest", "midpoint"])
@_THOROUGH
@given(
    values=st.one_of(
        st.lists(st.sampled_from([*WHOLES, None]), min_size=1, max_size=9),
        st.lists(st.sampled_from([*REALS, None]), min_size=1, max_size=9),
    ),
    quantiles=st.lists(
        st.sampled_from([0.0, 0.05, 0.1, 0.25, 0.3, 0.5, 0.75, 0.95, 1.0]), min_size=1, max_size=4
    ),
)
def test_quantiles_are_those_of_pandas_on_which_great_expectations_fails(
    connection: duckdb.DuckDBPyConnection,
    values: list[float | None],
    quantiles: list[float],
    way: bool | str,
) -> None:
    is_whole = all(isinstance(value, int | None) for value in values)
    table = pa.table({"number": pa.array(values, pa.int64() if is_whole else pa.float64())})
    rule = _rule(
        "expect_column_quantile_values_to_be_between",
        column="number",
        quantile_ranges={"quantiles": quantiles, "value_ranges": [[None, None]] * len(quantiles)},
        allow_relative_error=way,
    )
    examination, _ = _examined(connection, table, [rule])
    method: Any = way or "nearest"
    theirs = typed_frame(table)["number"].astype("Float64").quantile(quantiles, interpolation=method).tolist()
    observed = examination.result.results[0].result["observed_value"]
    assert [None if pd.isna(value) else value for value in observed["values"]] == [
        None if pd.isna(value) else value for value in theirs
    ]
    assert examination.findings[0].is_met == any(value is not None for value in values)
    json.dumps(_plain(examination.result))


def test_a_sum_beyond_64_bits_does_not_wrap_as_it_does_in_pandas(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    table = pa.table({"n": pa.array([2**62, 2**62], pa.int64())})
    rule = _rule("expect_column_sum_to_be_between", column="n", min_value=0)
    examination, _ = _examined(connection, table, [rule])
    (wrong,) = _on_pandas(typed_frame(table), [rule]).values()
    assert (examination.findings[0].is_met, wrong.success) == (True, False)
    assert examination.result.results[0].result["observed_value"] == 2**63


def test_extreme_steps_upwards_are_upwards_though_they_wrap_in_pandas(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    table = pa.table({"n": pa.array([-(2**63), 2**63 - 1], pa.int64())})
    rule = _rule("expect_column_values_to_be_increasing", column="n")
    examination, _ = _examined(connection, table, [rule])
    (wrong,) = _on_pandas(typed_frame(table), [rule]).values()
    assert (examination.findings[0].is_met, wrong.success) == (True, False)


@pytest.mark.parametrize(
    ("type_", "arguments"),
    [
        pytest.param(
            "expect_column_value_z_scores_to_be_less_than",
            {"threshold": 1, "double_sided": True, "mostly": 0.5},
            id="z-scores",
        ),
        pytest.param(
            "expect_column_values_to_not_be_outliers", {"method": "iqr", "multiplier": 1.5}, id="outliers"
        ),
    ],
)
def test_a_column_of_nulls_has_no_value_too_far_out_though_great_expectations_fails_on_it(
    connection: duckdb.DuckDBPyConnection, type_: str, arguments: dict[str, Any]
) -> None:
    table = pa.table({"n": pa.array([None, None], pa.int64())})
    rule = _rule(type_, column="n", **arguments)
    examination, breaches = _examined(connection, table, [rule])
    assert examination.findings[0].is_met
    assert not breaches
    assert _on_pandas(typed_frame(table), [rule]) == {}


def test_a_constant_column_has_no_value_too_far_out_though_the_rounded_mean_of_pandas_is_beside_it(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    table = pa.table({"x": [0.2] * 15})
    rule = _rule("expect_column_value_z_scores_to_be_less_than", column="x", threshold=0.9, double_sided=True)
    examination, _ = _examined(connection, table, [rule])
    (wrong,) = _on_pandas(typed_frame(table), [rule]).values()
    assert examination.findings[0].n_unexpected == 0
    assert wrong.result["unexpected_count"] == 15


def test_a_text_that_is_no_json_does_not_match_a_schema_though_great_expectations_fails_on_it(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    table = pa.table({"t": ['{"a": 1}', "{", "[]", None]})
    rule = _rule("expect_column_values_to_match_json_schema", column="t", json_schema={"type": "object"})
    examination, breaches = _examined(connection, table, [rule])
    assert breaches == {1: [1, 2]}
    assert examination.findings[0].n_unexpected == 2
    assert _on_pandas(typed_frame(table), [rule]) == {}


def _rule(type_: str, *, position: int = 1, **arguments: Any) -> Rule:
    columns = (arguments["column"],) if "column" in arguments else ()
    return Rule(type_, type_, position, "critical", columns, arguments)


def _examiner(rules: list[Rule]) -> Examiner:
    return Examiner(Suite("agreement", tuple(rules), ""))


def _examined(
    connection: duckdb.DuckDBPyConnection, table: pa.Table, rules: list[Rule]
) -> tuple[Examination, dict[int, list[int]]]:
    connection.register("rows_alone", _placed(table, PARTITION))
    examination = _examiner(rules).examine(connection, "rows_alone", [PARTITION])[PARTITION]
    breaches: dict[int, list[int]] = {}
    for key, position, rule in connection.execute(f"SELECT * FROM {BREACHES} ORDER BY ALL").fetchall():
        assert key == PARTITION
        breaches.setdefault(rule, []).append(position)
    return examination, breaches


def _placed(table: pa.Table, key: str) -> pa.Table:
    positions = pa.array(range(table.num_rows), pa.int64())
    return table.append_column("partition_key", pa.array([key] * table.num_rows)).append_column(
        "position", positions
    )


def _on_pandas(frame: pd.DataFrame, rules: list[Rule]) -> dict[int, Any]:
    """Return Great Expectations' result of each rule that it can evaluate, by position."""
    suite = gx.ExpectationSuite(name="agreement", expectations=[rule.expectation() for rule in rules])
    batch = _GX._batches.get_batch(batch_parameters={"dataframe": frame})
    return _succeeded(batch.validate(suite, result_format=dict(RESULT_FORMAT)))


def _on_sqlite(table: pa.Table, rules: list[Rule]) -> dict[int, Any]:
    engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
    with engine.connect() as opened:
        # Otherwise its patterns take no notice of case, unlike those of other databases.
        opened.exec_driver_sql("PRAGMA case_sensitive_like = ON")
        opened.exec_driver_sql("CREATE TABLE rows (text TEXT)")
        opened.exec_driver_sql("INSERT INTO rows VALUES (?)", [(text,) for text in table["text"].to_pylist()])
        opened.commit()
        execution = SqlAlchemyExecutionEngine(engine=engine)
        data, _ = execution.get_batch_data_and_markers(
            SqlAlchemyDatasourceBatchSpec(table_name="rows", schema_name=None, create_temp_table=False)
        )
        execution.load_batch_data("rows", data)
        validator = Validator(execution_engine=execution, batches=[Batch(data=data)])
        results = validator.graph_validate(
            configurations=[rule.expectation().configuration for rule in rules],
            runtime_configuration={"result_format": dict(RESULT_FORMAT)},
        )
    engine.dispose()
    return {each.expectation_config.meta[POSITION]: each for each in results}


def _succeeded(result: Any) -> dict[int, Any]:
    found = {}
    for each in result.results:
        info = each.exception_info
        entries = [info] if "raised_exception" in info else list(info.values())
        if not any(entry["raised_exception"] for entry in entries):
            found[each.expectation_config.meta[POSITION]] = each
    return found


def _plain(result: Any) -> Any:
    return json.loads(json.dumps(result.to_json_dict()))


def _assert_same(ours: Any, theirs: Any, rule: Rule) -> None:
    for name in ("partial_missing_list",):
        for each in (ours["result"], theirs["result"]):
            if name in each:
                each[name] = sorted(each[name], key=str)
    assert _is_close(ours, theirs), (rule, ours, theirs)


def _is_close(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, float) and isinstance(theirs, int | float):
        return bool(ours == pytest.approx(theirs, rel=1e-9, abs=1e-12))
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        return ours.keys() == theirs.keys() and all(_is_close(ours[name], theirs[name]) for name in ours)
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(_is_close, ours, theirs))
    return bool(ours == theirs)
