"""A tensor with bad values in numbers, and where in it they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dltool.core.measured.non_finite import TensorFacts


class Bad(NamedTuple):
    """Which kinds of bad values a tensor holds; beside NaN infinities are not looked for."""

    nan: bool
    positive_inf: bool
    negative_inf: bool

    @property
    def only_negative_inf(self) -> bool:
        """What a mask is made of."""
        return self.negative_inf and not self.nan and not self.positive_inf


def plain(tensor: Tensor) -> Tensor:
    """The same numbers in a layout and dtype that torch computes with: 8-bit floats are for storage only."""
    tensor = tensor.detach()
    if tensor.layout is not torch.strided:
        tensor = tensor.coalesce().values() if tensor.is_sparse else tensor.to_dense()
    return tensor.float() if tensor.element_size() == 1 else tensor


def can_be_bad(tensor: Tensor) -> bool:
    """Integers and truth values are always finite."""
    return tensor.is_floating_point() or tensor.is_complex()


def bad_in(tensor: Tensor) -> Bad | None:
    """The kinds of bad values in ``tensor``; None when it is finite. A sum is enough to see that (it may overflow too)."""
    if not can_be_bad(tensor) or tensor.numel() == 0:
        return None
    values = plain(tensor)
    if bool(values.sum().isfinite()):
        return None
    if values.is_complex():
        values = torch.view_as_real(values.resolve_conj())
    lowest, highest = values.aminmax()  # NaN where there is any
    if bool(lowest.isnan()):
        return Bad(nan=True, positive_inf=False, negative_inf=False)
    positive, negative = bool(highest == torch.inf), bool(lowest == -torch.inf)
    return Bad(nan=False, positive_inf=positive, negative_inf=negative) if positive or negative else None


def facts(tensor: Tensor) -> TensorFacts:
    """The tensor in numbers; complex ones by their magnitude."""
    values = plain(tensor)
    values = values.abs() if values.is_complex() else values
    finite = values[values.isfinite()] if can_be_bad(values) else values.flatten()
    return TensorFacts(
        shape=tuple(tensor.shape),
        dtype=str(tensor.dtype).removeprefix("torch."),
        nan=int(values.isnan().sum()),
        positive_inf=int((values == torch.inf).sum()),
        negative_inf=int((values == -torch.inf).sum()),
        zeros=int((values == 0).sum()),
        minimum=float(finite.min()) if finite.numel() else None,
        maximum=float(finite.max()) if finite.numel() else None,
    )


def born_mask(output: Tensor, inputs: Sequence[Tensor]) -> Tensor:
    """Where an elementwise operator made a bad value of good ones, or NaN of Inf; shape of ``output``."""
    bad, nan = ~output.isfinite(), output.isnan()
    for given in inputs:
        if can_be_bad(given):
            bad &= given.isfinite()
            nan &= ~given.isnan()
    return bad | nan


def rows_of(bad: Tensor, samples: int | None) -> tuple[int, ...] | None:
    """Samples with a bad value, in a tensor whose first (else second) dimension is, or is a multiple of, the samples."""
    if samples is None or not bad.ndim:
        return None
    if bad.shape[0] != samples and bad.ndim > 1 and bad.shape[1] == samples:
        bad = bad.transpose(0, 1)
    if not len(bad) or len(bad) % samples:
        return None
    per_sample = bad.reshape(samples, -1).any(1)
    return tuple(per_sample.nonzero().flatten().tolist())


def first_place(bad: Tensor) -> tuple[int, ...]:
    """Index of the first true value."""
    return tuple(bad.nonzero()[0].tolist())
