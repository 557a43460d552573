"""An event as the mechanisms look at it: the kernel that ran, what it held at the bad place, and how large things were."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from dltool.core.codec import NON_FINITE
from dltool.core.measured.hunt import FixTrial, LeadUp
from dltool.core.measured.non_finite import NonFiniteEvent, TensorFacts
from dltool.rules.nonfinite.why.dtypes import Range, range_of

VARIANTS = re.compile(
    r"^(_+|foreach_|fused_|native_|cudnn_|miopen_|special_|linalg_)+|(_ex|_forward|_legit|_no_training|_)+$"
)
"""What aten puts around a name: lists, back ends, in-place and internal variants."""

SAME = {
    "true_divide": "div",
    "divide": "div",
    "multiply": "mul",
    "subtract": "sub",
    "safe_softmax": "softmax",
    "vector_norm": "norm",
    "nll_loss2d": "nll_loss",
    "fused_rms_norm": "rms_norm",
    "float_power": "pow",
}
HOOKS = frozenset({"hook", "BackwardHookFunction"})
"""What an operator's gradient is computed of where code of the user's own is hooked to it, or to a module."""
NODE = re.compile(r"^(.*?)Backward\d*$")


@dataclass(frozen=True)
class Case:
    """One event, what led up to it, and the cures that were tried."""

    event: NonFiniteEvent
    lead_up: LeadUp | None = None
    trials: tuple[FixTrial, ...] = ()

    @cached_property
    def kernel(self) -> str:
        """The aten operator without its variants, ``div`` for ``aten._foreach_div_.List``; "" where none was traced."""
        parts = (self.event.aten or "").split(".")
        name = VARIANTS.sub("", parts[1] if len(parts) > 1 else parts[0])
        return SAME.get(name, name)

    @property
    def function(self) -> str:
        """The function that the user called: in backward the one whose gradient was taken."""
        event = self.event
        if event.forward_op is not None:
            return event.forward_op
        name = event.op or self.kernel
        node = NODE.match(name)
        if node is None:
            return self.kernel if name == "AccumulateGrad" and self.kernel else name
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", node.group(1)).lower()

    @property
    def in_backward(self) -> bool:
        """The gradient of an operator was being computed, be it by autograd.grad in the forward pass.

        A hook on a gradient computes forward.
        """
        return NODE.match(self.event.op or "") is not None and self.event.forward_op not in HOOKS

    @property
    def hooked(self) -> bool:
        """The user's own code on a gradient ran: a hook on a tensor, a parameter or a module."""
        return self.event.forward_op in HOOKS or self.event.op == "AccumulateGrad"

    @property
    def operands(self) -> tuple[float, ...]:
        """What elementwise inputs held at the bad place."""
        return self.event.operands

    @cached_property
    def pair(self) -> tuple[float, float] | None:
        """Both sides of a binary operator at the bad place; either may be a plain number."""
        values = self.operands
        left, right = self.argument("self"), self.argument("other", "exponent", "scalar", "scalars")
        if len(values) == 1 and left is not None:
            return left, values[0]
        if len(values) == 1 and right is not None:
            return values[0], right
        return (values[0], values[1]) if len(values) == 2 else None

    @property
    def inputs(self) -> tuple[TensorFacts, ...]:
        """The inputs of floating point."""
        return tuple(given for given in self.event.inputs if range_of(given.dtype) is not None)

    def maker(self, index: int) -> str | None:
        """The operator that made input ``index`` in this step; None for what was there before it, and where nobody knows."""
        makers = self.event.makers
        return makers[index] if makers and -len(makers) <= index < len(makers) else None

    def name(self, index: int) -> str | None:
        """What input ``index`` is called, where it was there before the step (``parameter w``)."""
        names = self.event.names
        return names[index] if names and -len(names) <= index < len(names) else None

    @property
    def largest_maker(self) -> str | None:
        """The operator that made the input with the largest magnitude."""
        given = self.event.inputs
        if len(self.event.makers) != len(given) or not given:
            return None
        return self.event.makers[max(range(len(given)), key=lambda i: magnitude(given[i]))]

    @property
    def held(self) -> TensorFacts | None:
        """For what was bad before the step: the tensor that held it."""
        return self.event.output or (self.event.inputs[0] if self.event.inputs else None)

    @property
    def range(self) -> Range | None:
        """The range of the type that the result had to fit in."""
        return None if self.event.output is None else range_of(self.event.output.dtype)

    @property
    def from_finite(self) -> bool:
        """All that went in was finite, at the bad place or everywhere."""
        plain = map(as_number, self.event.arguments.values())
        if not all(math.isfinite(value) for value in plain if value is not None):
            return False
        if self.operands and all(map(math.isfinite, self.operands)):
            return True
        return bool(self.inputs) and not any(map(bad_values, self.inputs))

    @property
    def gave_inf(self) -> bool:
        """What came out held an Inf, and not NaN alone."""
        output = self.event.output
        return self.event.value == "inf" if output is None else bool(output.positive_inf or output.negative_inf)

    def argument(self, *names: str) -> float | None:
        """The first plain number among the arguments of these names."""
        return next((value for name in names if (value := as_number(self.event.arguments.get(name))) is not None), None)

    def setting(self, name: str) -> float | None:
        """A number of the optimizer's."""
        return as_number(self.event.settings.get(name))

    def fact(self, group: str, name: str, within: str | None = None) -> float | None:
        """A number of ``settings``' gradient, parameter before the step (``before``) or state."""
        facts: Any = self.event.settings.get(group)
        if within is not None and isinstance(facts, Mapping):
            facts = facts.get(within)
        return as_number(facts.get(name)) if isinstance(facts, Mapping) else None

    @property
    def largest(self) -> float:
        """The largest finite magnitude that went in."""
        return max(map(magnitude, self.inputs), default=0.0)

    def largest_of(self, group: str) -> float | None:
        """The largest magnitude in ``gradient`` or ``before``."""
        ends = [self.fact(group, name) for name in ("minimum", "maximum")]
        return max((abs(end) for end in ends if end is not None), default=None)


def as_number(value: Any) -> float | None:
    """A number, also one that JSON spells as a string; the first of a list whose members are all alike."""
    if isinstance(value, list | tuple) and value and all(item == value[0] for item in value):
        value = value[0]
    if isinstance(value, str):
        return NON_FINITE.get(value)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def bad_values(given: TensorFacts) -> int:
    """How many are NaN or Inf."""
    return given.nan + given.positive_inf + given.negative_inf


def magnitude(given: TensorFacts) -> float:
    """The largest absolute value among the finite ones; 0 where there is none."""
    return max(abs(given.minimum or 0.0), abs(given.maximum or 0.0))


def numel(given: TensorFacts) -> int:
    """How many values a tensor has."""
    return math.prod(given.shape)
