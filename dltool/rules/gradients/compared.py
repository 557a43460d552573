"""Whether gradients were compared at all."""

from __future__ import annotations

from dltool.core.measured.gradcheck import CheckedPoints
from dltool.rules.base import Skip


def not_compared(checked: CheckedPoints) -> Skip | None:
    """Why no gradient was compared at any point; None where some were."""
    if any(point.relative_errors for point in checked.points):
        return None
    for point in checked.points:
        if not point.deterministic:
            place = "" if point.unsteady_module is None else f", first in module {point.unsteady_module or '(the model)'}"
            return Skip(
                f"the loss is not deterministic: the same weights gave losses {point.repeat_difference:.2g} apart{place}"
            )
        if point.loss - point.loss != 0:
            return Skip("the loss is not finite where it was to be checked")
    return Skip("the check ended before a gradient was compared")
