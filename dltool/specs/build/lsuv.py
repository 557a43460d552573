"""Layer-sequential unit variance (Mishkin & Matas 2016, algorithm 1).

Weights are scaled on data, layer after layer, until the output of each has a variance of 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from dltool.specs.misfit import MisfitError
from dltool.specs.schema.initialisers import Lsuv


def rescale(model: nn.Module, layers: Mapping[str, Lsuv], batch: Any) -> None:
    """Rescale the weights of the linear and convolution modules named in ``layers``, in that order, on one input batch.

    The model runs in eval mode, so that dropout and noise do not disturb the variance and no running statistic moves.

    Raises:
        MisfitError: a layer's output does not vary at all, or is not finite.
    """
    was_training = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            for name, args in layers.items():
                _rescale_layer(model, name, args, batch)
    finally:
        for module, training in was_training.items():
            module.training = training


def _rescale_layer(model: nn.Module, name: str, args: Lsuv, batch: Any) -> None:
    layer = model.get_submodule(name)
    weight = layer.get_parameter("weight")
    for _ in range(args.max_iterations):
        variance = _output_variance(model, layer, batch)
        if not 0.0 < variance < float("inf"):
            raise MisfitError(f"lsuv cannot scale {name}: its output on the first batch has a variance of {variance}")
        if abs(variance - 1.0) < args.tolerance:
            return
        weight.div_(variance**0.5)


def _output_variance(model: nn.Module, layer: nn.Module, batch: Any) -> float:
    seen: list[Tensor] = []
    handle = layer.register_forward_hook(lambda _module, _args, output: seen.append(output))
    try:
        model(batch)
    finally:
        handle.remove()
    return float(seen[0].var())
