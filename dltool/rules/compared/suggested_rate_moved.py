"""CMP106 suggested-rate-moved."""

from __future__ import annotations

from typing import ClassVar

from dltool.core.finding import Severity
from dltool.core.measured.compare import Change, Doubts
from dltool.rules.base import Threshold
from dltool.rules.compared.regressed import Regressed, noises


class SuggestedRateMoved(Regressed):
    """The learning rate that trains best is another one than before, or none works any more.

    What it measures: the suggested rate of lr-find on both sides. It fires beyond the range of rates that trained nearly
    as well, and beyond a factor of 4. That no rate works any more is a warning, a rate that moved is worth knowing.

    Why it is bad: the rate in the spec was chosen for another model than this one; a lower rate tells of sharper slopes.

    How to fix: set the new rate, and look at what changed in the scale of data, initialisation or loss.

    When it is wrong: where many rates train equally well, as of a net that is soon perfect.

    References: Smith 2017, Cyclical learning rates (range test); benchmarks/lr_find.py (spread over seeds),
    documentation.
    """

    id = "CMP106"
    name = "suggested-rate-moved"
    severity = Severity.WARNING
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        noises("benchmarks/lr_find.py: suggestions over seeds lay within a factor of 2.8"),
    )
    group = "rate"
    verdicts = ("worse", "changed")

    def severity_of(self, worst: Change, doubts: Doubts) -> Severity:
        del doubts
        return Severity.INFO if worst.verdict == "changed" else self.severity
