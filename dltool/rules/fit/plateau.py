"""FIT105 plateau."""

from __future__ import annotations

from typing import ClassVar

from dltool.rules.base import Threshold
from dltool.rules.fit.from_verdict import FromVerdict
from dltool.rules.fit_status.limits import LIMITS


class Plateau(FromVerdict):
    """The loss stands still, too high, while the steps overshoot.

    What it measures: from which epoch on the training loss stays within its own noise; that the level is high (see
    underfitting); and that a quarter of the downhill steps since then raised the loss of their own batch.

    Why it is bad: at this rate the steps cannot descend any further into the valley; the rest of the run is wasted.

    How to fix: drop the learning rate tenfold from the epoch where it began (a step schedule), or let `schedule:
    plateau` do so.

    When it is wrong: a loss that stands still because the net can do no better is underfitting, and its steps do not
    overshoot. A rate that the schedule has already lowered tenfold is not accused.

    References: He et al. 2016, Deep residual learning, section 3.4 (dividing the rate by 10 when the error plateaus);
    Conn, Gould & Toint 2000, section 6.1.
    """

    id = "FIT105"
    name = "plateau"
    thresholds: ClassVar[tuple[Threshold, ...]] = LIMITS["plateau"]
