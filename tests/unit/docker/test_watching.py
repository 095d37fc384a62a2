"""Every query of the dashboard and of the rules names figures that exist, and services find each other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
import yaml
from watched_ledger import fill

from pipelines.config import PROJECT_ROOT
from pipelines.monitoring.telling.gauges import GAUGES
from pipelines.steps.metrics import collect

DOCKER = PROJECT_ROOT / "docker"
DASHBOARD = json.loads((DOCKER / "grafana/dashboards/holdfast.json").read_text())
RULES = yaml.safe_load((DOCKER / "prometheus/rules.yaml").read_text())
SERVICES = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]
_WORDS = frozenset({"and", "or", "unless", "bool", "offset", "inf", "nan"})
_SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\s*\{([^}]*)\}")
_LABELS = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")


def names_in(query: str) -> set[str]:
    """Return the metrics that a PromQL query names: no functions, no labels, no words of PromQL."""
    text = re.sub(r'"[^"]*"|\'[^\']*\'', "''", query)
    text = _LABELS.sub(" ", text)
    text = re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", text)
    found = re.findall(r"(?<![\w:.])([a-zA-Z_:][\w:]*)\b(?!\s*\()", text)
    return {name for name in found if name.lower() not in _WORDS}


def labels_in(query: str) -> Iterator[tuple[str, str]]:
    """Give each metric of a query with each label that it is narrowed by."""
    for name, inside in _SELECTOR.findall(query):
        for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", re.sub(r'"[^"]*"', "''", inside)):
            yield name, label


@pytest.mark.parametrize(
    ("query", "names"),
    [
        pytest.param('a_b{x=~"$c"} > 36 * 3600', {"a_b"}, id="selector"),
        pytest.param(
            'sum by (job) (rate(a:b[5m])) / on(x) group_left(y) c{z="d"}', {"a:b", "c"}, id="groups"
        ),
        pytest.param("clamp_min(a, 0.001) or absent(b) == bool 1e3", {"a", "b"}, id="functions"),
        pytest.param("histogram_quantile(0.9, a_bucket) offset 5m", {"a_bucket"}, id="offset"),
    ],
)
def test_names_are_told_from_the_rest_of_a_query(query, names):
    assert names_in(query) == names


def queries() -> list[tuple[str, str, str]]:
    """Return every query, with its legend, and where it stands."""
    panels = [
        (f"panel {panel['title']}", target["expr"], target["legendFormat"])
        for panel in DASHBOARD["panels"]
        for target in panel["targets"]
    ]
    rules = [
        (f"rule {rule['alert']}", rule["expr"], rule["annotations"]["summary"])
        for group in RULES["groups"]
        for rule in group["rules"]
    ]
    variables = []
    for variable in DASHBOARD["templating"]["list"]:
        metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"]).groups()
        variables.append((f"variable {variable['name']}", metric, f"{{{{{label}}}}}"))
    return [*panels, *rules, *variables]


@pytest.fixture
def exported(runtime) -> dict[str, set[str]]:
    """Return the labels of each figure that is really exported from a ledger."""
    fill(runtime.ledger)
    labels: dict[str, set[str]] = {}
    for sample in collect(runtime):
        labels.setdefault(sample.name, set()).update(sample.labels)
    return labels


def test_every_query_names_figures_and_labels_that_are_exported(exported):
    for where, query, legend in queries():
        names = names_in(query)
        assert names, f"{where} asks for nothing"
        for name in names:
            assert name in exported, f"{where} asks for {name}, which is not exported"
        for name, label in labels_in(query):
            assert label in exported[name], f"{where}: {name} has no label {label}"
        for label in re.findall(r"\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}", legend):
            assert any(label in exported[name] for name in names), f"{where} shows the label {label}"


def test_every_figure_that_is_exported_is_drawn(exported):
    drawn = {name for where, query, _ in queries() if where.startswith("panel") for name in names_in(query)}
    assert drawn == set(exported) == set(GAUGES)


def test_panels_lie_side_by_side_and_within_the_page():
    taken = set()
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, f"{panel['title']} lies over another panel"
        taken |= cells


def test_they_find_each_other_by_the_names_of_their_services():
    scraped = yaml.safe_load((DOCKER / "prometheus/prometheus.yaml").read_text())
    (target,) = scraped["scrape_configs"][0]["static_configs"][0]["targets"]
    host, port = target.split(":")
    assert SERVICES[host]["command"][:2] == ["holdfast", "metrics"]
    assert port in SERVICES[host]["command"]
    assert "ports" not in SERVICES[host], "the figures have no login"
    source = yaml.safe_load((DOCKER / "grafana/provisioning/datasources/prometheus.yaml").read_text())
    (prometheus,) = source["datasources"]
    assert prometheus["url"] == "http://prometheus:9090"
    assert "127.0.0.1:9090:9090" in SERVICES["prometheus"]["ports"]
    used = {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]}
    assert used == {prometheus["uid"]}


def test_files_lie_where_the_services_look_for_them():
    mounted = {
        inside: DOCKER / outside
        for name in ("prometheus", "grafana")
        for outside, inside, *_ in (volume.split(":") for volume in SERVICES[name]["volumes"])
        if outside.startswith(".")
    }
    provider = yaml.safe_load((DOCKER / "grafana/provisioning/dashboards/holdfast.yaml").read_text())
    rules = yaml.safe_load((DOCKER / "prometheus/prometheus.yaml").read_text())["rule_files"]
    config = SERVICES["prometheus"]["command"][0].removeprefix("--config.file=")
    for path in (provider["providers"][0]["options"]["path"], *rules, config):
        folder = next(place for place in mounted if path.startswith(place))
        assert (mounted[folder] / path.removeprefix(folder).lstrip("/")).exists(), f"{path} is not there"
