"""Batches copied as they are, and told apart from batches that somebody wrote into."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from dltool.probes.nested import tensors, transform
from dltool.training.experiment import Batch


def bytes_of(batches: Sequence[Batch]) -> int:
    """Memory of the tensors in ``batches``."""
    if len(batches) == 1 and isinstance(batches[0].input, Tensor) and isinstance(batches[0].target, Tensor):
        return batches[0].input.nbytes + batches[0].target.nbytes
    return sum(tensor.nbytes for batch in batches for tensor in tensors(tuple(batch)))


def copied(batch: Batch) -> Batch:
    """A copy of its tensors that share memory where they do: an autoencoder's target is its input."""
    given, target = batch
    if isinstance(given, Tensor) and isinstance(target, Tensor) and _memory(given) != _memory(target):
        return Batch(_clone(given), _clone(target))
    found = {id(tensor): tensor for tensor in tensors(tuple(batch))}
    users = Counter(_memory(tensor) for tensor in found.values())
    memory: dict[int | None, Tensor] = {}
    copies: dict[int, Tensor] = {}
    for key, tensor in found.items():
        place = _memory(tensor)
        if place is None or users[place] == 1:
            copies[key] = _clone(tensor)
            continue
        if place not in memory:
            whole = torch.empty(0, dtype=torch.uint8, device=tensor.device).set_(tensor.untyped_storage())
            memory[place] = whole.clone()
        again = torch.empty(0, dtype=tensor.dtype, device=tensor.device).set_(memory[place].untyped_storage())
        copies[key] = again.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())
    return Batch(*(transform(part, lambda tensor: copies[id(tensor)]) for part in batch))


def _clone(tensor: Tensor) -> Tensor:
    return tensor.detach().clone() if tensor.requires_grad else tensor.clone()


def _memory(tensor: Tensor) -> int | None:
    return tensor.untyped_storage().data_ptr() if tensor.layout is torch.strided and tensor.numel() else None


def versions(batches: Sequence[Batch]) -> tuple[int, ...]:
    """Torch's count of in-place writes, tensor by tensor; what bypasses it (``.data``, numpy) is not counted."""
    if len(batches) == 1 and isinstance(batches[0].input, Tensor) and isinstance(batches[0].target, Tensor):
        return batches[0].input._version, batches[0].target._version  # noqa: SLF001
    return tuple(tensor._version for batch in batches for tensor in tensors(tuple(batch)))  # noqa: SLF001


def same_values(left: Sequence[Batch], right: Sequence[Batch]) -> bool:
    """Whether two copies of the same batches hold the same values; NaN is one value."""
    pairs = zip((t for b in left for t in tensors(tuple(b))), (t for b in right for t in tensors(tuple(b))), strict=True)
    return all(a is b or torch.equal(a, b) or torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in pairs)
