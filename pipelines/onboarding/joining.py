"""Write the query that joins a table with the file that holds its labels."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.storage.sql import identifier


def join_query(
    name: str, *, events: str, labels: str, columns: Sequence[str], target: str, keys: Sequence[str]
) -> str:
    """Return a source query: every row of ``events``, and the target that ``labels`` holds for it.

    Parameters
    ----------
    events, labels : str
        The tables' names, as ``source.tables`` has them.
    columns : sequence of str
        Of ``events``.
    target : str
        The column of ``labels``.
    keys : sequence of str
        The columns that both tables have.
    """
    cells = ",\n    ".join(f"events.{identifier(column)}" for column in columns)
    both = ", ".join(map(identifier, keys))
    on = " AND ".join(f"events.{identifier(key)} = answers.{identifier(key)}" for key in keys)
    return (
        f"-- One row an event of {name}, with the target that the file of labels holds for it.\n"  # noqa: S608
        "-- Written by `holdfast dataset add`; edit it as you like. Cells of text files are text here.\n"
        "WITH answers AS (\n"
        "    -- One answer a key: the one that was written last.\n"
        f"    SELECT {both}, arg_max({identifier(target)}, holdfast_line) AS answer\n"
        f"    FROM {identifier(labels)}\n"
        "    GROUP BY ALL\n"
        ")\n\n"
        "SELECT\n"
        f"    {cells},\n"
        f"    answers.answer AS {identifier(target)},\n"
        "    -- Where the row stands in its file: quarantine names it.\n"
        "    events.holdfast_file,\n"
        "    events.holdfast_line,\n"
        "    events.holdfast_reject\n"
        f"FROM {identifier(events)} AS events\n"
        f"LEFT JOIN answers ON {on}\n"
    )
