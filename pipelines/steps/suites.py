"""What data engineers do with a suite: lint it, try it on a night, compare it, show it, draft it.

Nothing here writes to the lake or the ledger: a suite is tried as it is on disk, committed or not.
"""

from __future__ import annotations

from pathlib import Path

from pipelines.config import DatasetConfig
from pipelines.errors import ConfigError, NotReadyError
from pipelines.features.query import load_features
from pipelines.profiling.profile import profile_relation
from pipelines.records import IngestionRecord
from pipelines.runtime import Runtime
from pipelines.storage.engine import connect
from pipelines.validation.compare import SuiteDifference, compare_suites
from pipelines.validation.draft import draft_suite
from pipelines.validation.incidents import incidents_path
from pipelines.validation.lint import LintReport, lint_incidents, lint_suite
from pipelines.validation.rules import Stage
from pipelines.validation.suite import (
    STAGES,
    Suite,
    load_suite,
    read_suite,
    read_text,
    suite_columns,
    suite_path,
)
from pipelines.validation.suite_page import suite_page
from pipelines.validation.versions import Version, version_of

_MEMORY = "768MB"
_N_DRAFT_NIGHTS = 60


def lint_suites(
    dataset: str | None = None, stage: Stage | None = None, *, runtime: Runtime
) -> list[LintReport]:
    """Return all that is wrong with the suites of a dataset, or of all datasets, and with their incidents.

    Raises
    ------
    ConfigError
        If there is no such dataset, or no such file.
    """
    project = runtime.settings.project
    reports = []
    for name in [dataset] if dataset else list(runtime.params.datasets):
        config = runtime.dataset(name)
        found = [each for each in STAGES if suite_path(project, name, each).is_file()]
        for wanted in [stage] if stage else found or ["raw"]:
            path = suite_path(project, name, wanted)
            if stage and dataset is None and not path.is_file():
                continue
            reports.append(lint_suite(read_text(path), _where(path), config, wanted))
        incidents = incidents_path(project, name)
        if stage in (None, "raw") and incidents.is_file():
            reports.append(lint_incidents(read_text(incidents), _where(incidents)))
    return reports


def diff_suites(
    dataset: str,
    *,
    runtime: Runtime,
    stage: Stage = "raw",
    against: str | None = None,
    suite_file: Path | None = None,
) -> SuiteDifference:
    """Return what changed in the meaning of a suite since another version, git's HEAD by default.

    Raises
    ------
    ConfigError
        If a version is wrong or is not there.
    """
    baseline, edited, names = both_versions(
        dataset, runtime=runtime, stage=stage, against=against, suite_file=suite_file
    )
    return compare_suites(baseline, edited, old_name=names[0], new_name=names[1])


def both_versions(
    dataset: str, *, runtime: Runtime, stage: Stage, against: str | None, suite_file: Path | None
) -> tuple[Suite | None, Suite, tuple[str, str]]:
    """Return the baseline (None where there was none), the edited suite, and the names of both."""
    config, project = runtime.dataset(dataset), runtime.settings.project
    own = suite_path(project, dataset, stage)
    edited = suite_file or own
    suite = load_suite(edited, config, stage)
    version = version_of(own, against, project=project)
    return _parsed(version, own, config, stage), suite, (version.name, _where(edited))


def _parsed(version: Version, path: Path, config: DatasetConfig, stage: Stage) -> Suite | None:
    if version.text is None:
        return None
    try:
        return read_suite(version.text, _where(path), config, stage)
    except ConfigError as error:
        raise ConfigError(
            f"The version to compare with ({version.name}) can't be read with today's params.yaml: {error}"
        ) from error


def document_suite(dataset: str, *, runtime: Runtime, stage: Stage = "raw") -> str:
    """Return the page of a suite: HTML that needs nothing else, and runs nothing."""
    path = suite_path(runtime.settings.project, dataset, stage)
    return suite_page(load_suite(path, runtime.dataset(dataset), stage), title=f"{dataset}: {stage}")


def draft(
    dataset: str,
    *,
    runtime: Runtime,
    stage: Stage = "raw",
    first: str | None = None,
    last: str | None = None,
) -> str:
    """Return the YAML of a suite for people to edit, drafted from landed (or scored) nights.

    Parameters
    ----------
    first, last : str, optional
        The nights to look at, both included; the newest 60 by default.

    Raises
    ------
    NotReadyError
        If there are no such nights.
    """
    config, lake = runtime.dataset(dataset), runtime.lake
    if stage == "predictions":
        keys = [key for key in lake.partition_keys(dataset, "predictions") if _within(key, first, last)]
    else:
        found = runtime.ledger.history(IngestionRecord, dataset, first=first, last=last)
        keys = [record.partition_key for record in found if record.n_rows]
    keys = keys if first else keys[-_N_DRAFT_NIGHTS:]
    if not keys:
        raise NotReadyError(f"{dataset} has no night to draft from: run `holdfast ingest {dataset}` first.")
    types = suite_columns(config, stage)
    with connect(memory=_MEMORY, threads=2) as connection:
        view = "holdfast_draft"
        if stage == "features":
            project = runtime.settings.project
            features = load_features(lake, dataset, config=config, project=project, partitions=keys)
            connection.register(view, features)
        else:
            table = "raw" if stage == "raw" else "predictions"
            lake.attach(connection, dataset, table, view=view, partitions=keys)
        profiles = profile_relation(connection, view, types)
        counts = connection.sql(
            f"SELECT partition_key, count(*) FROM {view} GROUP BY ALL ORDER BY ALL"  # noqa: S608
        ).fetchall()
    sizes = [int(n) for _, n in counts]
    text = draft_suite(config, profiles, n_rows_a_day=sizes, stage=stage)
    return text.replace("of the sample", f"of {keys[0]} to {keys[-1]}", 1)


def _within(key: str, first: str | None, last: str | None) -> bool:
    return (first is None or key >= first) and (last is None or key <= last)


def _where(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"
