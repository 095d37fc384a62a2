"""The description of an environment, and its digest."""

from __future__ import annotations

import platform

import numpy as np

from pipelines.training.environment import describe_environment, environment_digest


def test_environment_names_interpreter_and_every_installed_version_in_order() -> None:
    lines = describe_environment().splitlines()

    assert lines[0] == f"# {platform.python_implementation()} {platform.python_version()}"
    packages = lines[2:]
    assert f"numpy=={np.__version__}" in packages
    assert packages == sorted(set(packages))
    assert all(line.count("==") == 1 for line in packages)


def test_digest_is_of_the_text_and_stays_the_same() -> None:
    described = describe_environment()

    assert environment_digest(described) == environment_digest(describe_environment())
    assert environment_digest(described) != environment_digest(described + "torch==0.0.1\n")
