"""Candidate initialisations on the same batches, ranked; the best ones once more over further seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from dltool.core.errors import Problem, SpecError
from dltool.core.measured.init_stats import Candidate, Comparison, Growth, LossAtStart, Remeasured
from dltool.diagnostics.initialisation.candidates import AS_IT_IS, Named, is_layered, kept_layers, lines_for, start_with
from dltool.diagnostics.initialisation.here import has_twins, measured
from dltool.diagnostics.initialisation.work import Work
from dltool.probes.growth import trunk
from dltool.probes.preserve import overwrite, preserved
from dltool.probes.starting import Start
from dltool.specs.misfit import MisfitError
from dltool.training.experiment import Batch, Experiment

FINALISTS = 2
"""Candidates that are measured over further seeds: one seed does not tell near neighbours apart."""

TOO_CLOSE = 0.05
"""Scores nearer than this (a tenth of a factor over the depth) are equal: then nothing needs to be changed."""

PASSABLE = 3.0
"""A score from which on a start is no choice: signals or gradients lose, or gain, three powers of ten in all."""

IDLE_SHARE = 0.5
"""Dead or saturated units beyond this share of a layer count against a candidate."""


def refuse_pretrained(experiment: Experiment) -> None:
    """A spec that loads its weights has no initialisation to choose.

    Raises:
        SpecError: it has ``model.pretrained``.
    """
    if is_layered(experiment) and (experiment.spec or {})["model"].get("pretrained"):
        raise SpecError(
            Problem(
                message="the weights are loaded from a file, so that no initialisation shows",
                key="model.pretrained",
                expected="a spec without it for --compare ('~model.pretrained')",
            )
        )


def measurements_needed(candidates: int, seeds: int) -> int:
    """How many measurements ``compare`` makes."""
    return candidates + min(FINALISTS, candidates) * seeds


def compare(
    experiment: Experiment,
    batches: Sequence[Batch],
    candidates: Sequence[Named],
    present: tuple[Start, LossAtStart],
    *,
    seeds: int,
    work: Work,
) -> Comparison:
    """Measure, rank and choose; the model has its own weights again afterwards, bit for bit."""
    kept = kept_layers(experiment)
    start, loss = present
    bench = _Bench(experiment, batches, kept, loss.chance_loss or loss.trivial_loss)
    twins = has_twins(experiment.model, _head(start))
    found = [_candidate(AS_IT_IS, None, start, bench.expected, twins=twins)]
    known = {candidate.name: candidate for candidate in candidates}
    for candidate in candidates:
        if not work.stopped:
            found.append(_tried(bench, candidate, experiment.seed))
            work.one_done()
    ranked = sorted(found, key=lambda one: one.score)
    finalists = [known[one.name] for one in ranked if one.name in known and math.isfinite(one.score)][:FINALISTS]
    again = []
    for finalist in finalists:
        runs = []
        for index in range(1, seeds + 1):
            if work.stopped:
                break
            runs.append(_tried(bench, finalist, experiment.seed + index))
            work.one_done()
        if runs:
            again.append(_remeasured(finalist.name, runs))
    chosen = _chosen(found[0], again)
    return Comparison(
        candidates=tuple(ranked),
        recommended=chosen,
        lines=lines_for(experiment, known[chosen]) if chosen in known else (),
        remeasured=tuple(again),
        kept=tuple(kept),
    )


@dataclass(frozen=True, slots=True)
class _Bench:
    """What all candidates are measured on."""

    experiment: Experiment
    batches: Sequence[Batch]
    kept: Sequence[str]
    expected: float | None


def _tried(bench: _Bench, named: Named, seed: int) -> Candidate:
    experiment = bench.experiment
    with weights_kept(experiment.model):
        try:
            with preserved(experiment.model):
                start_with(experiment, named.init, bench.batches[0].input, seed, bench.kept)
        except MisfitError as misfit:
            return _failed(named, misfit.problem.message)
        start = measured(experiment, bench.batches)
        return _candidate(named.name, named.yaml, start, bench.expected, twins=has_twins(experiment.model, _head(start)))


@contextmanager
def weights_kept(model: nn.Module) -> Iterator[None]:
    """Whatever the block does to the weights, every parameter leaves it with the bits it had."""
    before = [(parameter, parameter.detach().clone()) for parameter in model.parameters()]
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, value in before:
                overwrite(parameter, value)


def _head(start: Start) -> str | None:
    way = trunk(start.layers)
    return way[-1].name if way else None


def _candidate(name: str, yaml: str | None, start: Start, expected: float | None, *, twins: bool) -> Candidate:
    hidden = [layer for layer in start.layers if not layer.is_output]
    dead = max((layer.dead.share for layer in hidden if layer.dead is not None), default=None)
    saturated = max((layer.saturated.share for layer in hidden if layer.saturated is not None), default=None)
    forward, backward = start.growth.forward, start.growth.backward
    if start.growth.zero_head and backward is not None and backward.cut_at is not None:
        backward = None  # the gradient is held back in the first step alone
    idle = max(0.0, max(dead or 0.0, saturated or 0.0) - IDLE_SHARE) / (1 - IDLE_SHARE)
    score = _distance(forward) + _distance(backward) + _surprise(start.loss, expected) + idle
    return Candidate(
        name=name,
        yaml=yaml,
        score=math.inf if twins or math.isnan(score) else score,
        forward=forward,
        backward=backward,
        loss=start.loss,
        dead=dead,
        saturated=saturated,
        symmetric=twins,
    )


def _distance(growth: Growth | None) -> float:
    """Powers of ten from keeping the size; infinite where nothing arrives or nothing is finite."""
    if growth is None:
        return 0.0
    return abs(math.log10(growth.factor)) if 0.0 < growth.factor < math.inf else math.inf


def _surprise(loss: float, expected: float | None) -> float:
    """Powers of ten by which the first loss is above the expected one."""
    if not math.isfinite(loss):
        return math.inf
    return 0.0 if expected is None or not expected > 0.0 or not loss > expected else math.log10(loss / expected)


def _failed(named: Named, why: str) -> Candidate:
    return Candidate(
        name=named.name, yaml=named.yaml, score=math.inf, forward=None, backward=None, loss=math.nan, dead=None,
        saturated=None, problem=why,
    )  # fmt: skip


def _remeasured(name: str, runs: Sequence[Candidate]) -> Remeasured:
    return Remeasured(
        name=name,
        scores=tuple(run.score for run in runs),
        forward_factors=tuple(run.forward.factor for run in runs if run.forward is not None),
        backward_factors=tuple(run.backward.factor for run in runs if run.backward is not None),
        losses=tuple(run.loss for run in runs),
    )


def _chosen(present: Candidate, again: Sequence[Remeasured]) -> str | None:
    """The lowest median score; the present start where nothing is clearly better, and None where nothing will do."""
    scores = {one.name: statistics.median(one.scores) for one in again}
    best = min(scores, key=lambda name: scores[name], default=AS_IT_IS)
    scores[AS_IT_IS] = present.score
    if present.score <= scores[best] + TOO_CLOSE:
        best = AS_IT_IS
    return best if scores[best] < PASSABLE else None
