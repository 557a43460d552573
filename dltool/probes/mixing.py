"""Does one sample's output depend on the others in its batch? In eval mode it must not."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from dltool.core.measured.training import Mixing
from dltool.probes.gather import gather
from dltool.probes.nested import Pair, batch_size, first_tensor, place, take
from dltool.probes.preserve import device_of, evaluating


def mixing(model: nn.Module, batches: Iterable[Pair], *, limit: int = 48, dtype: torch.dtype | None = None) -> Mixing | None:
    """Put the same samples into two batches, between others each time, and compare their outputs.

    They stand in the middle, since a recurrence that takes samples for time steps looks to one side only.

    ``largest_change_ratio`` is the largest change over the largest output in absolute value. A model that does not mix
    changes by rounding at most (1e-6 in float32).

    Returns:
        None for fewer than three samples, or where the output has no row for each sample.
    """
    table = gather(((x, torch.arange(batch_size(x) or 0)) for x, _ in batches), limit)
    third = 0 if table is None else (batch_size(table[0]) or 0) // 3
    if table is None or not third:
        return None
    inputs = place(table[0], device_of(model), dtype)
    kept, others, strangers = torch.arange(3 * third).reshape(3, third)
    ahead = (third + 1) // 2
    rows = slice(ahead, ahead + third)
    with evaluating(model):
        before = first_tensor(model(take(inputs, torch.cat((others[:ahead], kept, others[ahead:])))))
        after = first_tensor(model(take(inputs, torch.cat((strangers[:ahead], kept, strangers[ahead:])))))
    if before is None or after is None or not before.ndim or len(before) != 2 * third or before.shape != after.shape:
        return None
    largest, change = float(before[rows].abs().max()), float((after - before)[rows].abs().max())
    return Mixing(batch_size=2 * third, largest_change_ratio=change / largest if largest > 0 else change)
