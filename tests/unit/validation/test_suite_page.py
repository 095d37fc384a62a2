"""The page of a suite: whole in itself, and inert."""

from __future__ import annotations

from collections.abc import Callable

from pipelines.validation.suite import Suite
from pipelines.validation.suite_page import suite_page

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=y>"


def test_nothing_of_a_suite_comes_alive_and_its_text_stays(make_suite: Callable[[str], Suite]) -> None:
    suite = make_suite(
        f"""
  - type: expect_column_values_to_be_in_set
    severity: critical
    column: site
    value_set: ["{HOSTILE}"]
    notes: ["{HOSTILE}", plain]
    description: "{HOSTILE}"
  - {{type: expect_column_values_to_match_regex, severity: info, column: site, regex: "<b>[a-z]"}}
  - {{type: expect_column_mean_to_be_between, severity: info, column: level, min_value: {{$REFERENCE: min}},
     row_condition: 'col("level") > 3', condition_parser: great_expectations, meta: {{a: {{b: 1}}}}}}
"""
    )
    page = suite_page(suite, title="meters <raw>")
    for alive in ("<script", "<img", "src=x onerror=y>"):
        assert alive not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "&lt;b&gt;[a-z]" in page
    assert "<h1>meters &lt;raw&gt;</h1>" in page
    assert "http" not in page.replace("http-equiv", "")
