"""What a repeat of a training is given."""

from __future__ import annotations

import yaml


def params_to_repeat(params: bytes, *, n_trials: int) -> bytes:
    """Return the ``params.yaml`` of a training for a repeat of it.

    A search that the time ended is repeated with as many trials as it had, wherever that is.

    Parameters
    ----------
    n_trials : int
        On record with the model; 0 of a training without a search.
    """
    if not n_trials:
        return params
    content = yaml.safe_load(params)
    content["run"]["n_trials"] = n_trials
    return yaml.safe_dump(content, sort_keys=False).encode()
