"""Where values stopped being finite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from dltool.core.finding import Phase
from dltool.core.measurements import Section


@dataclass(frozen=True, kw_only=True)
class TensorFacts:
    """A tensor in numbers; ``minimum`` and ``maximum`` are over its finite values, None where it has none."""

    shape: tuple[int, ...]
    dtype: str
    nan: int = 0
    positive_inf: int = 0
    negative_inf: int = 0
    zeros: int = 0
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, kw_only=True)
class NonFiniteEvent:
    """The first place where a value stopped being finite, at the step it happened.

    The fields from ``file`` on are known where the step was traced. ``inputs`` are the tensors that the birth operator took
    and ``output`` the first bad one that it gave; ``index`` is the first bad place in it and ``operands`` are the values
    that the inputs had there, where the operator is elementwise. ``makers`` are the public names of the operators that made
    the inputs in this step (None for what was there before it), ``names`` what the others are called (``parameter w``,
    ``input``). ``finite_again`` is, in backward, the forward function that had turned the bad value met there into a
    finite one. ``arguments`` are its plain arguments by name (an exponent,
    an eps). In backward ``forward_op`` is the operator whose gradient was computed. ``source`` says where a value
    came from that was bad before the step ("target", "exp_avg_sq"), ``proof`` in words what was mended to heal the step,
    ``settings`` the optimizer's numbers (lr, eps, ...) and the rest of what a cause may hang on. ``code`` is the user's
    line itself.
    """

    phase: Phase
    step: int
    value: Literal["nan", "inf"]
    count: int
    module: str | None = None
    parameter: str | None = None
    op: str | None = None
    samples: tuple[int, ...] | None = None
    term: str | None = None
    file: str | None = None
    line: int | None = None
    aten: str | None = None
    forward_op: str | None = None
    inputs: tuple[TensorFacts, ...] = ()
    output: TensorFacts | None = None
    index: tuple[int, ...] | None = None
    operands: tuple[float, ...] = ()
    makers: tuple[str | None, ...] = ()
    names: tuple[str | None, ...] = ()
    finite_again: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    source: str | None = None
    proof: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    code: str | None = None


@dataclass(frozen=True, kw_only=True)
class NonFinite(Section):
    """Non-finite values met in the run, earliest first; empty on a healthy one."""

    key: ClassVar[str] = "non_finite"
    events: tuple[NonFiniteEvent, ...]
