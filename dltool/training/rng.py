"""Random numbers of a run: seeded for it, saved with it, and given back to the caller as they were."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Within the block the generators of torch (CPU and ``device``), Python and numpy start from ``seed``."""
    with randomness_kept(device):
        torch.default_generator.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002 - a user's own code may draw from the global generator
        if device.type != "cpu":
            torch.get_device_module(device).manual_seed(seed)
        yield


@contextmanager
def randomness_kept(device: torch.device) -> Iterator[None]:
    """Whatever the block draws, every generator leaves it as it was."""
    before = capture(device)
    try:
        yield
    finally:
        restore(before, device)


def capture(device: torch.device) -> dict[str, Any]:
    """The state of every generator that training may draw from, as tensors and plain values."""
    name, keys, *rest = cast("tuple[Any, ...]", np.random.get_state(legacy=True))  # noqa: NPY002
    state = {
        "torch": torch.get_rng_state(),
        "python": random.getstate(),
        "numpy": (name, torch.from_numpy(keys.astype(np.int64)), *rest),
    }
    if device.type != "cpu":
        state["device"] = torch.get_device_module(device).get_rng_state(device)
    return state


def restore(state: dict[str, Any], device: torch.device) -> None:
    """Set every generator to what ``capture`` found."""
    torch.set_rng_state(state["torch"])
    random.setstate(state["python"])
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    if device.type != "cpu":
        torch.get_device_module(device).set_rng_state(state["device"], device)
