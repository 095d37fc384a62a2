"""What metrics are called in sentences and on pages."""

from __future__ import annotations

_NAMES = {"auc": "AUC", "log_loss": "log loss", "rmse": "RMSE", "mae": "MAE"}


def metric_name(name: str) -> str:
    """Return a metric as people write it; a name that is not known stays as it is.

    Examples
    --------
    >>> metric_name("auc"), metric_name("log_loss"), metric_name("lift")
    ('AUC', 'log loss', 'lift')
    """
    return _NAMES.get(name, name)
