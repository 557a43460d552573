"""From an experiment to the point that its gradients are checked at: a float64 copy, a few samples, penalties, groups."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from dltool.core.errors import Problem, TargetError, UserError
from dltool.probes.gradcheck.check import precision_errors
from dltool.probes.gradcheck.lifting import double_by_default, single_by_default
from dltool.probes.gradcheck.point import Penalty, Point, UnchangedError
from dltool.probes.gradcheck.projections import PROJECTIONS
from dltool.probes.nested import place
from dltool.training import rng
from dltool.training.experiment import Batch, Experiment
from dltool.training.failure import explain
from dltool.training.forward_work import count
from dltool.training.modes import set_training
from dltool.training.penalties import Penalties, penalised

SAMPLES, FEWEST_SAMPLES = 8, 2
"""Few, since every sample brings kinks of its own (CS231n notes, neural-networks-3, "Use only few datapoints")."""
LARGE_FLOPS = 2e10
"""Work of one forward pass from which on the fewest samples are taken: 2 seconds of one CPU core."""
PROJECTING_FLOPS = 8e10
"""Work that projections may take before parameters have to share them: some seconds of one CPU core."""
DROPOUTS = nn.modules.dropout._DropoutNd  # noqa: SLF001 - the one base of all dropout layers


def few_samples(experiment: Experiment, limit: int = SAMPLES) -> Batch:
    """The first few of the fixed training samples, on the experiment's device."""
    with single_by_default():  # the user's own loaders make what they always make
        batch = next(iter(experiment.train.fixed(limit)))
    return Batch(place(batch.input, experiment.device), place(batch.target, experiment.device))


def point_of(experiment: Experiment, *, with_inputs: bool) -> tuple[Point, Batch]:
    """The loss of the experiment's model as it stands now, and the samples that it is of; the model is copied.

    Call within ``double_by_default``.

    Raises:
        TargetError: the model cannot be copied, or does not run.
    """
    batch = few_samples(experiment)
    point = _point(experiment, batch, with_inputs=with_inputs)
    if work_of(point) > LARGE_FLOPS:
        batch = few_samples(experiment, FEWEST_SAMPLES)
        point = _point(experiment, batch, with_inputs=with_inputs)
    return point, batch


def _point(experiment: Experiment, batch: Batch, *, with_inputs: bool) -> Point:
    model, criterion = model_copy(experiment), _criterion_copy(experiment)
    settings = experiment.settings.regularisation
    slopes = Penalties(model, settings)
    try:
        return Point(
            model,
            criterion,
            batch,
            modules=_modules_in(criterion),
            penalties={name: Penalty(l1=settings.l1, l2=l2) for name, _, l2 in penalised(model, settings)},
            finish=slopes.apply if slopes else None,
            with_inputs=with_inputs,
        )
    except UnchangedError as problem:
        cause = problem.__cause__
        if isinstance(cause, UserError):
            raise cause from problem
        assert isinstance(cause, Exception)
        raise explain(cause, "running a float64 copy of the model and its loss") from problem


def model_copy(experiment: Experiment) -> nn.Module:
    """The model, copied with the hooks on its parameters, in training mode; of a compiled one what was compiled.

    Raises:
        TargetError: it cannot be copied.
    """
    own: Any = getattr(experiment.model, "_orig_mod", experiment.model)
    try:
        model: nn.Module = copy.deepcopy(own)
    except Exception as problem:
        raise explain(problem, "copying the model") from problem
    for original, copied in zip(own.parameters(), model.parameters(), strict=True):
        for hook in (original._backward_hooks or {}).values():  # noqa: SLF001 - deepcopy leaves hooks of tensors behind
            copied.register_hook(hook)  # type: ignore[no-untyped-call]
    set_training(model, experiment.kept_in_eval)
    return model


def _criterion_copy(experiment: Experiment) -> Any:
    try:
        return copy.deepcopy(experiment.criterion)
    except Exception as problem:
        raise explain(problem, "copying the loss") from problem


