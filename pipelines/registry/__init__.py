"""Runs and model versions in MLflow, the gates a challenger must pass, and what a model is made of."""

import os

# Read by MLflow when the modules of this package import it: no telemetry, no progress bars in a task's log.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
