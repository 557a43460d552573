"""The logarithm of 0, by what made the 0: the form that takes the logarithm where nothing is lost yet."""

from __future__ import annotations

from collections.abc import Mapping

from dltool.rules.nonfinite.why.case import Case
from dltool.rules.nonfinite.why.nothing import SPREADS

LOGARITHMS = frozenset({"log", "log2", "log10"})

LOG_SOFTMAX = (
    "take F.log_softmax(x, dim) instead of the log of a softmax, or leave the softmax out and give the loss logits: "
    "`loss: cross_entropy` in a spec, F.cross_entropy in code"
)
LOG_SIGMOID = (
    "take F.logsigmoid(x) instead of the log of a sigmoid, or leave the sigmoid out and give the loss logits: "
    "`loss: bce_with_logits` in a spec, F.binary_cross_entropy_with_logits in code"
)
LOGSUMEXP = "stay in logarithms: torch.logsumexp(log_p, dim) instead of the log of a sum of exponentials or probabilities"
LOG_OF_EXP = "leave exp and log out: the exponent itself is the logarithm, and torch.logsumexp that of a sum of exponentials"
ADD_LOGS = "where it is a product of probabilities or densities, add up their logarithms instead"
COMPLEMENT = (
    "take the stable form: F.logsigmoid(-x) for log(1 - sigmoid(x)), 2 * (math.log(2) - x - F.softplus(-2 * x)) for "
    "log(1 - tanh(x) ** 2), torch.log1p(-p) for a small p"
)
INSIDE_THE_ROOT = (
    "add the eps inside the root or the spread, torch.{name}(torch.sqrt(v + 1e-12)): at 0 it has no slope either"
)
SHIFTED = "add a floor to it, torch.{name}(F.softplus(x) + 1e-6), or let the network give the logarithm itself"
OF_DATA = "torch.log1p(x) where x counts or measures an amount that may be 0; torch.special.xlogy(x, x) for x * log(x)"

STABLE: Mapping[str, tuple[str, ...]] = {
    "softmax": (LOG_SOFTMAX,),
    "sigmoid": (LOG_SIGMOID,),
    "exp": (LOG_OF_EXP,),
    "prod": (ADD_LOGS,),
    "sub": (COMPLEMENT,),
    "softplus": (SHIFTED,),
    "relu": (SHIFTED,),
    **dict.fromkeys(("sqrt", "norm", *sorted(SPREADS)), (INSIDE_THE_ROOT,)),
}
"""What to take instead, ahead of a clamp."""

ALSO: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("sum", "matmul", "mean"), (LOGSUMEXP,)),
    "add": (COMPLEMENT,),
    "mul": (ADD_LOGS,),
}
"""What to take instead if it is what it may be, after a clamp."""

SAID = {
    "sub": ": a difference of two numbers that are equal to the last digit",
    "relu": ": relu gives exact zeros",
    "exp": ": the exponential had underflowed",
    "softmax": ": the softmax had underflowed",
    "sigmoid": ": the sigmoid had underflowed",
    "softplus": ": the softplus had underflowed",
    "sqrt": ": a root of 0",
    "norm": ": a norm of zeros",
    **dict.fromkeys(sorted(SPREADS), ": a spread of 0, of values that are all equal"),
}


def of_zero(case: Case, maker: str | None) -> str:
    """Why there was a 0, after the cause; nothing where the operator tells nothing."""
    return SAID.get(maker or "", "") if case.event.makers else ""


def around_clamp(case: Case, name: str, maker: str | None, clamp: str) -> tuple[str, ...]:
    """A clamp among the forms that suit what made the argument, likeliest first."""
    if not case.event.makers:
        return (clamp,)
    if maker is None:
        given = case.inputs[0] if case.inputs else None
        never_negative = given is not None and given.minimum is not None and given.minimum >= 0
        return (clamp, OF_DATA) if never_negative else (clamp,)
    first = tuple(text.format(name=name) for text in STABLE.get(maker, ()))
    if INSIDE_THE_ROOT in STABLE.get(maker, ()):
        return first
    return (*first, clamp, *ALSO.get(maker, ()))
