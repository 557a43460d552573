"""The plain loop that a user would write, with a full look after every step: what nan-hunt is measured against.

It shares no code with dltool: only the conventions of a factory (seed 0, schedules stepped per epoch but for OneCycleLR).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Seen:
    """The first step after which something was bad that was not bad before, and what."""

    step: int
    what: frozenset[str]


@dataclass(frozen=True)
class Plain:
    """A run by itself: what was seen, None where it stayed healthy, and what it left."""

    seen: Seen | None
    model: nn.Module
    optimizer: torch.optim.Optimizer


def train_plainly(factory: Callable[[], Any], steps: int, innocent_kind: str | None = None) -> Plain:
    """Train for ``steps`` steps, or until a value goes bad that was finite, those of ``innocent_kind`` apart."""
    seed_everything()
    parts = factory()
    parts = parts if isinstance(parts, Mapping) else {"model": parts}
    model, loss_of = parts["model"], _criterion(parts.get("loss", F.cross_entropy))
    optimizer = parts.get("optimizer") or torch.optim.AdamW(model.parameters(), lr=1e-3)
    if not isinstance(optimizer, torch.optim.Optimizer):
        optimizer = optimizer([p for p in model.parameters() if p.requires_grad])
    scheduler = parts.get("scheduler")
    if scheduler is not None and not hasattr(scheduler, "step"):
        scheduler = scheduler(optimizer)
    scaler = parts.get("scaler")
    innocent = _bad_names(model, optimizer)
    seed_everything()
    model.train()
    step = 0
    for epoch in _epochs(parts["batches"], parts.get("epoch_steps")):
        for inputs, target in epoch:
            if step == steps:
                return Plain(None, model, optimizer)
            what = _step(_Parts(model, loss_of, optimizer, scaler), inputs, target)
            what |= {kind for kind, _ in _bad_names(model, optimizer) - innocent if kind != innocent_kind}
            if what:
                return Plain(Seen(step, frozenset(what)), model, optimizer)
            step += 1
            if scheduler is not None and isinstance(scheduler, torch.optim.lr_scheduler.OneCycleLR):
                scheduler.step()
        if scheduler is not None and not isinstance(scheduler, torch.optim.lr_scheduler.OneCycleLR):
            scheduler.step()
    raise AssertionError("epochs go on for ever")


def seed_everything() -> None:
    """Every global generator at 0."""
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002


@dataclass(frozen=True)
class _Parts:
    model: nn.Module
    loss_of: Callable[..., Tensor]
    optimizer: Any
    scaler: Any


def _step(parts: _Parts, inputs: Any, target: Any) -> set[str]:
    model, optimizer, scaler = parts.model, parts.optimizer, parts.scaler
    optimizer.zero_grad()
    try:
        loss = parts.loss_of(model(inputs), target)
    except (ValueError, RuntimeError, AssertionError):
        return {"error"}
    if not torch.isfinite(loss):
        return {"loss"}
    if scaler is None:
        loss.backward()
        bad = {"gradient"} if any(_bad(p.grad) for p in model.parameters() if p.grad is not None) else set()
        optimizer.step(*_closures(parts, loss, inputs, target))
        return bad
    unscaled = torch.autograd.grad(loss, list(model.parameters()), retain_graph=True, allow_unused=True)
    bad = {"gradient"} if any(_bad(grad) for grad in unscaled if grad is not None) else set()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    return bad


def _closures(parts: _Parts, loss: Tensor, inputs: Any, target: Any) -> list[Callable[[], Tensor]]:
    """What LBFGS calls again and again; its first call asks for what is already there."""
    if not isinstance(parts.optimizer, torch.optim.LBFGS):
        return []
    known = [loss.detach()]

    def closure() -> Tensor:
        if known:
            return known.pop()
        parts.optimizer.zero_grad()
        again = parts.loss_of(parts.model(inputs), target)
        again.backward()
        return again.detach()

    return [closure]


def _criterion(given: Any) -> Callable[..., Tensor]:
    if isinstance(given, Mapping) and not isinstance(given, nn.Module):
        return lambda output, target: torch.stack([term(output, target) for term in given.values()]).sum()
    return given  # type: ignore[no-any-return]


def _epochs(batches: Any, epoch_steps: int | None) -> Iterator[Any]:
    if isinstance(batches, Iterator):
        batches = list(batches)
    while True:
        yield batches(epoch_steps or 100) if callable(batches) and not hasattr(batches, "__iter__") else batches


def _bad_names(model: nn.Module, optimizer: torch.optim.Optimizer) -> set[tuple[str, str]]:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    bad = {("parameter", name) for name, parameter in model.named_parameters() if _bad(parameter)}
    bad |= {("buffer", name) for name, buffer in model.named_buffers() if _bad(buffer)}
    for parameter, state in optimizer.state.items():
        bad |= {("state", f"{names.get(id(parameter))}/{key}") for key, value in state.items() if _bad(value)}
    return bad


def _bad(value: Any) -> bool:
    if not isinstance(value, Tensor):
        return False
    values = value.detach().coalesce().values() if value.is_sparse else value.detach()
    return bool((values.is_floating_point() or values.is_complex()) and not torch.isfinite(values).all())
