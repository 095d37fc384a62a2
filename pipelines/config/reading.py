"""Read ``params.yaml``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from pipelines.config.datasets import Params
from pipelines.config.explanations import explain
from pipelines.errors import ConfigError


def load_params(path: Path) -> Params:
    """Read and check ``params.yaml``.

    Raises
    ------
    ConfigError
        If the file is missing, is not YAML, repeats a key, or has an unknown key or a wrong
        value; names the file and the key, and the nearest valid key.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"Can't read {path}: {error.strerror}. Set HOLDFAST_PARAMS or restore it."
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8.") from error
    try:
        content = yaml.load(text, Loader=StrictLoader)  # noqa: S506 - a SafeLoader, made stricter
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error
    except (RecursionError, TypeError, ValueError) as error:
        # Nested too deeply, a key that is a list, a number of thousands of digits.
        raise ConfigError(f"{path} can't be read as YAML: {error}.") from error
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise ConfigError(explain(error, path.name, Params)) from error


class StrictLoader(yaml.SafeLoader):
    """A safe loader that refuses a key written twice, of which YAML would keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is written twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)
