"""NAN104 non-finite-forward."""

from __future__ import annotations

from typing import ClassVar

from dltool.rules.nonfinite.first_event import ALL, FirstEvent


class NonFiniteForward(FirstEvent):
    """An operation of the forward pass made the first NaN or Inf out of finite numbers.

    What it measures: the outputs of modules and operations; the one whose inputs were still finite is the birthplace.
    From its recorded operands it tells: a divisor of 0 (0 / 0, x / 0), an argument outside of the domain or on its edge
    (log, sqrt, pow, acos, atanh, ...), overflow of the type (exp, squares, products, sums, conversion to float16), a
    row that is masked everywhere before softmax, Inf - Inf, 0 × Inf and Inf / Inf, a reduction over nothing, the
    variance of one value, a normalisation without eps, a singular matrix, memory used before it was filled. Where
    gradients had grown for three steps or more, tenfold in all, it names that growth as what lies behind an overflow.
    Where the numbers bear out none of these it says no more than what went in and came out.

    Why it is bad: everything downstream is spoilt, the loss with it.

    How to fix: keep the argument in the operation's domain (clamp before log and sqrt, add an epsilon to a divisor), or
    use a stable form (log_softmax, logsumexp, log1p, expm1). Leave every row of an attention mask one place to look at.
    For overflow: float32 or bfloat16 instead of float16 (`train: {precision: bf16}`), a lower rate, clipping (`train:
    {clip_norm: 1.0}`), normalised data.

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
