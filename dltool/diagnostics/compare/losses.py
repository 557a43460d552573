"""Losses and metrics of two trainings. Their noise is what samples and epochs scatter by; the rest is a floor.

A loss on a split is a mean over samples: its standard error comes from the scatter of its blocks (``EpochRecord``), that of
a split that another seed drew anew included. From epoch to epoch it jitters. Both are taken together, on both sides. What
else a seed does (another start, another order) varies a result by no more than the choice of samples does (Bouthillier et
al. 2021, "Accounting for variance in machine learning benchmarks"): the factor √2 in ``BAND``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dltool.core.measured.compare import Better, Change, ComparedCurve
from dltool.core.measured.task import Task
from dltool.core.measured.training import Baseline, EpochRecord, History
from dltool.core.measurements import Measurements
from dltool.core.statistics import jitter_std, weighted_mean
from dltool.diagnostics.compare.change import Quantity, change_of

BAND = 3.0 * math.sqrt(2.0)
"""Standard errors: three, one in 370 of normal data, widened for what a seed does beside choosing the samples."""
FLOOR_RATIO = 0.02
"""Of the trivial loss: below that a difference is of no use to anybody, however certain it is."""
BLIND_RATIO = 0.2
"""Of the trivial loss, where no blocks tell the standard error: more than any two seeds differed by."""
SHARE_FLOOR = 0.02
ERROR_FLOOR_RATIO = 0.1
UNKNOWN_RATIO = 0.25
LEAST_TAIL = 4

SHARES = frozenset({"accuracy", "top_k"})
ERRORS = frozenset({"mse", "mae"})
BASIS = "standard error over samples and jitter over epochs, times 4.2"


@dataclass(frozen=True, slots=True)
class Point:
    """A value with its standard error (NaN where it is not known) and jitter."""

    value: float
    error: float
    jitter: float


def loss_changes(before: Measurements, after: Measurements) -> Iterator[Change]:
    """Loss of each split at the last epoch and at the best, and its mean over the epochs that both have."""
    first, second = before.get(History), after.get(History)
    if first is None or second is None or not _same_loss(before, after):
        return
    for split in ("val", "train"):
        scale = _scale(before, first, split)
        for name, one, two in _moments(first, second, split):
            what = Quantity(group="loss", name=f"{split}_loss, {name}", key=f"history.{split}_loss.{name.replace(' ', '-')}")
            change = change_of(what, one.value, two.value, noise=_noise(one, two, scale), basis=BASIS)
            if change is not None:
                yield change


def metric_changes(before: Measurements, after: Measurements) -> Iterator[Change]:
    """Every metric that both have, at the last epoch."""
    first, second = before.get(History), after.get(History)
    if first is None or second is None or not first.epochs or not second.epochs:
        return
    for split in ("val", "train"):
        one, two = (_metrics(history.epochs[-1], split) for history in (first, second))
        relative = _relative_noise(before, after, split)
        samples = [_samples(measured, split) for measured in (before, after)]
        for name in (name for name in one if name in two):
            better: Better = "lower" if name in ERRORS else "higher" if name in SHARES | {"r2"} else "neither"
            noise, basis = _metric_noise(name, one[name], two[name], samples, relative)
            what = Quantity(group="metric", name=f"{split} {name}", key=f"history.{split}_metrics.{name}", better=better)
            change = change_of(what, one[name], two[name], noise=noise, basis=basis)
            if change is not None:
                yield change


def curves_of(before: Measurements, after: Measurements) -> tuple[ComparedCurve, ...]:
    """Training and validation loss by epoch."""
    first, second = before.get(History), after.get(History)
    if first is None or second is None:
        return ()
    curves = []
    for split in ("train", "val"):
        one, two = (tuple(_measured(record, split) for record in history.epochs) for history in (first, second))
        if any(value is not None for value in (*one, *two)):
            curves.append(ComparedCurve(name=split, before=one, after=two))
    return tuple(curves)


def _same_loss(before: Measurements, after: Measurements) -> bool:
    one, two = before.get(Task), after.get(Task)
    return one is None or two is None or one.loss == two.loss


def _moments(first: History, second: History, split: str) -> Iterator[tuple[str, Point, Point]]:
    """Last epoch, best epoch, mean over the epochs; only where both sides measured it."""
    pairs = [
        ("last", _last(first, split), _last(second, split)),
        ("best", _best(first, split), _best(second, split)),
        ("mean over epochs", *_means(first, second, split)),
    ]
    for name, one, two in pairs:
        if one is not None and two is not None:
            yield name, one, two


def _last(history: History, split: str) -> Point | None:
    return _point(history, history.epochs[-1], split) if history.epochs else None


def _best(history: History, split: str) -> Point | None:
    record = next((r for r in history.epochs if r.epoch == history.best_epoch), None)
    return None if record is None else _point(history, record, split)


def _means(first: History, second: History, split: str) -> tuple[Point | None, Point | None]:
    """Mean over the epochs that both measured: how fast it learnt. The errors of one epoch and the next are the same."""
    known = [{r.epoch: r for r in history.epochs if _measured(r, split) is not None} for history in (first, second)]
    shared = sorted(known[0].keys() & known[1].keys())
    if len(shared) < 2:
        return None, None
    points = []
    for history, records in zip((first, second), known, strict=True):
        losses = [_measured(records[epoch], split) or 0.0 for epoch in shared]
        errors = [_error(history, records[epoch], split) for epoch in shared]
        points.append(Point(_mean(losses), _mean(errors), jitter_std(losses) / math.sqrt(len(losses))))
    return points[0], points[1]


def _point(history: History, record: EpochRecord, split: str) -> Point | None:
    value = _measured(record, split)
    if value is None:
        return None
    losses = [loss for r in history.epochs if (loss := _measured(r, split)) is not None]
    tail = losses[-max(LEAST_TAIL, len(losses) // 3) :]
    return Point(value, _error(history, record, split), jitter_std(tail) if all(map(math.isfinite, tail)) else math.nan)


def _error(history: History, record: EpochRecord, split: str) -> float:
    """Standard error of the mean over samples, from the scatter of its blocks."""
    blocks = record.val_blocks if split == "val" else record.train_blocks
    weights = history.val_block_weights if split == "val" else history.train_block_weights
    if len(blocks) < 2 or not all(map(math.isfinite, blocks)):
        return math.nan
    weights = weights if len(weights) == len(blocks) and sum(weights) > 0 else (1.0,) * len(blocks)
    mean = weighted_mean(blocks, weights)
    variance = weighted_mean([(block - mean) ** 2 for block in blocks], weights)
    return math.sqrt(variance / (len(blocks) - 1))


def _noise(one: Point, two: Point, scale: float) -> float:
    floor = FLOOR_RATIO * scale
    errors = [point.error for point in (one, two)]
    jitters = [point.jitter for point in (one, two) if math.isfinite(point.jitter)]
    if not all(map(math.isfinite, errors)):
        return max(BAND * math.hypot(*jitters), BLIND_RATIO * scale)
    return max(BAND * math.hypot(*errors, *jitters), floor)


def _scale(before: Measurements, history: History, split: str) -> float:
    """The trivial loss; without one (or a senseless one) how far the loss before fell."""
    baseline = before.get(Baseline)
    trivial = None if baseline is None else baseline.train_loss if split == "train" else baseline.val_loss
    if trivial is not None and math.isfinite(trivial) and trivial != 0:
        return abs(trivial)
    losses = [r.running_loss for r in history.epochs if math.isfinite(r.running_loss)]
    span = max(losses) - min(losses) if losses else 0.0
    return span if span > 0 else max(map(abs, losses), default=0.0)


def _metrics(record: EpochRecord, split: str) -> dict[str, float]:
    metrics = record.val_metrics if split == "val" else record.train_metrics
    return dict(metrics or {})


def _samples(measured: Measurements, split: str) -> int | None:
    task = measured.get(Task)
    return None if task is None else task.val_samples if split == "val" else task.train_samples


def _metric_noise(
    name: str, one: float, two: float, samples: Sequence[int | None], relative: tuple[float, float]
) -> tuple[float, str]:
    """The noise of a metric and where it is from.

    A share of samples is binomial (Dietterich 1998), its rate taken from both sides with two successes and two failures
    more (Agresti & Coull 1998). An error moves as its loss does; r2 is one minus a loss in units of the variance.
    """
    if name in SHARES and samples[0] and samples[1] and min(one, two) >= 0 and max(one, two) <= 1:
        a, b = samples[0], samples[1]
        rate = (one * a + two * b + 2) / (a + b + 4)
        error = math.sqrt(rate * (1 - rate) * (1 / a + 1 / b))
        return max(BAND * error, SHARE_FLOOR), "binomial standard error, times 4.2, and at least 0.02"
    size = max((abs(value) for value in (one, two) if math.isfinite(value)), default=0.0)
    of_loss, of_trivial = relative
    if name in ERRORS:
        return max(of_loss, ERROR_FLOOR_RATIO) * size, "that of the loss"
    if name == "r2":
        return max(of_trivial, ERROR_FLOOR_RATIO), "that of the loss over the trivial loss"
    return (SHARE_FLOOR if name in SHARES else UNKNOWN_RATIO * size), "a convention: nothing tells its noise"


def _relative_noise(before: Measurements, after: Measurements, split: str) -> tuple[float, float]:
    """Noise of the last loss over the larger of both, and over the trivial training loss, by which r2 is measured."""
    first, second = before[History], after[History]
    one, two = _last(first, split), _last(second, split)
    if one is None or two is None:
        return BLIND_RATIO, BLIND_RATIO
    noise, variance = _noise(one, two, _scale(before, first, split)), _scale(before, first, "train")
    size = max((abs(point.value) for point in (one, two) if math.isfinite(point.value)), default=0.0)
    return (noise / size if size > 0 else BLIND_RATIO), (noise / variance if variance > 0 else BLIND_RATIO)


def _measured(record: EpochRecord, split: str) -> float | None:
    return record.val_loss if split == "val" else record.train_loss


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if all(map(math.isfinite, values)) else math.nan
