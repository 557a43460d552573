"""How a spec wants to be trained (``core.measured.design.Plan``), with the key that said so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dltool.core.measured.design import Plan
from dltool.specs.load import LoadedSpec
from dltool.specs.schema.base import Target
from dltool.specs.schema.model import Layered

FROM_OPTIMIZER = ("lr", "momentum", "weight_decay")
FROM_REGULARIZE = ("l1", "l2", "max_norm")
FROM_TRAIN = ("epochs", "clip_norm", "clip_value", "precision", "early_stopping")
FROM_DATA = ("shuffle", "normalize", "batch_size")


def plan_of(loaded: LoadedSpec, train_samples: int | None) -> Plan:
    """The plan; how many steps an epoch has follows from ``train_samples`` where they are known."""
    spec = loaded.spec
    data, train, regularize = spec.data, spec.train, spec.regularize
    optimizer = spec.optimizer
    known = None if isinstance(optimizer, Target) else optimizer
    size = None if data.batch_size == "full" else data.batch_size
    steps = None
    if train_samples is not None:
        batches = 1 if size is None else -(-train_samples // size)
        steps = -(-batches // train.accumulate)
    schedule = spec.schedule
    peak = getattr(schedule, "max_lr", None)
    return Plan(
        optimizer=optimizer.target if isinstance(optimizer, Target) else None if optimizer is None else optimizer.kind,
        lr=getattr(known, "lr", None) if peak is None else peak,
        momentum=getattr(known, "momentum", None),
        weight_decay=getattr(known, "weight_decay", None),
        l1=regularize.l1,
        l2=regularize.l2,
        max_norm=regularize.max_norm,
        clip_norm=train.clip_norm,
        clip_value=train.clip_value,
        schedule=None if schedule is None else schedule.kind,
        warmup_steps=None if schedule is None else schedule.warmup,
        epochs=train.epochs,
        steps_per_epoch=steps,
        batch_size=size,
        full_batch=size is None or (train_samples is not None and train_samples <= size),
        shuffle=data.shuffle,
        early_stopping=train.early_stopping is not None,
        precision=train.precision,
        normalize=data.normalize,
        pretrained=isinstance(spec.model, Layered) and spec.model.pretrained is not None,
        keys=dict(_keys(loaded.resolved)),
    )


def _keys(resolved: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Only keys that the spec wrote: a default has no line."""
    optimizer = _only(resolved, "optimizer")
    if optimizer is not None:
        yield "optimizer", f"optimizer.{optimizer}" if isinstance(resolved["optimizer"], dict) else "optimizer"
        yield from _written(resolved["optimizer"], optimizer, f"optimizer.{optimizer}", FROM_OPTIMIZER, first="lr")
    schedule = _only(resolved, "schedule")
    if schedule is not None:
        yield "schedule", f"schedule.{schedule}" if isinstance(resolved["schedule"], dict) else "schedule"
        for field, key in _written(resolved["schedule"], schedule, f"schedule.{schedule}", ("warmup", "max_lr"), first=None):
            yield {"warmup": "warmup_steps", "max_lr": "lr"}[field], key
        if schedule == "one_cycle" and not isinstance(resolved["schedule"][schedule], dict):
            yield "lr", "schedule.one_cycle"
    for section, names in (("regularize", FROM_REGULARIZE), ("train", FROM_TRAIN), ("data", FROM_DATA)):
        yield from ((name, f"{section}.{name}") for name in names if name in (resolved.get(section) or {}))
    if isinstance(resolved["model"], dict) and resolved["model"].get("pretrained"):
        yield "pretrained", "model.pretrained"


def _only(resolved: dict[str, Any], section: str) -> str | None:
    """The name in a section that holds one, however it is written; None for absent ones and the user's own code."""
    form = resolved.get(section)
    if isinstance(form, str):
        return form
    return next(iter(form)) if isinstance(form, dict) and len(form) == 1 else None


def _written(form: Any, name: str, prefix: str, names: tuple[str, ...], *, first: str | None) -> Iterator[tuple[str, str]]:
    given = form[name] if isinstance(form, dict) else None
    if isinstance(given, dict):
        yield from ((field, f"{prefix}.{field}") for field in names if field in given)
    elif given is not None and first is not None:
        yield first, prefix
