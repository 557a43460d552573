"""How sure a model can be whose logits are bounded."""

from __future__ import annotations

import math

from dltool.core.measured.design import LossTerm, Samples
from dltool.rules.spec.graph import number
from dltool.rules.spec.losses import applies_softmax, class_dim
from dltool.rules.spec.ranges import Bounds


def least_chance(term: LossTerm, bounds: Bounds, samples: Samples | None, leaves: tuple[int, ...] | None) -> float | None:
    """The highest probability that a right answer can get, for the answer that has it worst; None where not known.

    With a softmax: 1 / (1 + (K - 1) e^(low - high)), one logit at the top and K - 1 at the bottom. With a sigmoid: that
    of the less likely of yes and no.
    """
    if applies_softmax(term):
        if math.isinf(bounds.low) or math.isinf(bounds.high):
            return 1.0
        if leaves is None:
            return None
        dim = class_dim(leaves, () if samples is None or samples.target_shape is None else samples.target_shape)
        others = leaves[0 if dim is None else dim] - 1 if leaves else 0
        return 1.0 / (1.0 + others * math.exp(bounds.low - bounds.high)) if others > 0 else None
    return min(_sigmoid(bounds.high), _sigmoid(-bounds.low))


def wanted_chance(term: LossTerm, samples: Samples | None) -> float:
    """The probability that the targets ask for at the most: below 1 where labels are smoothed or are shares."""
    wanted = 1.0 - number(term.arguments.get("label_smoothing"), 0.0)
    if samples is not None and samples.target_kind == "probabilities" and samples.target_max is not None:
        wanted = min(wanted, samples.target_max)
    return wanted


def _sigmoid(logit: float) -> float:
    return (
        1.0 / (1.0 + math.exp(-logit))
        if logit >= 0.0
        else math.exp(max(logit, -700.0)) / (1.0 + math.exp(max(logit, -700.0)))
    )
