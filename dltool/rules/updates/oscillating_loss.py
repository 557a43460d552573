"""OPT104 oscillating-loss."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.training import LossTrace
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Threshold
from dltool.rules.fit_status.limits import LIMITS
from dltool.rules.fit_verdict import FitVerdict


class OscillatingLoss(Rule):
    """The loss swings up and down by a material amount and gets no lower.

    What it measures: in the later half of the run, the median change of the training loss from epoch to epoch, the share of
    changes that reverse the one before, and the net progress.

    Why it is bad: the steps throw the weights from one wall of a valley to the other; where the run happens to end is luck.

    How to fix: a lower learning rate, a larger batch or accumulated gradients, less momentum, gradient clipping.

    When it is wrong: at the edge of stability the loss is jagged and falls all the same; net progress beyond one swing keeps
    the rule silent. So do swings that are small beside the trivial baseline's loss.

    References: Cohen et al. 2021, Gradient descent on neural networks typically occurs at the edge of stability; Zhang
    et al. 2021 (AUTOTRAINER), "oscillating loss"; Kendall & Stuart, The advanced theory of statistics (turning points).
    """

    id = "OPT104"
    name = "oscillating-loss"
    severity = Severity.WARNING
    needs = (FitVerdict,)
    thresholds: ClassVar[tuple[Threshold, ...]] = LIMITS["oscillating-loss"]
    explains: ClassVar[tuple[str, ...]] = ()

    def judge(self, measured: Measurements) -> Iterable[Finding]:
        found = measured[FitVerdict]
        if found.status != "oscillating":
            return ()
        spikes = measured[LossTrace].spikes if LossTrace in measured else ()
        return [
            self.finding(
                found.reason,
                where=Where(phase="optimizer"),
                evidence=dict(found.evidence) | {"spikes": len(spikes)},
                limit=dict(self.limits),
                advice=found.advice,
            )
        ]
