"""What a search for the learning rate measured: the ladders, the trials, and the answer that they give together.

Losses are in the units of the loss; a gain is how far a loss fell, so that more is better and negative losses are no
exception.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from dltool.core.measurements import Section

Outcome = Literal["found", "flat", "no-rate-works", "not-finite", "meaningless", "nothing-to-train", "unfinished"]
Ended = Literal["finished", "diverged"]
Stage = Literal["short", "long", "own"]


@dataclass(frozen=True, kw_only=True)
class SuggestedLr(Section):
    """The rate that trained best, of the optimizer's first group with one above 0; None where no rate works."""

    key: ClassVar[str] = "suggested_lr"

    lr: float | None


@dataclass(frozen=True, kw_only=True)
class LrRange(Section):
    """Lowest and highest rate that trained nearly as well as the best, without a gap between; None where no rate works."""

    key: ClassVar[str] = "lr_range"

    ends: tuple[float, ...] | None


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """One rung: the mean training loss of the ``ladders`` that reached it, smoothed, and its slope by log10 of the rate."""

    lr: float
    loss: float
    smoothed: float
    slope: float
    ladders: int


@dataclass(frozen=True, kw_only=True)
class Curve(Section):
    """Loss over rate, by rising rate; a last point that is not finite is where the ladders ended."""

    key: ClassVar[str] = "curve"

    points: tuple[CurvePoint, ...]


@dataclass(frozen=True, kw_only=True)
class LrAnswer(Section):
    """The answer in words and the circumstances it holds in.

    ``diverged_at`` is the rate at which the ladders diverged (median over ladders, None where most did not). ``reason`` is
    one sentence. ``trial_steps`` and ``long_steps`` are the optimizer steps of a short trial and of a longer one.
    """

    key: ClassVar[str] = "lr_answer"

    outcome: Outcome
    reason: str
    advice: tuple[str, ...] = ()
    diverged_at: float | None = None
    ladders: int = 0
    ladder_steps: int = 0
    trial_steps: int = 0
    long_steps: int = 0


@dataclass(frozen=True, kw_only=True)
class LrTrial:
    """A rate trained with from the model as it was given. ``loss`` is evaluated afterwards, NaN where it diverged.

    ``gain_ratio`` is its gain over the best gain of the same stage; 0 where nothing was gained, and never below.
    ``origin`` says which reading of the ladder the rate comes from.
    """

    lr: float
    origin: str
    stage: Stage
    steps: int
    loss: float
    ended: Ended
    gain_ratio: float = 0.0


@dataclass(frozen=True, kw_only=True)
class LrTrials(Section):
    """Every rate that was tried, and the loss before. A gain counts when it exceeds ``resolution``."""

    key: ClassVar[str] = "lr_trials"

    split: Literal["train", "val"]
    samples: int
    start_loss: float
    resolution: float
    trials: tuple[LrTrial, ...]


@dataclass(frozen=True, kw_only=True)
class LrDecade:
    """What rates between ``low`` and ten times that do: in the ladders, and in the best trial (a long one if any) there."""

    low: float
    loss_change: float | None
    trial_lr: float | None
    trial_steps: int | None
    trial_loss: float | None
    verdict: str


@dataclass(frozen=True, kw_only=True)
class LrDecades(Section):
    """The coarse table, by rising rate."""

    key: ClassVar[str] = "lr_decades"

    decades: tuple[LrDecade, ...]


@dataclass(frozen=True, kw_only=True)
class OwnLr(Section):
    """The rate that the target has, tried like the others but under its own schedule (``scheduled``).

    ``planned_ratio`` is how many times longer the planned run is than this trial. ``lr`` is the peak under one_cycle.
    """

    key: ClassVar[str] = "own_lr"

    lr: float
    optimizer: str
    schedule: str | None
    scheduled: bool
    planned_ratio: float
    loss: float
    ended: Ended
