"""Where predictions are reckoned: on a GPU where there is one, else on the CPU.

CUDA can't be initialised in a process that was forked from one that has touched it, and task
runners fork. So the calling process never initialises CUDA: it asks the driver's management library
(NVML) how many devices there are, and leaves the work to a process of its own
(:mod:`pipelines.scoring.process`). On the CPU the work is done in place.
"""

from __future__ import annotations

from typing import Literal

import torch

from pipelines.errors import ConfigError

Device = Literal["cpu", "cuda"]


def choose_device(requested: str) -> Device:
    """Return the device that a request means on this machine.

    Parameters
    ----------
    requested : {"auto", "cpu", "cuda"}
        ``auto`` means ``cuda`` where there is a CUDA device, else ``cpu``.

    Raises
    ------
    ConfigError
        If ``cuda`` is requested and there is none, or the request is another word.
    """
    if requested not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"{requested!r} is no device: choose auto, cpu or cuda.")
    if requested == "cpu":
        return "cpu"
    # Unlike torch.cuda.is_available(), this asks NVML first, and so leaves CUDA untouched.
    if torch.cuda.device_count() > 0:
        return "cuda"
    if requested == "cuda":
        raise ConfigError(
            "HOLDFAST_DEVICE asks for cuda, but torch finds no CUDA device here: set it to auto or cpu, "
            "or run this step on a worker with a GPU and a CUDA build of torch."
        )
    return "cpu"
