"""What comparing autograd's gradients with differences of the loss measured.

``relative_error`` is everywhere ‖a − n‖ / (‖a‖ + ‖n‖) of the analytic gradient a and the numeric one n, and 0 where both
vanish, or differ by no more than rounding leaves undecided (``resolution``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from dltool.core.measurements import Section

Verdict = Literal["right", "fine", "suspicious", "wrong"]
Method = Literal["elements", "projection", "joint projection"]

RIGHT, FINE, WRONG = 1e-7, 1e-5, 1e-3
"""Bounds of the classes, for float64 (CS231n notes, neural-networks-3, "Gradient checks")."""


def verdict_of(relative_error: float) -> Verdict:
    """The class of a relative error; NaN is wrong.

    >>> [verdict_of(e) for e in (1e-8, 1e-6, 1e-4, 1e-2, float("nan"))]
    ['right', 'fine', 'suspicious', 'wrong', 'wrong']
    """
    if relative_error < RIGHT:
        return "right"
    if relative_error <= FINE:
        return "fine"
    return "suspicious" if relative_error <= WRONG else "wrong"


@dataclass(frozen=True, kw_only=True)
class Element:
    """One element of a tensor: what autograd says, what the differences say, and the step that was best for it."""

    index: tuple[int, ...]
    analytic: float
    numeric: float
    step: float


@dataclass(frozen=True, kw_only=True)
class Kink:
    """An element at which the loss has two slopes: to smaller values (``left``) and to larger ones (``right``)."""

    index: tuple[int, ...]
    left: float
    right: float
    analytic: float


@dataclass(frozen=True, kw_only=True)
class GradientRecord:
    """One tensor. Of several points in training, the one where it came out worst (``after_steps``).

    ``compared`` counts the elements (or projections) that the error is over, of ``elements``. ``resolution`` is the relative
    error that rounding alone may cause. ``kinks`` are elements left out because the loss has no derivative there; with
    ``only_at_point`` the disagreement as a whole was gone at nearby points. ``precision_error`` is the relative error of the
    gradient in the model's own precision against that in float64. ``gradient`` is "none" where autograd returned none.
    """

    relative_error: float
    verdict: Verdict
    method: Method
    module: str
    shape: tuple[int, ...]
    elements: int
    compared: int
    analytic_norm: float
    numeric_norm: float
    resolution: float
    gradient: Literal["present", "none"] = "present"
    after_steps: int = 0
    kinks: int = 0
    kink_examples: tuple[Kink, ...] = ()
    only_at_point: bool = False
    worst: tuple[Element, ...] = ()
    smallest_step: float | None = None
    largest_step: float | None = None
    precision_error: float | None = None
    expected: bool = False
    """It was named as cut off from its gradient on purpose."""


@dataclass(frozen=True, kw_only=True)
class CheckedParameters(Section):
    """Every parameter that was checked, by its name in ``named_parameters()``."""

    key: ClassVar[str] = "parameters"
    only_in: ClassVar[str | None] = "gradcheck"

    parameters: Mapping[str, GradientRecord]


@dataclass(frozen=True, kw_only=True)
class CheckedInputs(Section):
    """Every floating-point tensor of the input that was checked."""

    key: ClassVar[str] = "inputs"
    only_in: ClassVar[str | None] = "gradcheck"

    inputs: Mapping[str, GradientRecord]


@dataclass(frozen=True, kw_only=True)
class Culprit:
    """The innermost place whose own backward disagrees with its own forward.

    ``function`` is the custom ``autograd.Function`` (None: the module's own code), ``arguments`` what it gives the wrong
    gradient for. ``module`` is None for the loss. ``gradient`` "none": a path is cut there. ``parameters`` are the wrong
    ones that lie upstream of it.
    """

    module: str | None
    function: str | None
    relative_error: float
    arguments: tuple[str, ...]
    gradient: Literal["present", "none"]
    parameters: tuple[str, ...]
    file: str | None = None
    line: int | None = None


@dataclass(frozen=True, kw_only=True)
class Culprits(Section):
    """Where wrong gradients come from, in the order of the forward pass; empty where all are right."""

    key: ClassVar[str] = "culprits"

    culprits: tuple[Culprit, ...]


@dataclass(frozen=True, kw_only=True)
class CheckedPoint:
    """One set of weights at which was checked.

    ``repeat_difference`` is how far apart the loss came out when it was computed again from the same state; above
    ``noise`` by far, the loss is not deterministic, nothing was compared, and ``unsteady_module`` is the first module whose
    output differed. ``noise`` is the rounding error of one loss (ECNoise, Moré & Wild 2011). ``miss_probability`` is how
    likely it is that a parameter whose relative error is 1e-3 passed the random projections.
    """

    after_steps: int
    loss: float
    noise: float
    repeat_difference: float
    deterministic: bool
    evaluations: int
    projections: int
    miss_probability: float | None
    relative_errors: Mapping[str, float]
    unsteady_module: str | None = None


@dataclass(frozen=True, kw_only=True)
class CheckedPoints(Section):
    """Where in training, on what and how it was checked.

    ``lifted`` says that the model itself computes in less than float64 somewhere, which was lifted for the check.
    ``not_checked`` are parameters that were left out, with the reason. ``own_precision`` is the dtype it trains in.
    """

    key: ClassVar[str] = "points"

    points: tuple[CheckedPoint, ...]
    samples: int
    full: bool
    lifted: bool = False
    own_precision: str = "float32"
    not_checked: Mapping[str, str] = field(default_factory=dict)
    stopped: Literal["finished", "interrupted", "timeout"] = "finished"
