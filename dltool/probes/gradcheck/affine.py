"""Linear and convolutional layers: what one weight adds to the output, read off the input instead of computed anew."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Deltas = Callable[[Tensor, Tensor], Tensor]
"""(elements, offsets), each (m,), to what they change in the layer's output, (m, *output.shape)."""

CONVOLUTIONS: dict[type[nn.Module], int] = {nn.Conv1d: 1, nn.Conv2d: 2, nn.Conv3d: 3}


def deltas_of(module: nn.Module, name: str, x: Any, output: Any) -> Deltas | None:
    """How elements of the parameter ``name`` (weight or bias) of ``module`` change the output it gave for ``x``.

    None where the module is no plain linear or convolutional layer: a subclass may compute anything.
    """
    if not isinstance(x, Tensor) or not isinstance(output, Tensor):
        return None
    if type(module) is nn.Linear:
        return _of_bias(output, output.ndim - 1) if name == "bias" else _of_linear(module, x, output)
    dims = CONVOLUTIONS.get(type(module))
    if dims is None or module.padding_mode != "zeros" or x.ndim != dims + 2:
        return None
    return _of_bias(output, 1) if name == "bias" else _of_convolution(module, x, output, dims)


def _of_bias(output: Tensor, unit_dim: int) -> Deltas:
    shape = [1] * output.ndim
    shape[unit_dim] = -1

    def deltas(elements: Tensor, offsets: Tensor) -> Tensor:
        units = torch.zeros(len(elements), output.shape[unit_dim], dtype=output.dtype, device=output.device)
        units[torch.arange(len(elements)), elements] = offsets
        return units.reshape(len(elements), *shape).expand(len(elements), *output.shape)

    return deltas


def _of_linear(module: nn.Linear, x: Tensor, output: Tensor) -> Deltas:
    rows, columns = output.reshape(-1, module.out_features).shape[0], x.reshape(-1, module.in_features).T.contiguous()

    def deltas(elements: Tensor, offsets: Tensor) -> Tensor:
        change = torch.zeros(len(elements), rows, module.out_features, dtype=output.dtype, device=output.device)
        units, features = elements // module.in_features, elements % module.in_features
        change[torch.arange(len(elements)), :, units] = offsets.unsqueeze(1) * columns[features]
        return change.reshape(len(elements), *output.shape)

    return deltas


def _of_convolution(module: Any, x: Tensor, output: Tensor, dims: int) -> Deltas | None:
    if isinstance(module.padding, str):
        reach = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]
        padding = [side for r in reversed(reach) for side in ((r // 2, r - r // 2) if module.padding == "same" else (0, 0))]
    else:
        padding = [side for p in reversed(module.padding) for side in (p, p)]
    padded = F.pad(x, padding)
    positions = math.prod(module.kernel_size)
    inner = module.weight.shape[1]
    per_group = module.out_channels // module.groups

    def deltas(elements: Tensor, offsets: Tensor) -> Tensor:
        change = torch.zeros(len(elements), *output.shape, dtype=output.dtype, device=output.device)
        units, rest = elements // (inner * positions), elements % (inner * positions)
        channels = units // per_group * inner + rest // positions
        for place in (rest % positions).unique().tolist():
            here = (rest % positions == place).nonzero()[:, 0]
            seen = padded[(slice(None), slice(None), *_window(module, place, output, dims))]
            change[here, :, units[here]] = offsets[here].reshape(-1, *[1] * (dims + 1)) * seen[:, channels[here]].transpose(
                0, 1
            )
        return change

    return deltas


def _window(module: Any, place: int, output: Tensor, dims: int) -> list[slice]:
    """The inputs that kernel position ``place`` meets."""
    slices: list[slice] = []
    for dim in reversed(range(dims)):
        place, at = divmod(place, module.kernel_size[dim])
        start, stride = at * module.dilation[dim], module.stride[dim]
        slices.insert(0, slice(start, start + stride * (output.shape[2 + dim] - 1) + 1, stride))
    return slices
