"""Linear and convolutional layers: what one weight adds to the output, read off the input instead of computed anew.

Outputs are seen as (rows, units, places): of a linear layer every position is a row and there is one place, of a
convolution samples are rows and pixels are places. A weight changes one unit, in all rows and places.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Deltas = Callable[[Tensor, Tensor], Tensor]
"""(elements, offsets), each (m,), to what they change in the layer's output, (m, *output.shape)."""
Moves = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""The same to the unit that each element changes, (m,), and by how much, (m, rows, places)."""

CONVOLUTIONS: dict[type[nn.Module], int] = {nn.Conv1d: 1, nn.Conv2d: 2, nn.Conv3d: 3}


def moves_of(module: nn.Module, name: str, x: Any, output: Any) -> Moves | None:
    """How elements of the parameter ``name`` (weight or bias) of ``module`` change the output it gave for ``x``.

    None where the module is no plain linear or convolutional layer: a subclass may compute anything.
    """
    if not isinstance(x, Tensor) or not isinstance(output, Tensor):
        return None
    dims = 0 if type(module) is nn.Linear else CONVOLUTIONS.get(type(module))
    if dims is None or (dims and (module.padding_mode != "zeros" or x.ndim != dims + 2)):
        return None
    if name == "bias":
        rows, _, places = as_units(module, output).shape
        return lambda elements, offsets: (elements, offsets.reshape(-1, 1, 1).expand(-1, rows, places))
    return _of_convolution(module, x, output, dims) if dims else _of_linear(module, x)


def as_units(module: nn.Module, output: Tensor) -> Tensor:
    """An output of ``module`` as (rows, units, places)."""
    return output.reshape(-1, output.shape[-1], 1) if type(module) is nn.Linear else output.flatten(2)


def deltas_of(module: nn.Module, moves: Moves, output: Tensor) -> Deltas:
    """The change of the whole output of ``module``, from that of one unit."""
    shape = as_units(module, output).shape

    def deltas(elements: Tensor, offsets: Tensor) -> Tensor:
        units, moved = moves(elements, offsets)
        change = torch.zeros(len(elements), *shape, dtype=output.dtype, device=output.device)
        change[torch.arange(len(elements), device=output.device), :, units] = moved
        return change.reshape(len(elements), *output.shape)

    return deltas


def _of_linear(module: Any, x: Tensor) -> Moves:
    columns = x.reshape(-1, module.in_features).T.contiguous()

    def moves(elements: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
        moved = offsets.unsqueeze(1) * columns[elements % module.in_features]
        return elements // module.in_features, moved.unsqueeze(2)

    return moves


def _of_convolution(module: Any, x: Tensor, output: Tensor, dims: int) -> Moves:
    if isinstance(module.padding, str):
        reach = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]
        padding = [side for r in reversed(reach) for side in ((r // 2, r - r // 2) if module.padding == "same" else (0, 0))]
    else:
        padding = [side for p in reversed(module.padding) for side in (p, p)]
    padded = F.pad(x, padding).transpose(0, 1)
    positions, inner = math.prod(module.kernel_size), module.weight.shape[1]
    per_group = module.out_channels // module.groups
    # By kernel position and channel, what it meets: (positions, channels, rows, places)
    seen = torch.stack([padded[tuple(_window(module, place, output, dims))].flatten(2) for place in range(positions)])

    def moves(elements: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
        units, rest = elements // (inner * positions), elements % (inner * positions)
        channels = units // per_group * inner + rest // positions
        return units, offsets.reshape(-1, 1, 1) * seen[rest % positions, channels]

    return moves


def _window(module: Any, place: int, output: Tensor, dims: int) -> list[slice]:
    """The inputs that kernel position ``place`` meets."""
    slices = [slice(None)] * 2
    for dim in reversed(range(dims)):
        place, at = divmod(place, module.kernel_size[dim])
        start, stride = at * module.dilation[dim], module.stride[dim]
        slices.insert(2, slice(start, start + stride * (output.shape[2 + dim] - 1) + 1, stride))
    return slices
