"""The environment that a model was made in, as text and as a digest."""

from __future__ import annotations

import hashlib
import platform
import sysconfig
from importlib.metadata import distributions


def describe_environment() -> str:
    """Return the Python version, the platform and every installed ``name==version``, a line each.

    The same set gives the same text: names are normalised and sorted. The kernel's release is
    left out, since it changes nothing about a model.
    """
    installed = {
        f"{distribution.name.lower().replace('_', '-')}=={distribution.version}"
        for distribution in distributions()
        if distribution.name
    }
    interpreter = f"{platform.python_implementation()} {platform.python_version()}"
    return "\n".join([f"# {interpreter}", f"# {sysconfig.get_platform()}", *sorted(installed)]) + "\n"


def environment_digest(description: str) -> str:
    """Return the SHA-256 of an environment's description, in hex."""
    return hashlib.sha256(description.encode()).hexdigest()


def compare_environments(then: str, now: str) -> list[str]:
    """Return what differs between two descriptions: ``numpy 2.4.5 -> 2.4.6``, one a package.

    The interpreter and the platform come first, by their whole lines.
    """
    before, after = _parts(then), _parts(now)
    names = sorted(before.keys() | after.keys(), key=lambda name: (not name.startswith("#"), name))
    return [
        f"{name.removeprefix('# ')} {before.get(name, 'absent')} -> {after.get(name, 'absent')}"
        for name in names
        if before.get(name) != after.get(name)
    ]


def _parts(description: str) -> dict[str, str]:
    lines = description.splitlines()
    head = [line.removeprefix("# ") for line in lines if line.startswith("#")]
    parts = dict(zip(("# interpreter", "# platform"), head, strict=False))
    # One name at two versions is two installations on the path: both are told.
    for line in lines:
        name, _, version = line.partition("==")
        if version:
            parts[name] = f"{parts[name]}, {version}" if name in parts else version
    return parts
