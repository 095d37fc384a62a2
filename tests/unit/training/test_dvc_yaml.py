"""``dvc.yaml`` names all that a stage's result depends on: a stale result is never taken for a new one."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any

import grimp
import pytest
import yaml

from pipelines.config import PROJECT_ROOT
from pipelines.steps import stages

STAGES: dict[str, Any] = yaml.safe_load((PROJECT_ROOT / "dvc.yaml").read_text())["stages"]
# They carry messages and parse arguments; no byte of a result comes from them.
WITHOUT_RESULT = {"pipelines", "pipelines.errors", "pipelines.steps"}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("pipelines", cache_dir=None)


def _modules_of(stage: str, graph: grimp.ImportGraph) -> set[str]:
    """Return every module of ours that a stage may run: what its function imports, and what that imports."""
    tree = ast.parse(inspect.getsource(stages))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    top = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    wanted = [functions.pop(f"run_{stage}"), *top]
    # Shared helpers count for every stage; the other stages' own functions do not.
    wanted += [
        node for name, node in functions.items() if not name.startswith("run_") and name in _named(wanted[0])
    ]
    direct = {
        node.module
        for root in wanted
        for node in ast.walk(root)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("pipelines")
    }
    found = direct.union(*(graph.find_upstream_modules(module) for module in direct)) - WITHOUT_RESULT
    return {module for module in found if not module.startswith("pipelines.cli")}


def _named(function: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}


def _file_of(module: str) -> Path:
    path = PROJECT_ROOT / Path(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_a_stage_depends_on_every_module_that_it_runs(stage: str, graph: grimp.ImportGraph) -> None:
    declared = [PROJECT_ROOT / path for path in STAGES[stage]["deps"]]

    missing = {
        module
        for module in _modules_of(stage, graph)
        if not any(_file_of(module).is_relative_to(path) for path in declared)
        # A package's docstring is no result either.
        and not (_file_of(module).name == "__init__.py" and _is_only_docstring(_file_of(module)))
    }

    assert missing == set()


def _is_only_docstring(path: Path) -> bool:
    return all(isinstance(node, ast.Expr) for node in ast.parse(path.read_text()).body)


def test_every_stage_has_a_function_and_every_function_a_stage() -> None:
    assert set(STAGES) == set(stages.STAGES)
    assert all(stage["cmd"] == f"python -m pipelines.cli stage {name}" for name, stage in STAGES.items())


def test_code_that_a_stage_depends_on_exists() -> None:
    code = {path for stage in STAGES.values() for path in stage["deps"] if path.startswith("pipelines/")}

    assert [path for path in sorted(code) if not (PROJECT_ROOT / path).exists()] == []


def test_what_a_stage_reads_is_what_one_before_it_wrote() -> None:
    made = {
        "workspace/inputs/snapshot.json",
        "workspace/inputs/features.sql",
        "workspace/inputs/features_suite.yaml",
        "workspace/inputs/environment.txt",
    }
    for stage in STAGES.values():
        read = [path for path in stage["deps"] if path.startswith("workspace/")]
        assert [path for path in read if not any(Path(path).is_relative_to(out) for out in made)] == []
        plots = [path for plot in stage.get("plots", []) for path in plot]
        made |= {*stage.get("outs", []), *stage.get("metrics", []), *plots}
