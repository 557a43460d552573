"""What a search for the rate says of the rate that the target has: it was tried as well, beside those that were found."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.lr_find import LrRange, LrTrials, OwnLr, SuggestedLr
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule


@dataclass(frozen=True, slots=True)
class Tried:
    """The target's own rate beside the one that was found, ``low`` to ``high`` being as good.

    ``best_tried`` is the rate that trained best in trials as long as that of the target's own.

    ``gain_ratio`` is its gain over the best gain: 0 for no gain, negative for harm, minus infinity where it diverged.
    """

    own: OwnLr
    best: float
    best_tried: float
    low: float
    high: float
    start_loss: float
    best_loss: float
    gain_ratio: float

    @property
    def told(self) -> str:
        """What became of training with it, and with the best."""
        became = "diverged" if self.own.ended == "diverged" else f"left the loss at {self.own.loss:.3g}"
        return (
            f"training at a rate of {self.own.lr:g} {became}, where {self.best_tried:g} brought it from "
            f"{self.start_loss:.3g} to {self.best_loss:.3g}"
        )

    def blame(self, rule: Rule, message: str, severity: Severity | None = None) -> Finding:
        """The finding of a rule on the target's own rate, whose limit is ``learnt``."""
        return rule.finding(
            message,
            where=Where(phase="optimizer"),
            severity=severity,
            evidence={
                "lr": self.own.lr,
                "loss_before": self.start_loss,
                "loss_after": self.own.loss,
                "planned_ratio": self.own.planned_ratio,
                "suggested_lr": self.best,
                "suggested_loss_after": self.best_loss,
                "lr_range": [self.low, self.high],
            },
            limit={"learnt": rule.limits["learnt"]},
            advice=(f"set the rate to {self.best:g} (dltool lr-find --write does)",),
        )


def tried_rate(measured: Measurements) -> Tried | None:
    """None where no rate was looked for, none works, or the target's own was not tried: then there is nothing to compare."""
    own, trials, found, ends = measured.get(OwnLr), measured.get(LrTrials), measured.get(SuggestedLr), measured.get(LrRange)
    if own is None or trials is None or found is None or found.lr is None or ends is None or ends.ends is None:
        return None
    short = [t for t in trials.trials if t.stage == "short" and t.ended == "finished"]
    best = min(short, key=lambda t: t.loss, default=None)
    best_loss = math.nan if best is None else best.loss
    best_gain = trials.start_loss - best_loss
    gain = trials.start_loss - own.loss if own.ended == "finished" else -math.inf
    return Tried(
        own=own,
        best=found.lr,
        best_tried=found.lr if best is None else best.lr,
        low=ends.ends[0],
        high=ends.ends[-1],
        start_loss=trials.start_loss,
        best_loss=best_loss,
        gain_ratio=gain / best_gain if best_gain > 0.0 else math.nan,
    )
