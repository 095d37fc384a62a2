"""The command ``holdfast``: verbs that parse arguments, call a step, and print its record."""

from pipelines.cli.main import app, main

__all__ = ["app", "main"]
