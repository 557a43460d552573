"""Whether the loss is still falling, stands still too high, or is done."""

from __future__ import annotations

import math
import statistics

from dltool.core.measured.task import Task
from dltool.core.measured.training import History, Optimisation, StepGains
from dltool.core.measurements import Measurements
from dltool.rules.fit_status.case import Answer, Case
from dltool.rules.fit_status.curve_tests import Fall, fall, flat_since
from dltool.rules.fit_status.curves import Curve
from dltool.rules.fit_status.generalisation import regularising_advice

EXTRAPOLATED_POINTS = 12
"""A third of the end of a shorter curve is a point or two, from which no rate of decay can be read."""


def not_converged(case: Case) -> Answer | None:
    """Still improving: validation where there is one (else training) falls, by enough to matter if the run went on."""
    curves = case.curves
    train = fall(curves.trend, curves.scale)
    watched, seen = (curves.trend, train)
    if curves.val is not None and len(curves.val) >= 4:
        watched, seen = (curves.val, fall(curves.val, curves.scale))
    if not (train.significant and seen.significant) or not _matters(case, seen):
        return None
    unit, more = watched.unit, seen.points_needed
    spacing = (watched.at[-1] - watched.at[0]) / max(1, len(watched) - 1)
    points = len(watched) if more is None else max(more, 1)
    amount = max(1, round(points * spacing))
    gain = min(seen.gain, curves.scale, watched.values[-1] if watched.values[-1] > 0.0 else math.inf)
    return Answer(
        status="not-converged",
        reason=f"the loss is still falling: as many {unit}s again would take off up to {gain:.3g}",
        evidence={
            "slope": seen.slope,
            "gain": seen.gain,
            f"more_{unit}s": amount,
            "loss": watched.values[-1],
            "baseline_loss": curves.baseline,
            "explained_ratio": curves.explained_ratio,
        },
        advice=_longer(unit, amount, len(watched), points),
    )


def stuck(case: Case) -> Answer | None:
    """Standing still while the loss is high: a plateau where steps overshoot, underfitting where they do all they can."""
    if not case.is_high or len(case.curves.trend) < case.limits["inconclusive.epochs"]:
        return None
    trend = case.curves.trend
    since = flat_since(trend, case.curves.scale)
    flat = since is not None and len(trend) - since >= case.limits["plateau.share"] * len(trend)
    if flat and since is not None and _rate_is_in_the_way(case, trend, since):
        return _plateau(case, trend, since)
    return _underfitting(case) if case.has_reference else _unknown_floor(case)


def _seen(case: Case) -> list[Curve]:
    curves = case.curves
    return [curves.trend, curves.train] + ([] if curves.val is None else [curves.val])


