"""Where things live: the environment's ``HOLDFAST_*`` variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import SecretStr, ValidationError

from pipelines.config.base import PROJECT_ROOT, Closed
from pipelines.config.explanations import explain
from pipelines.errors import ConfigError


class Settings(Closed):
    """Where things live; every field is the variable ``HOLDFAST_<FIELD>``.

    The defaults are the embedded stack: all below ``home``, and nothing to set up. ``notify_urls`` holds
    Apprise's addresses of people, parted by white space; they are secrets. ``pages_url`` is where Holdfast's
    pages are reached from outside, for the links in messages.
    """

    project: Path
    params: Path
    home: Path
    sources: Path
    lake_uri: str
    ledger_url: str
    mlflow_uri: str
    mlflow_artifacts: str
    dvc_cache: Path
    dvc_remote: str
    reports: Path
    device: Literal["auto", "cpu", "cuda"] = "auto"
    s3_endpoint_url: str | None = None
    notify_urls: SecretStr = SecretStr("")
    pages_url: str = "http://127.0.0.1:8080/holdfast"

    @property
    def storage_options(self) -> dict[str, str]:
        """Options for Delta Lake on S3; credentials come from the environment, by their AWS names."""
        if not self.lake_uri.startswith("s3://"):
            return {}
        options = {"aws_conditional_put": "etag"}
        if self.s3_endpoint_url:
            options |= {"AWS_ENDPOINT_URL": self.s3_endpoint_url}
            if self.s3_endpoint_url.startswith("http://"):
                options |= {"AWS_ALLOW_HTTP": "true"}
        return options


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the ``HOLDFAST_*`` variables and fill in the embedded defaults.

    Parameters
    ----------
    environ : mapping, optional
        The environment to read; the process's own by default.

    Raises
    ------
    ConfigError
        If a variable is unknown (the nearest known one is named) or has a wrong value.
    """
    environ = os.environ if environ is None else environ
    given = {
        key.removeprefix("HOLDFAST_").lower(): value
        for key, value in environ.items()
        if key.startswith("HOLDFAST_") and value
    }
    project = Path(given.get("project", PROJECT_ROOT)).resolve()
    home = Path(given.get("home", project / "var")).resolve()
    defaults: dict[str, Any] = {
        "project": project,
        "params": project / "params.yaml",
        "home": home,
        "sources": home / "sources",
        "lake_uri": str(home / "lake"),
        "ledger_url": f"sqlite:///{home / 'ledger.db'}",
        "mlflow_uri": f"sqlite:///{home / 'mlflow' / 'mlflow.db'}",
        "mlflow_artifacts": str(home / "mlflow" / "artifacts"),
        "dvc_cache": home / "dvc" / "cache",
        "dvc_remote": str(home / "dvc" / "remote"),
        "reports": home / "reports",
    }
    merged = defaults | given | {"project": project, "home": home}
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        raise ConfigError(explain(error, "environment", Settings, prefix="HOLDFAST_")) from error
