"""Cures that can be applied to a run from outside, each as a context in which it takes its steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from dltool.probes.nested import tensors, transform
from dltool.training.experiment import Experiment

CLIP_NORM = 1.0
HALVES = frozenset({torch.float16, torch.bfloat16})


@contextmanager
def clipped(experiment: Experiment) -> Iterator[None]:
    """Every update uses gradients whose norm is at most ``CLIP_NORM``."""
    optimizer = experiment.optimizer
    assert optimizer is not None

    def clip(*_: Any) -> None:
        nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], CLIP_NORM)

    handle = optimizer.register_step_pre_hook(clip)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def slowed(experiment: Experiment, ratio: float) -> Iterator[None]:
    """Every update at ``ratio`` times its rate, whatever a schedule makes of the rate in between."""
    optimizer = experiment.optimizer
    assert optimizer is not None
    set_rates: list[Any] = []

    def lower(*_: Any) -> None:
        set_rates[:] = [group["lr"] for group in optimizer.param_groups]
        for group in optimizer.param_groups:
            group["lr"] = group["lr"] * ratio

    def give_back(*_: Any) -> None:
        for group, rate in zip(optimizer.param_groups, set_rates, strict=True):
            group["lr"] = rate

    handles = optimizer.register_step_pre_hook(lower), optimizer.register_step_post_hook(give_back)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def with_eps(holders: Sequence[Any], eps: float) -> Iterator[None]:
    """A larger eps in parameter groups or modules."""
    before = [holder["eps"] if isinstance(holder, dict) else holder.eps for holder in holders]
    try:
        for holder in holders:
            _set_eps(holder, eps)
        yield
    finally:
        for holder, value in zip(holders, before, strict=True):
            _set_eps(holder, value)


@contextmanager
def in_float32(experiment: Experiment) -> Iterator[None]:
    """Weights, buffers, optimizer states and inputs of half precision as float32, and no autocast.

    Afterwards the tensors are the ones they were; what was computed in them meanwhile is lost.
    """
    assert experiment.optimizer is not None
    model = experiment.model
    held = [t for t in (*model.parameters(), *model.buffers(), *_states(experiment.optimizer)) if t.dtype in HALVES]
    halves = [(tensor, tensor.data) for tensor in held]
    handle = model.register_forward_pre_hook(_widened, with_kwargs=True)
    try:
        for tensor, values in halves:
            tensor.grad = None
            tensor.data = values.float()
        with _without_autocast():
            yield
    finally:
        handle.remove()
        for tensor, values in halves:
            tensor.grad = None
            tensor.data = values


@contextmanager
def _without_autocast() -> Iterator[None]:
    """Every autocast that is entered within the block, a user's own too, casts nothing."""
    kind: Any = torch.amp.autocast_mode.autocast
    enter = kind.__enter__
    switched: list[tuple[Any, bool]] = []

    def stay_out(autocast: Any) -> Any:
        switched.append((autocast, autocast._enabled))  # noqa: SLF001 - there is no other switch from outside
        autocast._enabled = False  # noqa: SLF001
        return enter(autocast)

    kind.__enter__ = stay_out
    try:
        yield
    finally:
        kind.__enter__ = enter
        for autocast, enabled in reversed(switched):
            autocast._enabled = enabled  # noqa: SLF001


def _widened(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
    del module
    return transform(args, _float), transform(kwargs, _float)


def _float(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in HALVES else tensor


def _states(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [tensor for state in optimizer.state.values() for tensor in tensors(state)]


def _set_eps(holder: Any, eps: float) -> None:
    if isinstance(holder, dict):
        holder["eps"] = eps
    else:
        holder.eps = eps
