"""A TARGET of the command line to an experiment: SPEC.yaml, path/file.py:factory or package.module:factory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.jit._script import RecursiveScriptModule

from dltool.core.errors import Problem, TargetError
from dltool.specs.build.experiment import RunOptions, build_experiment, run_length, trainable
from dltool.specs.build.loss import task_kind
from dltool.specs.build.optimizers import DEFAULT_LR
from dltool.specs.factory import call_factory, not_a_target
from dltool.specs.factory_batches import DEFAULT_EPOCH_STEPS, FactoryBatches, open_batches
from dltool.specs.factory_parts import (
    factory_criterion,
    factory_optimizer,
    factory_scaler,
    factory_schedule,
    says_when,
    stepped_when,
)
from dltool.specs.factory_trial import takes_whole_batches, tried_criterion
from dltool.specs.load import load
from dltool.specs.misfit import MisfitError
from dltool.specs.schema.train import Train
from dltool.training.experiment import Experiment, TrainSettings
from dltool.training.failure import explain

SPEC_SUFFIXES = (".yaml", ".yml")
WHOLE = "The model takes batches of one size alone: questions that need others (does it use its input?) were not asked."


def open_target(
    target: str,
    *,
    overrides: Sequence[str] = (),
    seed: int | None = None,
    device: str = "cpu",
    epochs: int | None = None,
    steps: int | None = None,
    allow_import: Sequence[str] = (),
    try_first: bool = True,
    width: int | None = None,
) -> Experiment:
    """Build what ``target`` names, ready to train on ``device``.

    ``seed`` stands in for the spec's (a factory's is 0), ``epochs`` for the spec's; ``steps`` alone runs as many epochs as
    it takes. ``allow_import`` are the packages that ``_target_`` in a spec may run code from. Without ``try_first`` a
    factory's model or loss that raises on the first batch is let pass, for those who want to see it raise in a step.
    ``width`` is what a factory that takes one is called with.

    Raises:
        SpecError: the spec.
        DataError: its data.
        TargetError: the factory, or a device that is not there.
    """
    _require_at_least(seed=(seed, 0), epochs=(epochs, 1), steps=(steps, 1))
    options = RunOptions(device=_device(device), seed=seed, epochs=epochs, steps=steps, allow_import=tuple(allow_import))
    if target.endswith(SPEC_SUFFIXES):
        return build_experiment(load(target, overrides), options)
    if ":" not in target:
        raise not_a_target(target)
    if overrides:
        raise TargetError(
            Problem(message="overrides change a spec; a factory has none", value=" ".join(overrides), expected="a SPEC.yaml")
        )
    return _from_factory(target, options, try_first=try_first, width=width)


def _require_at_least(**given: tuple[int | None, int]) -> None:
    problems = [
        Problem(message=f"--{name} is too small", value=str(value), expected=f"at least {least}")
        for name, (value, least) in given.items()
        if value is not None and value < least
    ]
    if problems:
        raise TargetError(*problems)


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError:
        raise TargetError(Problem(message="no such device", value=repr(name), expected="cpu, cuda, cuda:1 or mps")) from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise TargetError(Problem(message="torch sees no CUDA device here", value=repr(name), expected="cpu"))
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise TargetError(
            Problem(message="there is no such CUDA device", value=repr(name), expected=f"below {torch.cuda.device_count()}")
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise TargetError(Problem(message="torch sees no MPS device here", value=repr(name), expected="cpu"))
    if device.type not in {"cpu", "cuda", "mps"}:
        raise TargetError(Problem(message="nothing can be trained on this device", value=repr(name), expected="cpu or cuda"))
    return device


def _from_factory(target: str, options: RunOptions, *, try_first: bool, width: int | None) -> Experiment:
    seed = 0 if options.seed is None else options.seed
    given: Any = call_factory(target, seed, width)
    assumptions: list[str] = []
    model = _placed(given["model"], options.device)
    train = _batches(given, "batches", target, seed, assumptions, at_least=options.steps or 0)
    val = None if "val_batches" not in given else _batches(given, "val_batches", target, seed, assumptions)
    try:
        criterion, output, expected = tried_criterion(
            given, model, train, seed=seed, device=options.device, assumptions=assumptions
        )
        whole = takes_whole_batches(model, train, options.device)
    except MisfitError as misfit:
        raise TargetError(*misfit.problems) from misfit
    except TargetError:  # it will be raised again by the first step
        if try_first or "loss" not in given:
            raise
        criterion, output, expected, whole = factory_criterion(given["loss"]), None, None, False
    if whole:
        assumptions.append(WHOLE)
        for source in (train, *(() if val is None else (val,))):
            source.deliver_whole()
    epochs, _ = run_length(train, _default_epochs(options, assumptions), 1, options)
    optimizer = factory_optimizer(given.get("optimizer"), trainable(model))
    if "optimizer" not in given and optimizer is not None:
        assumptions.append(f"No optimizer was given: AdamW with a learning rate of {DEFAULT_LR:g} was taken.")
    schedule = factory_schedule(given.get("scheduler"), optimizer)
    if schedule is not None and not says_when(given["scheduler"]):
        assumptions.append(stepped_when(schedule))
    return Experiment(
        name=_name(target),
        target=target,
        model=model,
        train=train,
        val=val,
        criterion=criterion,
        optimizer=optimizer,
        schedule=schedule,
        metrics=(),
        settings=TrainSettings(epochs=epochs, max_steps=options.steps),
        task=task_kind(criterion, output, expected),
        facts=None,
        seed=seed,
        device=options.device,
        assumptions=tuple(assumptions),
        scaler=factory_scaler(given.get("scaler")),
        whole_batches=whole,
    )


def _placed(model: torch.nn.Module, device: torch.device) -> torch.nn.Module:
    if any(isinstance(module, RecursiveScriptModule) for module in model.modules()):
        raise TargetError(
            Problem(
                message="the model is scripted: its modules cannot be watched", expected="the model before torch.jit.script"
            )
        )
    if any(p.is_meta for p in (*model.parameters(), *model.buffers())):
        raise TargetError(
            Problem(
                message="the model is on the meta device: it has no weights yet",
                expected="model.to_empty() and initial values",
            )
        )
    try:
        return model.to(device)
    except Exception as error:
        raise explain(error, f"moving the model to {device}") from error


def _name(target: str) -> str:
    where = target.rpartition(":")[0]
    return Path(where).stem if where.endswith(".py") else where.rpartition(".")[2]


def _default_epochs(options: RunOptions, assumptions: list[str]) -> int:
    epochs: int = Train().epochs
    if options.epochs is None and options.steps is None:
        assumptions.append(f"A factory does not say how long to train: {epochs} epochs were taken.")
    return epochs


def _batches(given: Any, key: str, target: str, seed: int, assumptions: list[str], *, at_least: int = 0) -> FactoryBatches:
    """``at_least`` batches make an epoch of a callable that does not say how many: it is then asked once, and goes on."""
    if key not in given:
        raise TargetError(
            Problem(message=f"{target} gives a model but no data", expected="`batches` beside `model` in what it returns")
        )
    steps = given.get("epoch_steps") if key == "batches" else None
    if steps is None and callable(given[key]) and not hasattr(given[key], "__iter__"):
        steps = max(DEFAULT_EPOCH_STEPS, at_least)
        assumptions.append(f"No `epoch_steps` was given: {key} were asked for {steps} batches an epoch.")
    return open_batches(given[key], name=key, seed=seed, epoch_steps=steps)
