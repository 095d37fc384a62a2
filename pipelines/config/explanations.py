"""What is wrong with a configuration, in words that name the key and the nearest valid one."""

from __future__ import annotations

import difflib
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError


def explain(error: ValidationError, where: str, model: type[BaseModel], prefix: str = "") -> str:
    """Return what pydantic found wrong, in at most five sentences that start with ``where``."""
    lines = []
    for problem in error.errors()[:5]:
        location = [str(part) for part in problem["loc"]]
        key = prefix + (".".join(location).upper() if prefix else ".".join(location))
        if problem["type"] == "extra_forbidden":
            known = _fields_at(model, location[:-1])
            lines.append(f"{where}: unknown key `{key}`.{nearest(location[-1], known, prefix)}")
        else:
            lines.append(f"{where}: `{key}`: {problem['msg']}.")
    more = error.error_count() - len(lines)
    return " ".join(lines) + (f" (and {more} more)" if more > 0 else "")


def _fields_at(model: type[BaseModel], location: list[str]) -> list[str]:
    """Return the field names of the model that ``location`` leads to, through dicts of models."""
    current: Any = model
    for part in location:
        fields = getattr(current, "model_fields", None)
        annotation = fields[part].annotation if fields and part in fields else None
        if annotation is None:
            continue  # a key of a dict of models: the model stays
        current = get_args(annotation)[1] if get_origin(annotation) is dict else annotation
    return list(getattr(current, "model_fields", {}))


def nearest(name: str, known: Any, prefix: str = "") -> str:
    """Return the sentence that names the nearest of the known names, or some of them."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        found = prefix + (close[0].upper() if prefix else close[0])
        return f" Did you mean `{found}`?"
    return f" Known: {', '.join(names[:12])}." if names else ""
