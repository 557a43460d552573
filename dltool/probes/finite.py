"""Is every value finite, where not, and what kind of value it is."""

from __future__ import annotations

import cmath
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Literal

import torch
from torch import Tensor

from dltool.probes.nested import Nested, tensors


def is_finite(value: Nested) -> bool:
    """Whether no tensor in ``value`` holds NaN or Inf.

    A sum is NaN or Inf if any term is, and on the CPU forty times as fast as ``isfinite``; it may also overflow, so a sum
    that is not finite is looked into.
    """
    given = list(_numbers(value))
    sums = [tensor.sum() for tensor in given]
    if all(map(cmath.isfinite, (total.item() for total in sums))):
        return True
    return all(bool(tensor.isfinite().all()) for tensor in given)


def has_nan(value: Nested) -> bool:
    """Whether a tensor in ``value`` holds NaN."""
    return any(bool(tensor.isnan().any()) for tensor in _numbers(value))


def kind_of_bad(value: Nested) -> Literal["nan", "inf"]:
    """NaN where there is any, for it is what an Inf decays into."""
    return "nan" if has_nan(value) else "inf"


def count_bad(value: Nested) -> int:
    """How many values are not finite."""
    return sum(int((~tensor.isfinite()).sum()) for tensor in _numbers(value))


def bad_rows(value: Nested, samples: int | None) -> tuple[int, ...]:
    """Samples (rows of the tensors that have one for each) with a value that is not finite."""
    rows: set[int] = set()
    for given in tensors(value):
        if _can_be_bad(given) and given.ndim and len(given) == samples:
            tensor = _computable(given.to_dense() if given.is_sparse else given)
            bad = ~tensor.isfinite().reshape(len(tensor), -1).all(1)
            rows.update(bad.nonzero().flatten().tolist())
    return tuple(sorted(rows))


def is_allowed(name: str, patterns: Iterable[str]) -> bool:
    """Whether a parameter, buffer or module is among those that may hold Inf or NaN (``rules.allow_nonfinite``)."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def mended(values: Tensor, default: float) -> Tensor:
    """A copy with every NaN and Inf replaced by the mean of the finite values, or by ``default`` if there are none."""
    finite = values[values.isfinite()]
    wide = torch.complex128 if values.is_complex() else torch.float64  # a sum of large values may overflow
    stand_in = finite.to(wide).mean().to(values.dtype) if finite.numel() else torch.full_like(values, default)
    return torch.where(values.isfinite(), values, stand_in)


def _numbers(value: Nested) -> Iterator[Tensor]:
    for tensor in tensors(value):
        if _can_be_bad(tensor):
            yield _computable(tensor.coalesce().values() if tensor.is_sparse else tensor)


def _computable(tensor: Tensor) -> Tensor:
    """8-bit floats are for storage: torch neither adds nor compares them."""
    return tensor.float() if tensor.element_size() == 1 else tensor


def _can_be_bad(tensor: Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()
