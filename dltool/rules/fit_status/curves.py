"""Learning curves as the fit verdict reads them: one series per split, and the scale on which a difference matters."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from dltool.core.measured.task import Output
from dltool.core.measured.training import Baseline, EpochRecord, History, LossTrace
from dltool.core.measurements import Measurements
from dltool.core.statistics import jitter_std

TREND_POINTS = 16
"""A run of fewer than five epochs is followed by steps instead, in this many bins."""


LARGEST_LOSS = 1e100
"""Beyond it squares overflow float64: such a loss is as good as infinite."""


def usable(value: float) -> bool:
    """Whether a loss can be reckoned with: not NaN, not infinite, and not as good as that."""
    return abs(value) <= LARGEST_LOSS


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A loss over the run. ``at`` counts in ``unit``; ``blocks`` are the same groups of samples at every point (or none)."""

    at: tuple[int, ...]
    values: tuple[float, ...]
    blocks: tuple[tuple[float, ...], ...] = ()
    weights: tuple[float, ...] = ()
    unit: str = "epoch"

    def __len__(self) -> int:
        return len(self.values)

    def tail(self, share: float, least: int) -> Curve:
        """The last ``share`` of the points, ``least`` of them at the least."""
        return self.last(max(least, math.ceil(share * len(self))))

    def last(self, count: int) -> Curve:
        """The last ``count`` points, or all when there are fewer."""
        first = max(0, len(self) - count)
        return Curve(
            at=self.at[first:],
            values=self.values[first:],
            blocks=self.blocks[first:],
            weights=self.weights,
            unit=self.unit,
        )

    @property
    def jitter(self) -> float:
        """How much the later half of the curve scatters about its trend, in the unit of the loss."""
        return jitter_std(self.tail(0.5, 6).values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """What the verdict is made from.

    ``trend`` is the training loss at as many points as there are; ``train`` the one re-measured in eval mode, which compares
    with ``val``. ``scale`` is the loss that there was to lose: the trivial baseline's, or how far below it the run got if
    that is more (so that negative losses and a baseline of 0 have a scale too).
    """

    trend: Curve
    train: Curve
    val: Curve | None
    start: float | None
    baseline: float | None
    val_baseline: float | None
    scale: float
    baseline_blocks: tuple[float, ...] = ()
    val_baseline_blocks: tuple[float, ...] = ()

    @property
    def train_loss(self) -> float:
        """The training loss at the end: the median of the last three points, so that one odd epoch does not decide."""
        return statistics.median(self.train.last(min(3, 1 + len(self.train) // 4)).values)

    @property
    def explained_ratio(self) -> float | None:
        """Share of the trivial loss that training removed; None without a baseline."""
        return None if self.baseline is None else (self.baseline - self.train_loss) / self.scale

    @property
    def removed_ratio(self) -> float | None:
        """As ``explained_ratio``; without a baseline the share of the loss at the start."""
        reference = self.start if self.baseline is None else self.baseline
        return None if reference is None else (reference - self.train_loss) / self.scale


def read_curves(measured: Measurements) -> Curves | None:
    """The curves of a run, or None when not one epoch has a finite training loss."""
    history = measured[History]
    running = _curve(history.epochs, [e.running_loss for e in history.epochs])
    train = _measured_curve(history, "train")
    if len(train) < max(2, len(running) // 4):
        train = running if not len(train) else _whole(train, running)
    if not len(train):
        return None
    val = _measured_curve(history, "val")
    baseline = _finite(measured[Baseline].train_loss) if Baseline in measured else None
    val_baseline = _finite(measured[Baseline].val_loss) if Baseline in measured else None
    start = _start(measured, running)
    trend = _trend(train, running, measured.get(LossTrace))
    return Curves(
        trend=trend,
        train=train,
        val=val if len(val) else None,
        start=start,
        baseline=baseline,
        val_baseline=baseline if val_baseline is None else val_baseline,
        scale=_scale(baseline, start, min(train.values)),
        baseline_blocks=_paired(measured, train, "train"),
        val_baseline_blocks=_paired(measured, val, "val"),
    )


def _curve(epochs: Sequence[EpochRecord], values: Sequence[float | None]) -> Curve:
    kept = [(e.epoch, v) for e, v in zip(epochs, values, strict=True) if v is not None and usable(v)]
    return Curve(at=tuple(at for at, _ in kept), values=tuple(v for _, v in kept))


def _measured_curve(history: History, split: str) -> Curve:
    train = split == "train"
    weights = history.train_block_weights if train else history.val_block_weights
    rows = [
        (e.epoch, loss, e.train_blocks if train else e.val_blocks)
        for e in history.epochs
        if (loss := e.train_loss if train else e.val_loss) is not None and usable(loss)
    ]
    size = len(rows[0][2]) if rows else 0
    paired = size >= 2 and all(len(blocks) == size and all(map(usable, blocks)) for _, _, blocks in rows)
    return Curve(
        at=tuple(at for at, _, _ in rows),
        values=tuple(loss for _, loss, _ in rows),
        blocks=tuple(blocks for _, _, blocks in rows) if paired else (),
        weights=_weights(weights, size) if paired else (),
    )


def _weights(weights: tuple[float, ...], size: int) -> tuple[float, ...]:
    sound = len(weights) == size and all(math.isfinite(w) and w > 0.0 for w in weights)
    return weights if sound else (1.0,) * size


def _paired(measured: Measurements, curve: Curve, split: str) -> tuple[float, ...]:
    if Baseline not in measured or not curve.blocks:
        return ()
    blocks = measured[Baseline].train_blocks if split == "train" else measured[Baseline].val_blocks
    return blocks if len(blocks) == len(curve.blocks[0]) and all(map(usable, blocks)) else ()


def _whole(train: Curve, running: Curve) -> Curve:
    """Few re-measured points will do when they reach the end of the run."""
    return train if not len(running) or train.at[-1] == running.at[-1] else running


def _trend(train: Curve, running: Curve, trace: LossTrace | None) -> Curve:
    curve = train if len(train) >= 8 or len(train) >= len(running) else running
    if len(curve) >= 5 or trace is None:
        return curve
    finite = [loss for loss in trace.losses if usable(loss)]
    if len(finite) < 2 * TREND_POINTS or len(finite) < len(trace.losses):
        return curve
    edges = [round(i * len(finite) / TREND_POINTS) for i in range(TREND_POINTS + 1)]
    bins = list(pairwise(edges))
    return Curve(
        at=tuple(trace.stride * (b - 1) for _, b in bins),
        values=tuple(statistics.fmean(finite[a:b]) for a, b in bins),
        unit="step",
    )


def _start(measured: Measurements, running: Curve) -> float | None:
    output = measured.get(Output)
    if output is not None and output.initial_loss is not None and usable(output.initial_loss):
        return output.initial_loss
    trace = measured.get(LossTrace)
    if trace is not None and trace.losses and usable(trace.losses[0]):
        return trace.losses[0]
    return running.values[0] if len(running) else None


def _scale(baseline: float | None, start: float | None, best: float) -> float:
    reference = baseline if baseline is not None else start
    scale = max(abs(best), 0.0) if reference is None else max(abs(reference), reference - best)
    return scale if scale > 0.0 else 1.0


def _finite(value: float | None) -> float | None:
    return value if value is not None and usable(value) else None
