"""A bounded sample of batches, laid together so that samples can be exchanged or seen as one table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor
from torch.nn.functional import pad

from dltool.probes.nested import Nested, Pair, batch_size, take, tensors

MOST_BYTES = 64 << 20
"""Inputs held at once, so that large images cannot fill the memory."""


def gather(batches: Iterable[Pair], limit: int) -> tuple[Nested, Nested] | None:
    """The first ``limit`` samples as one batch, in order; None where batches cannot be laid together.

    Inputs of unequal length are padded with zeros at the end of every dimension, targets likewise with -100 (the index
    that torch's losses ignore) if they are integers; float targets of unequal length cannot be padded.
    """
    inputs, targets, samples, size = [], [], 0, 0
    for x, y in batches:
        count = batch_size(x)
        if not count or any(len(t) != count for part in (x, y) for t in tensors(part) if t.ndim):  # edges of a graph, say
            return None
        if samples + count > limit:
            keep = torch.arange(limit - samples)
            x, y, count = take(x, keep), take(y, keep), len(keep)  # noqa: PLW2901 - the cut batch takes the place of the whole
        inputs.append(x)
        targets.append(y)
        samples += count
        size += sum(t.numel() * t.element_size() for t in tensors(x))
        if samples >= limit or size >= MOST_BYTES:
            break
    if samples < 2:
        return None
    try:
        return _join(inputs, 0.0), _join(targets, -100)
    except (ValueError, TypeError, RuntimeError):
        return None


def _join(parts: list[Nested], fill: float) -> Nested:
    first = parts[0]
    if isinstance(first, Tensor):
        return _join_tensors(parts, fill)
    if isinstance(first, Mapping):
        return {key: _join([part[key] for part in parts], fill) for key in first}
    if isinstance(first, tuple | list):
        joined = [_join([part[i] for part in parts], fill) for i in range(len(first))]
        return type(first)(*joined) if hasattr(first, "_fields") else type(first)(joined)
    raise TypeError(f"cannot lay {type(first).__name__} together")


def _join_tensors(parts: list[Tensor], fill: float) -> Tensor:
    if len({part.shape[1:] for part in parts}) == 1:
        return torch.cat(parts)
    if fill and parts[0].is_floating_point():
        raise ValueError("float targets of unequal length have no neutral padding")
    shape = [max(part.shape[dim] for part in parts) for dim in range(1, parts[0].ndim)]
    padded = []
    for part in parts:
        after = [amount for dim in reversed(range(1, part.ndim)) for amount in (0, shape[dim - 1] - part.shape[dim])]
        padded.append(pad(part, after, value=fill))
    return torch.cat(padded)
