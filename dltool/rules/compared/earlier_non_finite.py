"""CMP108 earlier-non-finite."""

from __future__ import annotations

from typing import ClassVar

from dltool.core.finding import Severity
from dltool.rules.base import Threshold
from dltool.rules.compared.regressed import Regressed, noises


class EarlierNonFinite(Regressed):
    """The first NaN or Inf comes far earlier than before.

    What it measures: the first bad step of two hunts that both found one, counted from 1. It fires where it comes in
    less than half of the steps; where the seeds differ, in less than a twentieth.

    Why it is bad: what was rare is on its way to being certain.

    How to fix: as the finding of the hunt says; that it was known before is no reason to wait.

    When it is wrong: where one sample in many is to blame, another seed meets it sooner.

    References: Feller 1968, An introduction to probability theory (the wait for a rare sample is geometric: it halves by
    chance one time in three, and is 20 times shorter one time in 21).
    """

    id = "CMP108"
    name = "earlier-non-finite"
    severity = Severity.WARNING
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        noises("convention: half of the steps for one seed; Feller 1968 for the twentieth, one in 21 by chance"),
    )
    group = "hunt"
