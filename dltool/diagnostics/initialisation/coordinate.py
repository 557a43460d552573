"""The coordinate check: how large activations are at the start, and how far a few steps move them, over widths.

Yang et al. 2022 (Tensor programs V, appendix D.1) plot both over the width; what stays level is scaled right. Here a power
of the width is fitted to each layer, and the exponents are judged.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dltool.core.errors import Problem, TargetError
from dltool.core.measured.init_stats import CoordinateCheck, CoordinateLayer, CoordinateVerdict
from dltool.core.statistics import fit_line
from dltool.diagnostics.initialisation.batches import start_batches
from dltool.diagnostics.initialisation.here import measured
from dltool.diagnostics.initialisation.widths import Varied
from dltool.diagnostics.initialisation.work import Work
from dltool.probes.growth import trunk
from dltool.probes.hooks import Run, visiting
from dltool.probes.nested import first_tensor
from dltool.probes.starting import set_noiseless
from dltool.training.experiment import Batch, Experiment
from dltool.training.failure import explain
from dltool.training.step import needs_closure

SAMPLES = 128
STEPS = 3
SEEDS = 3
LEVEL = 0.25
"""Exponents nearer to 0 are level: over eight times the width they make a factor of 1.7, and seeds differ by as much."""

ERRORS = 2.0
"""Standard errors by which an exponent must be beyond ``LEVEL``."""


@dataclass(frozen=True, slots=True)
class Moved:
    """Root mean square by layer: of its output at the start, and of its change after the steps."""

    start: dict[str, float]
    change: dict[str, float]
    output: str | None
    optimizer: str
    lr: float


def coordinate_check(varied: Varied, widths: Sequence[int], seed: int, work: Work) -> CoordinateCheck | None:
    """Build, look, step and look again, for every width and seed; None where fewer than two widths could be done.

    Raises:
        UserError: a width that the model cannot have, or an optimizer that cannot take plain steps.
    """
    done: dict[int, list[Moved]] = {}
    for width in sorted(set(widths)):
        runs = []
        for index in range(SEEDS):
            if work.stopped:
                break
            runs.append(_run(varied.build(width, seed + index)))
            work.one_done()
        if len(runs) == SEEDS:
            done[width] = runs
    if len(done) < 2:
        return None
    first = next(iter(done.values()))[0]
    names = [n for n in first.start if all(n in run.start for runs in done.values() for run in runs)]
    layers = tuple(_layer(name, done, is_output=name == first.output) for name in names)
    verdict, reason, advice = judged(layers, list(done))
    return CoordinateCheck(
        varied=varied.described,
        widths=tuple(done),
        steps=STEPS,
        seeds=SEEDS,
        optimizer=first.optimizer,
        lr=first.lr,
        layers=layers,
        verdict=verdict,
        reason=reason,
        advice=advice,
    )


def _run(experiment: Experiment) -> Moved:
    optimizer = experiment.optimizer
    if optimizer is None or needs_closure(optimizer):
        why = "nothing is trainable" if optimizer is None else f"{type(optimizer).__name__} searches for its own steps"
        raise TargetError(Problem(message=f"widths cannot be compared: {why}", expected="an optimizer such as sgd or adam"))
    batch = start_batches(experiment, SAMPLES)[0]
    way = trunk(measured(experiment, [batch]).layers)
    set_noiseless(experiment.model, experiment.kept_in_eval)
    try:
        before = _outputs(experiment, batch, [layer.name for layer in way])
        for _ in range(STEPS):
            optimizer.zero_grad()
            experiment.criterion(experiment.model(batch.input), batch.target).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        after = _outputs(experiment, batch, list(before))
    except Exception as error:
        raise explain(error, "taking a few steps for the coordinate check") from error
    return Moved(
        start={name: _rms(value) for name, value in before.items()},
        change={name: _rms(after[name] - value) for name, value in before.items() if name in after},
        output=way[-1].name if way else None,
        optimizer=type(optimizer).__name__,
        lr=float(optimizer.param_groups[0]["lr"]),
    )


def _outputs(experiment: Experiment, batch: Batch, names: Sequence[str]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}

    def see(run: Run) -> None:
        output = first_tensor(run.output)
        if output is not None and run.call == 0:
            found[run.path] = output.detach().clone()

    modules = dict(experiment.model.named_modules())
    with torch.no_grad(), visiting({name: modules[name] for name in names}, on_output=see):
        experiment.model(batch.input)
    return {name: found[name] for name in names if name in found}


def _rms(values: Tensor) -> float:
    return float(values.double().square().mean().sqrt())


def _layer(name: str, done: dict[int, list[Moved]], *, is_output: bool) -> CoordinateLayer:
    activations = {width: [run.start[name] for run in runs] for width, runs in done.items()}
    updates = {width: [run.change[name] for run in runs] for width, runs in done.items()}
    (slope, error), (update_slope, update_error) = _exponent(activations), _exponent(updates)
    return CoordinateLayer(
        name=name,
        is_output=is_output,
        activations=tuple(sum(values) / len(values) for values in activations.values()),
        updates=tuple(sum(values) / len(values) for values in updates.values()),
        activation_exponent=slope,
        activation_error=error,
        update_exponent=update_slope,
        update_error=update_error,
    )


def _exponent(sizes: dict[int, list[float]]) -> tuple[float, float]:
    """Slope of log size over log width, with its standard error; NaN where a size is not finite, or zero."""
    points = [(math.log2(width), value) for width, values in sizes.items() for value in values]
    if not all(0.0 < value < math.inf for _, value in points):
        return math.nan, math.nan
    line = fit_line([x for x, _ in points], [math.log2(value) for _, value in points])
    return line.slope, line.slope_error


def judged(layers: Sequence[CoordinateLayer], widths: Sequence[int]) -> tuple[CoordinateVerdict, str, tuple[str, ...]]:
    """The verdict, in words, and what follows from it; activations come before updates, which they carry along."""
    span = max(widths) / min(widths)
    blown = next((x for x in layers if not all(map(math.isfinite, (*x.activations, *x.updates)))), None)
    if blown is not None:
        return "unstable", f"layer {blown.name} is not finite after {STEPS} steps", ("lower the learning rate",)
    worst = max(_certain(layers, "activation"), default=None)
    if worst is not None:
        _, slope, name = worst
        grows = slope > 0
        way = "grow" if grows else "shrink"
        reason = (
            f"activations of layer {name} {way} as width^{slope:.2f} at the start, {span**slope:.2g}-fold over these widths"
        )
        advice = ("let the variance of weights fall with the fan-in: kaiming_normal, xavier_normal or lecun_normal",)
        return ("activations-grow" if grows else "activations-shrink"), reason, advice
    worst = max(_certain(layers, "update"), default=None)
    if worst is not None:
        _, slope, name = worst
        grows = slope > 0
        reason = (
            f"a step moves the output of layer {name} by width^{slope:.2f}: {span**slope:.2g} times as far at width "
            f"{max(widths)} as at {min(widths)}; activations at the start do not depend on the width"
        )
        rate = f"let the learning rate go as width^{-slope:.1f}: one found at {min(widths)} is not right for {max(widths)}"
        other = "or use the maximal update parametrisation (muP), which makes one rate right for all widths"
        return ("updates-grow" if grows else "updates-shrink"), reason, (rate, other)
    return "independent", "neither activations nor updates depend on the width: one learning rate should serve all", ()


def _certain(layers: Sequence[CoordinateLayer], what: str) -> Iterator[tuple[float, float, str]]:
    for layer in layers:
        slope, error = getattr(layer, f"{what}_exponent"), getattr(layer, f"{what}_error")
        if abs(slope) - ERRORS * error > LEVEL:
            yield abs(slope), slope, layer.name
