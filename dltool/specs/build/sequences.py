"""Sequences of unequal length: the padded form in which they travel, and the layers that must know where they end.

A batch of them is ``{"values": (N, T, ...), "lengths": (N,)}``. Every length is at least 1; steps from ``lengths[i]`` on are
padding, whatever they hold. ``Stack`` hands the lengths to each ``LengthAware`` layer until one of them ends the sequence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn


def real_steps(lengths: Tensor, steps: int) -> Tensor:
    """Boolean mask (N, steps): True where a step is data, False where it is padding."""
    return torch.arange(steps, device=lengths.device)[None, :] < lengths[:, None]


class LengthAware(nn.Module):
    """Base of layers called as ``layer(x, lengths)``; ``ends_sequence`` says that their output has no time axis."""

    ends_sequence: bool = False


class Stack(LengthAware):
    """Layers run in order, each a child under its own name; lengths are passed to those that need them."""

    def __init__(self, layers: Iterable[tuple[str, nn.Module]]) -> None:
        super().__init__()
        for name, layer in layers:
            self.add_module(name, layer)

    def layers(self) -> Iterator[nn.Module]:
        """The layers in the order in which they run."""
        return self.children()

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(N, ...) to (N, ...); ``lengths`` is (N,) for padded sequences."""
        for layer in self.layers():
            if isinstance(layer, LengthAware):
                x = layer(x, lengths)
                lengths = None if layer.ends_sequence else lengths
            else:
                x = layer(x)
        return x
