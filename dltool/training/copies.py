"""Values of many tensors, copied at once into memory that can be used again."""

from __future__ import annotations

import cmath
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dltool.probes.preserve import overwrite


class Room:
    """Memory for the values of tensors like these: one block for each dtype and device, cut into views.

    Tensors that do not lie in memory in order (sparse, channels last) have no view: None.
    """

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self._kinds = [_kind(tensor) for tensor in tensors]
        sizes: dict[Any, int] = {}
        starts: list[int | None] = []
        for tensor in tensors:
            block = tensor.dtype, tensor.device
            starts.append(sizes.get(block, 0) if _lies_in_order(tensor) else None)
            if starts[-1] is not None:
                sizes[block] = starts[-1] + tensor.numel()
        room = {block: torch.empty(size, dtype=block[0], device=block[1]) for block, size in sizes.items()}
        self.blocks = list(room.values())
        self.views = [
            None if start is None else room[t.dtype, t.device][start : start + t.numel()].view(t.shape)
            for t, start in zip(tensors, starts, strict=True)
        ]

    def fits(self, tensors: Sequence[Tensor]) -> bool:
        """Whether these tensors have the sizes that it was made for."""
        return [_kind(tensor) for tensor in tensors] == self._kinds


class Copies:
    """Copies of the values of ``tensors``, in ``room`` where it fits: copies made there before are then lost."""

    @torch.no_grad()
    def __init__(self, tensors: Sequence[Tensor], room: Room | None = None) -> None:
        self.room = room if room is not None and room.fits(tensors) else Room(tensors)
        self._tensors = list(tensors)
        self._versions = [tensor._version for tensor in tensors]  # noqa: SLF001 - torch's count of writes
        pairs = [(view, tensor) for view, tensor in zip(self.room.views, tensors, strict=True) if view is not None]
        if pairs:
            torch._foreach_copy_([view for view, _ in pairs], [tensor for _, tensor in pairs])
        self._values = [
            tensor.detach().clone() if view is None else view for view, tensor in zip(self.room.views, tensors, strict=True)
        ]

    def __len__(self) -> int:
        return len(self._tensors)

    @property
    def bytes(self) -> int:
        """Memory that the copies take."""
        return sum(_bytes(value) for value in self._values)

    def is_finite(self) -> bool:
        """Whether every copied value is finite; False may also mean that their sum is too large."""
        outside = [value for value, view in zip(self._values, self.room.views, strict=True) if view is None]
        numbers = [values for values in (*self.room.blocks, *outside) if values.is_floating_point() or values.is_complex()]
        sums = [_sum(values) for values in numbers]
        return all(cmath.isfinite(total.item()) for total in sums)

    @torch.no_grad()
    def put_back(self) -> None:
        """Write the values into the tensors that they were copied from.

        One that nobody wrote to is left alone: it may be a batch, which is known by that to be as it was delivered.
        """
        for tensor, value, version in zip(self._tensors, self._values, self._versions, strict=True):
            if tensor._version == version and _equal(tensor, value):  # noqa: SLF001
                continue
            if tensor.shape == value.shape and tensor.dtype == value.dtype and tensor.layout == value.layout:
                overwrite(tensor.detach(), value)
            else:  # it was made another one in place: ``p.data = ...``
                tensor.data = value.clone()


def _kind(tensor: Tensor) -> Any:
    return tensor.shape, tensor.dtype, tensor.device, tensor.layout


def _lies_in_order(tensor: Tensor) -> bool:
    return tensor.layout is torch.strided and not tensor.is_quantized and tensor.is_contiguous()


def _equal(tensor: Tensor, value: Tensor) -> bool:
    return tensor.shape == value.shape and tensor.layout is value.layout is torch.strided and torch.equal(tensor, value)


def _sum(values: Tensor) -> Tensor:
    if values.layout is not torch.strided:
        values = values.coalesce().values() if values.layout is torch.sparse_coo else values.to_dense()
    return values.sum(dtype=torch.float32) if values.is_floating_point() and values.element_size() < 4 else values.sum()


def _bytes(values: Tensor) -> int:
    if values.layout is torch.sparse_coo:
        return _bytes(values._indices()) + _bytes(values._values())  # noqa: SLF001 - coalesced or not
    return values.numel() * values.element_size()
