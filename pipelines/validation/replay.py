"""Two versions of a suite over the same partitions: what each would have decided, and where they differ.

Each version examines and judges the partitions as validation does, in a
:class:`~pipelines.validation.trial.Trial`, and writes nothing. The rows that only one of them catches are
found in SQL, and read as a stream.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import duckdb

from pipelines.records import Record
from pipelines.storage.sql import literal
from pipelines.validation.quarantine import BAD, BROKEN
from pipelines.validation.raw import RAW
from pipelines.validation.rules import Rule
from pipelines.validation.suite import Suite
from pipelines.validation.trial import Trial

Side = Literal["baseline", "edited"]
SIDES: tuple[Side, Side] = ("baseline", "edited")
Direction = Literal["newly_caught", "no_longer_caught"]
DIRECTIONS: tuple[Direction, Direction] = ("newly_caught", "no_longer_caught")

_RULES = "holdfast_replay_rules"
_BATCH_ROWS = 1_000


class SideOutcome(Record):
    """What one version of the suite would have decided on a night."""

    outcome: Literal["passed", "warned", "refused"]
    n_quarantined: int
    reasons: tuple[str, ...] = ()


class RuleCount(Record):
    """How many of the rows that differ one rule is responsible for."""

    rule: str
    n_rows: int


class NightDifference(Record):
    """One night under both versions."""

    partition_key: str
    n_rows: int
    baseline: SideOutcome
    edited: SideOutcome
    n_newly_caught: int = 0
    n_no_longer_caught: int = 0
    newly_caught_by: tuple[RuleCount, ...] = ()
    no_longer_caught_by: tuple[RuleCount, ...] = ()

    @property
    def is_same(self) -> bool:
        """Whether both versions decide alike, and catch the same rows."""
        return (
            self.baseline.outcome == self.edited.outcome
            and not self.n_newly_caught
            and not self.n_no_longer_caught
        )


class DifferingRow(Record):
    """A row that one version of the suite catches, and the other does not."""

    partition_key: str
    direction: Direction
    row_id: str | None
    source_file: str | None
    source_line: int | None
    position: int
    rules: tuple[str, ...]


@dataclass(frozen=True)
class _Keys:
    """The tables of one side: its bad rows, and the rules that they break."""

    side: Side

    @property
    def bad(self) -> str:
        return f"holdfast_{self.side}_bad"

    @property
    def broken(self) -> str:
        return f"holdfast_{self.side}_broken"


def keep(connection: duckdb.DuckDBPyConnection, side: Side) -> None:
    """Keep the rows that a trial on this connection found bad, before the next trial."""
    keys = _Keys(side)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {keys.bad} (partition_key VARCHAR, position BIGINT)")
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {keys.broken} "
        "(partition_key VARCHAR, position BIGINT, holdfast_rule INTEGER)"
    )
    made = {str(row[0]) for row in connection.sql("SELECT table_name FROM duckdb_tables()").fetchall()}
    if {BAD, BROKEN} <= made:
        connection.execute(f"INSERT INTO {keys.bad} SELECT partition_key, position FROM {BAD}")  # noqa: S608
        connection.execute(
            f"INSERT INTO {keys.broken} "  # noqa: S608
            f"SELECT DISTINCT partition_key, position, holdfast_rule FROM {BROKEN}"
        )
        for name in (BAD, BROKEN):
            connection.execute(f"DROP TABLE {name}")


def differences(connection: duckdb.DuckDBPyConnection, trials: dict[Side, Trial]) -> list[NightDifference]:
    """Return each night that both versions judged, in order.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        On which both trials ran, each followed by :func:`keep`.
    """
    counted = {direction: _counts(connection, trials, direction) for direction in DIRECTIONS}
    baseline, edited = trials["baseline"], trials["edited"]
    found = []
    for key in sorted(baseline.verdicts.keys() & edited.verdicts.keys()):
        (n_new, new_by), (n_gone, gone_by) = (counted[each].get(key, (0, ())) for each in DIRECTIONS)
        found.append(
            NightDifference(
                partition_key=key,
                n_rows=edited.ingestions[key].n_rows,
                baseline=_outcome(baseline, key),
                edited=_outcome(edited, key),
                n_newly_caught=n_new,
                n_no_longer_caught=n_gone,
                newly_caught_by=new_by,
                no_longer_caught_by=gone_by,
            )
        )
    return found


def differing_rows(
    connection: duckdb.DuckDBPyConnection, trials: dict[Side, Trial], *, most: int | None = None
) -> Iterator[DifferingRow]:
    """Yield the rows that only one version catches, by night and line of their source.

    Parameters
    ----------
    most : int, optional
        At most so many of each night and direction; all by default.
    """
    for direction in DIRECTIONS:
        side = _catcher(direction)
        _name_rules(connection, trials[side].suite)
        first = "QUALIFY row_number() OVER (PARTITION BY partition_key ORDER BY position) <= "
        cut = "" if most is None else f"{first}{int(most)}"
        query = (
            f"WITH differing AS ({_differing(direction)} {cut}) "  # noqa: S608
            "SELECT partition_key, any_value(row_id), any_value(source_file), any_value(source_line), "
            "position, coalesce(list(title ORDER BY holdfast_rule) FILTER (WHERE title IS NOT NULL), []) "
            f"FROM differing JOIN {RAW} USING (partition_key, position) "
            f"LEFT JOIN {_Keys(side).broken} USING (partition_key, position) "
            f"LEFT JOIN {_RULES} USING (holdfast_rule) "
            "GROUP BY partition_key, position ORDER BY partition_key, position"
        )
        result = connection.execute(query)
        while rows := result.fetchmany(_BATCH_ROWS):
            for key, row_id, file, line, position, rules in rows:
                yield DifferingRow(
                    partition_key=key,
                    direction=direction,
                    row_id=row_id,
                    source_file=file,
                    source_line=line,
                    position=position,
                    rules=tuple(rules),
                )


def caught_row_ids(
    connection: duckdb.DuckDBPyConnection, side: Side, partition_key: str, row_ids: Sequence[str]
) -> frozenset[str]:
    """Return which of some rows one version catches."""
    found = connection.execute(
        f"SELECT DISTINCT row_id FROM {RAW} SEMI JOIN {_Keys(side).bad} USING (partition_key, position) "  # noqa: S608
        "WHERE partition_key = ? AND row_id IN (SELECT unnest(?))",
        [partition_key, list(row_ids)],
    ).fetchall()
    return frozenset(str(row[0]) for row in found)


def _catcher(direction: Direction) -> Side:
    return "edited" if direction == "newly_caught" else "baseline"


def _differing(direction: Direction) -> str:
    catches = _Keys(_catcher(direction))
    other = _Keys("baseline" if catches.side == "edited" else "edited")
    return (
        f"SELECT partition_key, position FROM {catches.bad} "  # noqa: S608
        f"ANTI JOIN {other.bad} USING (partition_key, position)"
    )


def _counts(
    connection: duckdb.DuckDBPyConnection, trials: dict[Side, Trial], direction: Direction
) -> dict[str, tuple[int, tuple[RuleCount, ...]]]:
    side = _catcher(direction)
    titles = {rule.position: rule.title for rule in trials[side].suite.rules}
    differing = _differing(direction)
    rows = connection.sql(
        f"SELECT partition_key, count(*) FROM ({differing}) GROUP BY ALL"  # noqa: S608
    ).fetchall()
    by_rule: dict[str, list[RuleCount]] = {}
    found = connection.sql(
        f"SELECT partition_key, holdfast_rule, count(*) AS n FROM ({differing}) "  # noqa: S608
        f"JOIN {_Keys(side).broken} USING (partition_key, position) GROUP BY ALL ORDER BY n DESC, 2"
    ).fetchall()
    for key, rule, n in found:
        by_rule.setdefault(str(key), []).append(RuleCount(rule=titles[int(rule)], n_rows=int(n)))
    return {str(key): (int(n), tuple(by_rule.get(str(key), ()))) for key, n in rows}


def _name_rules(connection: duckdb.DuckDBPyConnection, suite: Suite) -> None:
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {_RULES} (holdfast_rule INTEGER, title VARCHAR)")
    binding = [rule for rule in suite.rules if rule.is_row_level]
    if binding:
        values = ", ".join(_named(rule) for rule in binding)
        connection.execute(f"INSERT INTO {_RULES} VALUES {values}")  # noqa: S608


def _named(rule: Rule) -> str:
    return f"({rule.position}, {literal(rule.title)})"


def _outcome(trial: Trial, key: str) -> SideOutcome:
    verdict = trial.verdicts[key]
    return SideOutcome(
        outcome=verdict.outcome, n_quarantined=trial.n_bad.get(key, 0), reasons=verdict.reasons
    )
