"""CMP105 gradient-error-grew."""

from __future__ import annotations

from typing import ClassVar

from dltool.core.finding import Severity
from dltool.rules.base import Threshold
from dltool.rules.compared.regressed import Regressed, noises


class GradientErrorGrew(Regressed):
    """Analytic gradients agree less well with differences of the loss than before.

    What it measures: the relative error of each parameter. It fires where that grew by more than rounding may cause: the
    resolution that was measured for it, and at least 1e-5.

    Why it is bad: a backward that was right to seven digits and now is to four has lost something, although no error is
    large enough for gradient-mismatch yet.

    How to fix: look at what changed in the custom functions that the parameter's gradient passes.

    When it is wrong: a kink near the point of the check; another seed checks at another point.

    References: CS231n notes, neural-networks-3, "Gradient checks"; documentation of torch.autograd.gradcheck (tolerances
    in double precision).
    """

    id = "CMP105"
    name = "gradient-error-grew"
    severity = Severity.WARNING
    thresholds: ClassVar[tuple[Threshold, ...]] = (noises("CS231n notes, Gradient checks: below 1e-5 is fine in float64"),)
    group = "gradcheck"
