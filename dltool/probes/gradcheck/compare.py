"""From slopes to a record: the relative error of a tensor, its class, its worst elements and its kinks."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from dltool.core.measured.gradcheck import RIGHT, Element, GradientRecord, Kink, Method, verdict_of
from dltool.probes.numeric_gradient import Slopes

MOST_NAMED = 5


def relative_error(difference: float, analytic: float, numeric: float, resolution: float) -> float:
    """``difference`` over the sum of the norms; 0 for a difference that rounding explains, NaN stays.

    >>> relative_error(2e-3, 1.0, 1.0, 1e-9), relative_error(1e-12, 0.0, 1e-12, 1e-11)
    (0.001, 0.0)
    """
    if difference == 0:
        return 0.0
    total = analytic + numeric
    error = difference / total if total else math.nan
    return 0.0 if difference <= resolution and not error < RIGHT else error


def record_of(
    name: str, leaf: Tensor, analytic: Tensor | None, slopes: Slopes, elements: Tensor, *, method: Method = "elements"
) -> GradientRecord:
    """What the slopes along ``elements`` (flat indices) of ``leaf`` say of its gradient."""
    given = (torch.zeros_like(slopes.numeric) if analytic is None else analytic.reshape(-1)[elements]).detach()
    smooth = ~slopes.kink
    difference = (given - slopes.numeric)[smooth]
    norms = [float(part.norm()) for part in (difference, given[smooth], slopes.numeric[smooth], slopes.resolution[smooth])]
    total = norms[1] + norms[2]
    error = relative_error(*norms)
    return GradientRecord(
        relative_error=error,
        verdict=verdict_of(error),
        method=method,
        module=name.rpartition(".")[0],
        shape=tuple(leaf.shape),
        elements=leaf.numel(),
        compared=int(smooth.sum()),
        analytic_norm=norms[1],
        numeric_norm=norms[2],
        resolution=norms[3] / total if total else 0.0,
        gradient="none" if analytic is None else "present",
        kinks=int(slopes.kink.sum()),
        kink_examples=tuple(_kink(leaf, given, slopes, elements, int(i)) for i in slopes.kink.nonzero()[:MOST_NAMED, 0]),
        worst=_worst(leaf, given, slopes, elements),
        smallest_step=float(slopes.step.min()),
        largest_step=float(slopes.step.max()),
    )


def _kink(leaf: Tensor, given: Tensor, slopes: Slopes, elements: Tensor, i: int) -> Kink:
    return Kink(
        index=_index(leaf, int(elements[i])),
        left=float(slopes.left[i]),
        right=float(slopes.right[i]),
        analytic=float(given[i]),
    )


def _worst(leaf: Tensor, given: Tensor, slopes: Slopes, elements: Tensor) -> tuple[Element, ...]:
    apart = (given - slopes.numeric).abs().nan_to_num(math.inf).masked_fill(slopes.kink, -1.0)
    order = torch.argsort(apart, descending=True, stable=True)[:MOST_NAMED]
    return tuple(
        Element(
            index=_index(leaf, int(elements[i])),
            analytic=float(given[i]),
            numeric=float(slopes.numeric[i]),
            step=float(slopes.step[i]),
        )
        for i in order.tolist()
        if float(apart[i]) >= 0
    )


def _index(leaf: Tensor, flat: int) -> tuple[int, ...]:
    return tuple(int(i) for i in torch.unravel_index(torch.tensor(flat), leaf.shape)) if leaf.ndim else ()


def joined(parts: list[Slopes]) -> Slopes:
    """Slopes of consecutive blocks of lines as one."""
    fields = ("numeric", "resolution", "step", "kink", "left", "right")
    return Slopes(*(torch.cat([getattr(part, name) for part in parts]) for name in fields))


def within_sides(record: GradientRecord) -> bool:
    """Whether autograd's slope at every kink that was looked at lies between the slopes to both sides, as it may."""
    return all(_between(kink) for kink in record.kink_examples)


def _between(kink: Kink) -> bool:
    slack = 1e-6 * (abs(kink.left) + abs(kink.right))
    return min(kink.left, kink.right) - slack <= kink.analytic <= max(kink.left, kink.right) + slack


def with_error(record: GradientRecord, error: float) -> GradientRecord:
    """The record with another relative error, and the class that goes with it."""
    return replace(record, relative_error=error, verdict=verdict_of(error))
