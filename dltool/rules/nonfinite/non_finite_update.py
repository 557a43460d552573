"""NAN107 non-finite-update."""

from __future__ import annotations

from typing import ClassVar

from dltool.rules.nonfinite.first_event import ALL, FirstEvent


class NonFiniteUpdate(FirstEvent):
    """Weights and gradients were finite, and the optimizer's step wrote NaN or Inf.

    What it measures: parameters and optimizer state after `step()`, whose gradients and values were finite before it. It
    tells: a rate or another setting that is NaN or Inf, an eps that is 0 or becomes 0 in half precision, a squared gradient
    or a step that overflows, a negative second moment, weight decay that runs away (rate times decay above 2), a state that
    was bad before, clipping by an infinite norm.

    Why it is bad: the model is lost from this step on.

    How to fix: check the rate and its schedule, the optimizer's epsilon (1e-8 is 0 in float16:
    `optimizer: {adam: {eps: 1e-4}}`, or float32 weights under autocast) and its restored state; clip the gradient.

    When it is wrong: never: an update must be finite.

    References: Kingma & Ba 2015, Adam; optax issue 1754 (epsilon underflows in half precision).
    """

    id = "NAN107"
    name = "non-finite-update"
    phase = "optimizer"
    advice = (
        "lower the learning rate",
        "raise the optimizer's eps to 1e-4 in half precision",
        "clip the gradient norm (train.clip_norm: 1.0)",
    )
    explains: ClassVar[tuple[str, ...]] = (
        *(other for other in ALL if other != "non-finite-update"),
        "diverged",
        "no-better-than-trivial",
    )
