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
