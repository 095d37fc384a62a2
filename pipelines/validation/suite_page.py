"""One page of a suite, as Great Expectations words it: no script, no address outside the page."""

from __future__ import annotations

from dataclasses import replace
from html import escape

import great_expectations as gx
from great_expectations.render.renderer.page_renderer import ExpectationSuitePageRenderer

from pipelines.validation.docs import POLICY, STYLE
from pipelines.validation.rules import Rule
from pipelines.validation.suite import Suite
from pipelines.validation.views import escaped, rendered


def suite_page(suite: Suite, *, title: str) -> str:
    """Return a suite as HTML that is whole in itself, and runs nothing.

    Parameters
    ----------
    title : str
        Heads the page. A table of severities and notes, which Great Expectations does not show, comes first.
    """
    rows = "".join(_row(rule) for rule in suite.rules)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f"<style>{STYLE}</style></head><body>\n<h1>{escape(title)}</h1>\n"
        f"<p>{len(suite.rules)} expectations, digest <code>{suite.digest[:12]}</code>.</p>\n"
        "<table><thead><tr><th>line</th><th>severity</th><th>expectation</th><th>arguments</th>"
        f"<th>notes</th></tr></thead><tbody>{rows}</tbody></table>\n{_sections(suite)}\n</body></html>\n"
    )


def _row(rule: Rule) -> str:
    bounds = ", ".join(f"{name}={value}" for name, value in rule.bounds.items())
    notes = rule.arguments.get("notes") or ""
    said = "; ".join(notes) if isinstance(notes, list) else str(notes)
    cells = (rule.line, rule.severity, rule.title, bounds, said)
    return f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in cells)}</tr>"


def _sections(suite: Suite) -> str:
    plain = gx.ExpectationSuite(
        name=escape(suite.name),
        # Great Expectations prints values raw.
        expectations=[_escaped_rule(rule).expectation() for rule in suite.rules],
    )
    return rendered(ExpectationSuitePageRenderer().render(plain))


def _escaped_rule(rule: Rule) -> Rule:
    # A condition is a language: escaped, it could not be read.
    kept = ("row_condition", "condition_parser")
    arguments = {name: value if name in kept else escaped(value) for name, value in rule.arguments.items()}
    return replace(rule, arguments=arguments)
