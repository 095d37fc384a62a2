"""Challengers as MLflow's model versions, and its aliases."""

from __future__ import annotations

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from pipelines.errors import ConfigError
from pipelines.records import TrainedModel
from pipelines.registry.engine import insert_or_find
from pipelines.registry.runs import DIGEST_TAG, KEY_TAG, MODEL

# MLflow's database has no room for more.
_MAX_DESCRIPTION_CHARS = 5_000
_MORE = "\n\n…\n"


def ensure_registered_model(client: MlflowClient, name: str) -> None:
    """Make the registered model, unless it is there."""
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def versions_of(client: MlflowClient, trained: TrainedModel) -> list[int]:
    """Return the numbers of all versions of one training, lowest first."""
    found = client.search_model_versions(
        f"name = '{trained.dataset}' and tag.`{KEY_TAG}` = '{trained.training_key}'"
    )
    return sorted(int(version.version) for version in found)


def create_version(client: MlflowClient, trained: TrainedModel) -> None:
    """Give the model that lies in the training's run the next number."""
    client.create_model_version(
        trained.dataset,
        source=f"runs:/{trained.mlflow_run_id}/{MODEL}",
        run_id=trained.mlflow_run_id,
        tags={KEY_TAG: trained.training_key, DIGEST_TAG: trained.bundle_digest},
        description=(
            f"{trained.candidate}, {trained.first_partition} to {trained.last_partition}: {trained.reason}"
        ),
    )


def describe_version(client: MlflowClient, name: str, model_version: str, description: str) -> None:
    """Give a version the description that MLflow's page shows; as much of it as MLflow takes."""
    if len(description) > _MAX_DESCRIPTION_CHARS:
        kept = description[: _MAX_DESCRIPTION_CHARS - len(_MORE)].rpartition("\n## ")[0]
        description = kept + _MORE
    client.update_model_version(name, model_version, description)


def delete_version(client: MlflowClient, name: str, version: int) -> None:
    """Delete a version, unless somebody else just did; its number is never given again."""
    try:
        client.delete_model_version(name, str(version))
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise


def version_of(client: MlflowClient, name: str, model_version: str) -> ModelVersion:
    """Return a version.

    Raises
    ------
    ConfigError
        If MLflow has none of that number.
    """
    try:
        return client.get_model_version(name, model_version)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        raise ConfigError(f"MLflow has no model version {model_version!r} of {name}.") from error


def aliases_of(client: MlflowClient, name: str) -> dict[str, str]:
    """Return the version that each alias points at; none if there is no registered model yet."""
    try:
        found = client.get_registered_model(name).aliases
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return {}
    return {alias: str(version) for alias, version in found.items()}


def tag_of(client: MlflowClient, name: str, tag: str) -> str | None:
    """Return a tag of a registered model; None if it has none of that name, or there is no such model."""
    try:
        found: dict[str, str] = client.get_registered_model(name).tags
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    return found.get(tag)


def set_tag(client: MlflowClient, name: str, tag: str, value: str) -> None:
    """Give a registered model a tag; the last writer wins."""
    insert_or_find(lambda: client.set_registered_model_tag(name, tag, value))


def point_alias(client: MlflowClient, name: str, alias: str, model_version: str) -> None:
    """Point an alias at a version; the last writer wins."""
    insert_or_find(lambda: client.set_registered_model_alias(name, alias, model_version))
