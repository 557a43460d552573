"""NAN106 non-finite-backward."""

from __future__ import annotations

from typing import ClassVar

from dltool.rules.nonfinite.first_event import ALL, FirstEvent


class NonFiniteBackward(FirstEvent):
    """The loss is finite, and yet a gradient came out NaN or Inf.

    What it measures: gradients after the backward pass; the node whose incoming gradient was still finite is the
    birthplace, and the line is that of the forward operation. It tells: a point of infinite slope (sqrt, log and powers
    below 1 at 0, acos and asin at 1), the branch that `where` or a mask did not choose (a gradient of 0 times an
    infinite slope or a NaN), a gradient that outgrew its type, eigenvectors of equal eigenvalues, a learnt exponent of
    a negative number.

    Why it is bad: one update writes it into the weights.

    How to fix: keep away from points of infinite slope: add an epsilon inside sqrt, norm and pow; make the argument
    safe before `where`, not after it.

    When it is wrong: under mixed precision a skipped step with an Inf gradient is part of loss scaling and is not
    reported.

    References: PyTorch issues 68425 and 156212 (where), 160016 (anomaly mode); Griewank & Walther 2008, Evaluating
    derivatives.
    """

    id = "NAN106"
    name = "non-finite-backward"
    phase = "backward"
    advice = (
        "add an epsilon inside sqrt, norm, log or a division",
        "make the argument safe before torch.where, not after it",
    )
    explains: ClassVar[tuple[str, ...]] = (
        *(other for other in ALL if other != "non-finite-backward"),
        "learning-rate-too-high",
        "diverged",
        "no-better-than-trivial",
    )
