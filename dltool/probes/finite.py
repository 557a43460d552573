"""Is every value finite, where not, and what kind of value it is."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Literal

import torch
from torch import Tensor

from dltool.probes.nested import Nested, tensors


def is_finite(value: Nested) -> bool:
    """Whether no tensor in ``value`` holds NaN or Inf."""
    return all(_finite(tensor) for tensor in tensors(value))


def has_nan(value: Nested) -> bool:
    """Whether a tensor in ``value`` holds NaN."""
    return any(bool(tensor.isnan().any()) for tensor in tensors(value) if _can_be_bad(tensor))


def kind_of_bad(value: Nested) -> Literal["nan", "inf"]:
    """NaN where there is any, for it is what an Inf decays into."""
    return "nan" if has_nan(value) else "inf"


def count_bad(value: Nested) -> int:
    """How many values are not finite."""
    return sum(int((~tensor.isfinite()).sum()) for tensor in tensors(value) if _can_be_bad(tensor))


def bad_rows(value: Nested, samples: int | None) -> tuple[int, ...]:
    """Samples (rows of the tensors that have one for each) with a value that is not finite."""
    rows: set[int] = set()
    for tensor in tensors(value):
        if _can_be_bad(tensor) and tensor.ndim and len(tensor) == samples:
            bad = ~tensor.isfinite().reshape(len(tensor), -1).all(1)
            rows.update(bad.nonzero().flatten().tolist())
    return tuple(sorted(rows))


def is_allowed(name: str, patterns: Iterable[str]) -> bool:
    """Whether a parameter, buffer or module is among those that may hold Inf or NaN (``rules.allow_nonfinite``)."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def mended(values: Tensor, default: float) -> Tensor:
    """A copy with every NaN and Inf replaced by the mean of the finite values, or by ``default`` if there are none."""
    finite = values[values.isfinite()]
    return torch.where(values.isfinite(), values, finite.mean() if finite.numel() else torch.full_like(values, default))


def _finite(tensor: Tensor) -> bool:
    # A sum is NaN or Inf if any term is, and forty times as fast as isfinite on the CPU. It can also overflow.
    return not _can_be_bad(tensor) or bool(tensor.sum().isfinite()) or bool(tensor.isfinite().all())


def _can_be_bad(tensor: Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()
