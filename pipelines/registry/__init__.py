"""Runs and model versions in MLflow, the gates a challenger must pass, and what a model is made of."""

import os

# Read by MLflow at its import, which the modules of this package do.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
