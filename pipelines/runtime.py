"""The ports that steps work through, opened once at the edge and passed down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from pipelines.config import DatasetConfig, Params, Settings, load_params, load_settings
from pipelines.ledger.ledger import Ledger
from pipelines.storage.lake import Lake

if TYPE_CHECKING:
    from pipelines.registry.mlflow_registry import Registry


@dataclass(frozen=True)
class Runtime:
    """Configuration and open stores.

    Parameters
    ----------
    settings, params : Settings, Params
        Where things live, and what is done.
    run_id : str, optional
        The run that the steps are part of, as ``dag_id/run_id`` of Airflow; decisions bear it.

    Notes
    -----
    Stores open at first use: a command that only reads the ledger never imports MLflow.
    """

    settings: Settings
    params: Params
    run_id: str | None = None

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, *, run_id: str | None = None) -> Runtime:
        """Read settings and params.

        Raises
        ------
        ConfigError
            As :func:`~pipelines.config.load_settings` and :func:`~pipelines.config.load_params`.
        """
        settings = load_settings(environ)
        return cls(settings=settings, params=load_params(settings.params), run_id=run_id)

    def dataset(self, name: str) -> DatasetConfig:
        """Return the configuration of one dataset; ConfigError if there is none of that name."""
        return self.params.dataset(name)

    @cached_property
    def lake(self) -> Lake:
        """The Delta tables."""
        return Lake(self.settings.lake_uri, self.settings.storage_options)

    @cached_property
    def ledger(self) -> Ledger:
        """The decisions of record."""
        return Ledger(self.settings.ledger_url, run_id=self.run_id)

    @cached_property
    def registry(self) -> Registry:
        """MLflow's runs and model versions."""
        from pipelines.registry.mlflow_registry import Registry

        return Registry(
            self.settings.mlflow_uri,
            self.settings.mlflow_artifacts,
            self.settings.home,
            self.ledger,
            s3_endpoint_url=self.settings.s3_endpoint_url,
        )
