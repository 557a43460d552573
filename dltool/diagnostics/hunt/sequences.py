"""Whether the model takes sequences as (length, samples, ...), where sizes alone cannot tell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from dltool.probes.nested import first_tensor
from dltool.training.experiment import Batch
from dltool.training.patrol import Caught


def takes_sequence_first(caught: Caught, batch: Batch) -> bool:
    """Repeat the step and see how the first layer for sequences (recurrent, attention) gets them.

    Such a layer says by ``batch_first`` which dimension it takes for that of the samples. False for a model without one.
    """
    given = first_tensor(batch.input)
    layers = [module for module in caught.walk.experiment.model.modules() if isinstance(_batch_first(module), bool)]
    if given is None or not layers:
        return False
    seen: list[tuple[torch.Size, bool]] = []
    caught.walk.repeat(caught.moment, caught.batches, context=_watching(layers, seen))
    if not seen:
        return False
    size, batch_first = seen[0]
    turned = size[:2] == given.shape[:2][::-1] and size[:2] != given.shape[:2]
    return batch_first is turned


def _batch_first(module: nn.Module) -> Any:
    attention = getattr(module, "self_attn", module)  # an encoder layer keeps it there
    return getattr(attention, "batch_first", None)


@contextmanager
def _watching(layers: list[nn.Module], seen: list[tuple[torch.Size, bool]]) -> Iterator[None]:
    def note(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        taken = first_tensor((args, kwargs))
        if taken is not None and taken.ndim > 2:
            seen.append((taken.shape, _batch_first(module)))

    handles = [layer.register_forward_pre_hook(note, with_kwargs=True) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
