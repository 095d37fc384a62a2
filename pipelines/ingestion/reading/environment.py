"""Values that are named in params.yaml and live in the environment."""

from __future__ import annotations

import os

from pipelines.errors import ConfigError

_PREFIX = "env:"


def from_environment(value: str, *, key: str) -> str:
    """Return ``value``, or where it is ``env:NAME`` what the environment holds under that name.

    Raises
    ------
    ConfigError
        If the variable is not set.
    """
    if not value.startswith(_PREFIX):
        return value
    name = value.removeprefix(_PREFIX)
    if not (held := os.environ.get(name)):
        raise ConfigError(f"{key} is read from the environment variable {name}, which is not set.")
    return held
