from pipelines.stack.table import aligned


def test_columns_are_as_wide_as_their_widest_cell_and_numbers_flush_right():
    lines = aligned([("name", "n"), ("a", "5"), ("longer", "1000")], right={1})

    assert lines == [
        "name       n",
        "──────  ────",
        "a          5",
        "longer  1000",
    ]


def test_a_table_without_rows_has_its_heading():
    assert aligned([("a", "b")]) == ["a  b", "─  ─"]