def _modules_in(value: Any, depth: int = 3) -> list[nn.Module]:
    """Modules that a criterion keeps: their buffers are part of its state."""
    if isinstance(value, nn.Module):
        return [value]
    inner = value.values() if isinstance(value, Mapping) else vars(value).values() if hasattr(value, "__dict__") else ()
    return [module for item in inner for module in _modules_in(item, depth - 1)] if depth else []


def left_out(experiment: Experiment, point: Point, *, with_inputs: bool) -> dict[str, str]:
    """Parameters (and inputs that were asked for) that are not checked, with the reason."""
    reasons = {}
    for name, parameter in point.model.named_parameters():
        if name not in point.leaves:
            reasons[name] = "complex numbers" if parameter.is_complex() else "frozen"
    if with_inputs and not point.inputs:
        reasons["input"] = "whole numbers have no gradient"
    if not point.leaves:
        raise TargetError(
            Problem(
                message=f"nothing in {experiment.target} has a gradient that could be checked: no parameter is trainable",
                expected="a trainable parameter" if with_inputs else "a trainable parameter, or --inputs",
            )
        )
    return reasons


def work_of(point: Point) -> float:
    """Work of one evaluation of the loss, in FLOP, counted and not timed."""
    return count(lambda: int(bool(point.loss().numel()))).flops(1, 1)


def groups_of(point: Point) -> list[list[str]]:
    """Leaves that share their projections: each its own, unless the model is so large that this would take long."""
    names = list(point.leaves)
    affordable = int(PROJECTING_FLOPS / (4 * PROJECTIONS * work_of(point)))
    size = -(-len(names) // max(1, min(affordable, len(names))))
    return [names[start : start + size] for start in range(0, len(names), size)]


def own_precision(experiment: Experiment) -> str:
    """What the model is trained in."""
    if experiment.settings.precision != "fp32":
        return {"bf16": "bfloat16", "fp64": "float64"}[experiment.settings.precision]
    dtypes = [p.dtype for p in experiment.model.parameters() if p.is_floating_point()]
    return str(dtypes[0]).removeprefix("torch.") if dtypes else "float32"


def precision_cost(experiment: Experiment, batch: Batch) -> dict[str, float]:
    """Relative error, by parameter, of the gradient in the model's own precision against that in float64; dropout is off.

    Empty where the model is trained in float64, or where its losses differ by more than rounding: what draws random numbers
    draws others in another precision.
    """
    if own_precision(experiment) == "float64":
        return {}
    try:
        own, loss = _gradients(experiment, batch, double=False)
        with double_by_default():
            exact, exact_loss = _gradients(experiment, batch, double=True)
    except Exception:  # noqa: BLE001 - a model that has to be lifted to float64; its own precision is then not compared
        return {}
    rounding = torch.finfo(getattr(torch, own_precision(experiment))).eps ** 0.5  # half of the digits are right at least
    return precision_errors(own, exact) if abs(loss - exact_loss) <= rounding * abs(exact_loss) else {}


def _gradients(experiment: Experiment, batch: Batch, *, double: bool) -> tuple[dict[str, Tensor | None], float]:
    model, criterion = model_copy(experiment), _criterion_copy(experiment)
    for module in model.modules():
        if isinstance(module, DROPOUTS):
            module.eval()
    dtype = torch.float64 if double else None
    bf16 = not double and experiment.settings.precision == "bf16"
    with rng.seeded(experiment.seed, experiment.device), torch.enable_grad():
        model = model.double() if double else model
        placed = (place(batch.input, experiment.device, dtype), place(batch.target, experiment.device, dtype))
        with torch.autocast(experiment.device.type, dtype=torch.bfloat16, enabled=bf16):
            loss = criterion(model(placed[0]), placed[1])
        loss.backward()
    grads = {name: None if p.grad is None else p.grad.to_dense().double() for name, p in model.named_parameters()}
    return grads, float(loss.detach())