def _late_fall(curve: Curve) -> float:
    """What the later half of a run took off the loss, less its scatter: such a curve has not come to rest."""
    width = max(1, len(curve) // 5)
    middle = (len(curve) - width) // 2
    fallen = statistics.fmean(curve.values[middle : middle + width]) - statistics.fmean(curve.last(width).values)
    return fallen - 3.0 * curve.jitter * math.sqrt(2.0 / width)


def moving(case: Case) -> Answer | None:
    """Not at rest, though the fall is too short or too uneven to say where it would end.

    A longer run that is low already is left to ``not_converged``, which says what more epochs would bring.
    """
    curves, least = case.curves, case.limits["not-converged.gain"] * case.curves.scale
    if not case.is_high and len(curves.trend) >= EXTRAPOLATED_POINTS:
        return None
    falls = [_late_fall(curve) for curve in _seen(case)]
    if not any(fallen >= least for fallen in falls):
        return None
    evidence = _level_evidence(case) | {"late_fall": max(falls)}
    if case.is_high and _validation_rests(case):
        return Answer(
            status="overfitting",
            reason="the training loss is still falling, and the validation loss no longer is: the gap between them widens",
            evidence=evidence,
            advice=regularising_advice(case),
        )
    return Answer(
        status="not-converged",
        reason=f"the loss was still falling in the later half of the run, which took off {max(falls):.3g}",
        evidence=evidence,
        advice=("train twice as long", "raise the learning rate, so that the same is reached sooner"),
    )


def _validation_rests(case: Case) -> bool:
    val, least = case.curves.val, case.limits["no-better-than-trivial.margin"] * case.curves.scale
    return val is not None and len(val) >= case.limits["inconclusive.epochs"] and not _late_fall(val) >= least


def _matters(case: Case, seen: Fall) -> bool:
    least = case.limits["not-converged.gain"] * case.curves.scale
    return seen.gain >= least or (case.is_high and seen.remaining >= 2.0 * least)


def _longer(unit: str, amount: int, points: int, needed: int) -> tuple[str, ...]:
    if needed > 10 * points:
        return ("raise the learning rate: at this pace the run would have to be more than ten times as long",)
    return (f"train about {amount} {unit}s more", "raise the learning rate, so that the same is reached sooner")


def _rate_is_in_the_way(case: Case, trend: Curve, since: int) -> bool:
    if _decayed(case.measured):
        return False
    gains = case.measured[StepGains].gains if StepGains in case.measured else ()
    first = trend.at[since] * (_steps_per_epoch(case.measured) if trend.unit == "epoch" else 1)
    downhill = [g for g in gains if g.step >= first and g.predicted_change < 0.0]
    if len(downhill) < 4:
        return False
    overshot = sum(not g.actual_change <= 1e-6 * abs(g.loss_before) for g in downhill)
    return overshot / len(downhill) >= case.limits["plateau.overshoot"]


def _decayed(measured: Measurements) -> bool:
    epochs = measured[History].epochs
    return epochs[-1].lr <= 0.1 * max(e.lr for e in epochs)


def _steps_per_epoch(measured: Measurements) -> int:
    return measured[Task].steps_per_epoch if Task in measured else 1


def _plateau(case: Case, trend: Curve, since: int) -> Answer:
    curves, start = case.curves, trend.at[since]
    return Answer(
        status="plateau",
        reason=f"the loss has stood still at {curves.train_loss:.4g} since {trend.unit} {start}, and steps overshoot there",
        evidence=_level_evidence(case) | {f"since_{trend.unit}": start},
        advice=(f"drop the learning rate tenfold from {trend.unit} {start} on (schedule.step, or schedule: plateau)",),
    )


def _unknown_floor(case: Case) -> Answer:
    rest = f"the training loss came to rest at {case.curves.train_loss:.4g}"
    return Answer(
        status="inconclusive",
        reason=f"{rest}, and nothing shows whether less is within reach",
        evidence=_level_evidence(case),
        advice=(
            "train a wider net: where its training loss is no lower, the rest is noise",
            "compare with a simple model of the same data (an n-gram, a linear model)",
        ),
    )


def _underfitting(case: Case) -> Answer:
    measured, curves = case.measured, case.curves
    task, optimisation = measured.get(Task), measured.get(Optimisation)
    advice = ["give the net more capacity: wider layers first, then more of them"]
    if task is not None and task.dropout:
        advice.append("lower the dropout rate")
    if optimisation is not None and (optimisation.l2 > 0.0 or optimisation.weight_decay > 0.0 or optimisation.l1 > 0.0):
        advice.append("lower the L1 and L2 penalties and the weight decay")
    if optimisation is not None and optimisation.max_norm is not None:
        advice.append("raise or drop the max-norm constraint")
    advice.append("try another learning rate, a factor of three up and down")
    return Answer(
        status="underfitting",
        reason=f"the training loss itself stays high, at {curves.train_loss:.4g}",
        evidence=_level_evidence(case),
        advice=tuple(advice),
    )


def _level_evidence(case: Case) -> dict[str, object]:
    explained, neighbour = case.curves.explained_ratio, case.neighbour_loss
    return {
        "recent_train_loss": case.curves.train_loss,
        "baseline_loss": case.curves.baseline,
        "explained_ratio": explained if explained is None or math.isfinite(explained) else None,
        "neighbour_loss": neighbour,
        "neighbour_share": case.neighbour_share,
    }
