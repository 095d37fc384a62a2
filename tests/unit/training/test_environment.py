"""The description of an environment, and its digest."""

from __future__ import annotations

import platform

import numpy as np

from pipelines.training.environment import compare_environments, describe_environment, environment_digest


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


def test_what_differs_is_named_package_by_package_after_the_interpreter() -> None:
    then = "# CPython 3.11.9\n# linux-x86_64\nabsl==2.0\nnumpy==2.4.5\ntorch==2.13.0\n"
    now = "# CPython 3.12.1\n# linux-x86_64\nnumpy==2.4.6\ntorch==2.13.0\nzarr==3.0\n"

    assert compare_environments(then, then) == []
    assert compare_environments(then, now) == [
        "interpreter CPython 3.11.9 -> CPython 3.12.1",
        "absl 2.0 -> absent",
        "numpy 2.4.5 -> 2.4.6",
        "zarr absent -> 3.0",
    ]


def test_a_package_that_is_there_twice_is_named_with_both_versions() -> None:
    then = "# CPython 3.11.9\n# linux-x86_64\nnumpy==2.4.5\n"

    assert compare_environments(then, then + "numpy==2.4.6\n") == ["numpy 2.4.5 -> 2.4.5, 2.4.6"]
