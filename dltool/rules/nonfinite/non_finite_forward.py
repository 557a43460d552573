"""NAN104 non-finite-forward."""

from __future__ import annotations

from typing import ClassVar

from dltool.rules.nonfinite.first_event import ALL, FirstEvent


class NonFiniteForward(FirstEvent):
    """An operation of the forward pass made the first NaN or Inf out of finite numbers.

    What it measures: the outputs of modules and operations; the one whose inputs were still finite is the birthplace.

    Why it is bad: everything downstream is spoilt, the loss with it.

    How to fix: keep the argument in the operation's domain (clamp before log and sqrt, add an epsilon to a divisor), or
    use a stable form (log_softmax, logsumexp, log1p, expm1).

    When it is wrong: a mask of -inf before softmax is meant and is not reported unless it reaches the loss.

    References: Goldberg 1991, What every computer scientist should know about floating-point arithmetic; PyTorch issues
    143658 and 182156.
    """

    id = "NAN104"
    name = "non-finite-forward"
    phase = "forward"
    advice = (
        "keep the argument inside the operation's domain: clamp it, or add an epsilon",
        "use the stable form: log_softmax, logsumexp, log1p",
    )
    explains: ClassVar[tuple[str, ...]] = (
        *(other for other in ALL if other != "non-finite-forward"),
        "learning-rate-too-high",
        "diverged",
        "no-better-than-trivial",
    )
