"""From climbs and trials to the answer: the rate, the range around it, the table by decades, and what to say of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from dltool.core.measured.lr_find import CurvePoint, LrDecade, LrTrial, Outcome
from dltool.diagnostics.rate.trials import Trials

NEARLY_AS_WELL_RATIO = 0.9
"""Share of the best gain from which on a rate counts as usable."""
LITTLE_RATIO = 0.1
"""Share of the best gain below which a rate hardly learns."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the search came to."""

    outcome: Outcome
    reason: str
    lr: float | None = None
    ends: tuple[float, ...] | None = None
    advice: tuple[str, ...] = ()


def graded(trials: Trials) -> list[LrTrial]:
    """The trials with their gains in proportion to the best of the same stage (of the short ones for the target's own)."""
    best = {
        stage: max((trials.gain(t) for t in trials.made if t.stage == stage), default=0.0) for stage in ("short", "long")
    }
    best["own"] = best["short"]
    return [replace(t, gain_ratio=_ratio(trials.gain(t), best[t.stage])) for t in trials.made]


def _ratio(gain: float, best: float) -> float:
    return max(0.0, gain / best) if best > 0.0 else 0.0


def answer(trials: Trials, chosen: LrTrial | None) -> Answer:
    """The outcome of a search whose trials are all made; ``chosen`` is the best of them."""
    if chosen is not None and trials.gain(chosen) > trials.resolution(chosen):
        ends = usable(graded(trials), chosen.lr)
        return Answer(
            outcome="found",
            lr=chosen.lr,
            ends=ends,
            reason=f"{chosen.lr:g} {_standing(trials, chosen)} of {len({t.lr for t in trials.made})} tried: the loss fell "
            f"from {trials.start.loss:.4g} to {chosen.loss:.4g} in {chosen.steps} steps",
        )
    harmful = [t for t in trials.made if not trials.gain(t) >= -trials.resolution(t)]
    if harmful:
        return Answer(
            outcome="no-rate-works",
            reason=f"no rate works: from {min(t.lr for t in harmful):g} on training makes the loss worse, and below it does "
            "not fall either",
            advice=(
                "check that inputs and targets are normalised and that the labels belong to the inputs (dltool train)",
                "check the gradients: a wrong sign or a detached branch looks like this (dltool gradcheck)",
            ),
        )
    return Answer(
        outcome="flat",
        reason="flat: the model does not learn at any rate; the loss stays as it is however large the steps are",
        advice=(
            "see whether gradients arrive at all: dead or saturated units, weights left out of the optimizer (dltool train)",
            "see whether the loss depends on the model's output at all (dltool gradcheck)",
        ),
    )


def _standing(trials: Trials, chosen: LrTrial) -> str:
    return "trained best" if chosen is trials.best(chosen.stage) else "is in the middle of the rates that trained best,"


def usable(trials: Sequence[LrTrial], lr: float) -> tuple[float, float]:
    """The lowest and the highest rate around ``lr`` that no trial contradicts: all between gained 90 % of the best.

    Where a rate was tried for longer, that counts; between the rates tried for longer nothing else does.
    """
    good = {t.lr: t.gain_ratio >= NEARLY_AS_WELL_RATIO for t in trials if t.stage == "long"}
    low_end, high_end = (min(good), max(good)) if good else (math.inf, -math.inf)
    for trial in trials:
        if trial.stage == "short" and not low_end <= trial.lr <= high_end:
            good[trial.lr] = trial.gain_ratio >= NEARLY_AS_WELL_RATIO
    good[lr] = True
    ordered = sorted(good)
    low = high = ordered.index(lr)
    while low > 0 and good[ordered[low - 1]]:
        low -= 1
    while high + 1 < len(ordered) and good[ordered[high + 1]]:
        high += 1
    return ordered[low], ordered[high]


def decades(points: Sequence[CurvePoint], trials: Sequence[LrTrial], diverged_at: float | None) -> tuple[LrDecade, ...]:
    """A row for every power of ten that a ladder or a trial reached."""
    powers = sorted({_power(lr) for lr in (*(p.lr for p in points), *(t.lr for t in trials))})
    return tuple(_decade(power, points, trials, diverged_at) for power in powers)


def _decade(power: int, points: Sequence[CurvePoint], trials: Sequence[LrTrial], diverged_at: float | None) -> LrDecade:
    inside = [p for p in points if _power(p.lr) == power]
    before = [p for p in points if _power(p.lr) < power]
    change = None
    if inside:
        start = before[-1].smoothed if before else inside[0].smoothed
        change = inside[-1].smoothed - start
    tried = [t for t in trials if _power(t.lr) == power and t.stage != "own"]
    best = max(tried, key=lambda t: (t.gain_ratio, t.ended == "finished", t.steps, -t.lr), default=None)
    return LrDecade(
        low=float(f"1e{power}"),
        loss_change=change,
        trial_lr=None if best is None else best.lr,
        trial_steps=None if best is None else best.steps,
        trial_loss=None if best is None else best.loss,
        verdict=_verdict(best, diverged_at, power),
    )


def _verdict(best: LrTrial | None, diverged_at: float | None, power: int) -> str:
    if best is not None:
        return grade(best)
    if diverged_at is not None and power >= _power(diverged_at):
        return "diverges"
    return "not tried"


def grade(trial: LrTrial) -> str:
    """A trial in a word or two."""
    if trial.ended == "diverged":
        return "diverges"
    if trial.gain_ratio >= NEARLY_AS_WELL_RATIO:
        return "trains well"
    if trial.gain_ratio >= LITTLE_RATIO:
        return "trains"
    return "hardly trains" if trial.gain_ratio > 0.0 else "does not train"


def _power(lr: float) -> int:
    return math.floor(math.log10(lr) + 1e-9)
