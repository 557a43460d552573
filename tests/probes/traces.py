"""Everything about a model and its surroundings that a probe could change, to compare bit for bit."""

from __future__ import annotations

import pickle
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def snapshot(model: nn.Module) -> dict[str, Any]:
    name, keys, *rest = np.random.get_state()  # noqa: NPY002
    return {
        "parameters": {n: (id(p), p.detach().clone(), _copy(p.grad)) for n, p in model.named_parameters()},
        "buffers": {n: (id(b), b.clone()) for n, b in model.named_buffers()},
        "modes": [m.training for m in model.modules()],
        "attributes": [sorted(vars(m)) for m in model.modules()],
        "hooks": [hooks_on(m) for m in model.modules()],
        "torch": torch.get_rng_state(),
        "numpy": (name, keys.tolist(), *rest),
        "python": random.getstate(),
        "grad": torch.is_grad_enabled(),
        "fused": torch.backends.mha.get_fastpath_enabled(),
    }


def hooks_on(module: nn.Module) -> int:
    return sum(len(v) for k, v in vars(module).items() if k.endswith("_hooks"))


def same(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor):
        return isinstance(b, Tensor) and a.dtype == b.dtype and torch.equal(_bits(a), _bits(b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


@contextmanager
def left_as_found(model: nn.Module) -> Iterator[None]:
    """Fails unless the block left everything as it was, whether it raised or not."""
    before, could_pickle = snapshot(model), _pickles(model)
    try:
        yield
    finally:
        after = snapshot(model)
        changed = [key for key in before if not same(before[key], after[key])]
        assert not changed, f"changed: {changed}"
        assert _pickles(model) == could_pickle


def _pickles(model: nn.Module) -> bool:
    try:
        pickle.dumps(model)
    except (AttributeError, TypeError, pickle.PicklingError):
        return False
    return True


def _copy(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.clone()


def _bits(tensor: Tensor) -> Tensor:
    flat = tensor.detach().contiguous().reshape(-1)
    return flat.view(torch.uint8) if flat.numel() else flat
