"""How a built model starts: the spec's ``init`` for the whole model and for single layers.

A named initialiser sets weight matrices and zeroes biases; ``{weight: ..., bias: ...}`` sets each. A layer's own ``init``
wins over that of the residual block around it, and that over ``model.init``. The gates of recurrent layers, and the query,
key and value maps of attention, are filled one by one: each has its own fan. ``model.init`` leaves normalisation layers
alone, and, where it needs a fan, embeddings too (the rows of an embedding are looked up, not summed over).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from dltool.specs.build.fills import FREE, fill
from dltool.specs.misfit import MisfitError
from dltool.specs.schema.initialisers import Initialiser, LayerInit

GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


def initialise(module: nn.Module, init: LayerInit, *, own: bool) -> None:
    """Fill every layer in ``module`` (itself included); ``own`` where the spec wrote ``init`` at this very layer.

    Raises:
        MisfitError: an initialiser that these weights cannot take.
    """
    with torch.no_grad():
        for layer in module.modules():
            weights, biases = _parts(layer, init.weight, own=own)
            if init.weight is not None:
                for weight in weights:
                    fill(weight, init.weight)
            if init.bias is not None or (init.weight is not None and weights):
                for bias in biases:
                    _fill_bias(bias, init.bias)
            if isinstance(layer, nn.Embedding) and layer.padding_idx is not None:
                layer.weight[layer.padding_idx].zero_()


def _fill_bias(bias: Tensor, init: Initialiser | None) -> None:
    if init is None:
        nn.init.zeros_(bias)
        return
    try:
        fill(bias, init)
    except MisfitError as misfit:
        told = misfit.problem
        raise MisfitError(told.message, value=init.kind, expected=told.expected, below=("init", "bias")) from None


def _parts(layer: nn.Module, weight: Initialiser | None, *, own: bool) -> tuple[list[Tensor], list[Tensor]]:
    """The weights and biases of one module itself, cut into gates; none where this initialiser passes it over."""
    if isinstance(layer, nn.Linear | _ConvNd):
        return [layer.weight], [] if layer.bias is None else [layer.bias]
    if isinstance(layer, nn.RNNBase):
        gates = GATES[layer.mode]
        return list(_chunks(layer, "weight_", gates)), list(_chunks(layer, "bias_", gates))
    if isinstance(layer, nn.MultiheadAttention):
        named = dict(layer.named_parameters(recurse=False))
        return list(named["in_proj_weight"].chunk(3)), [named["in_proj_bias"]] if "in_proj_bias" in named else []
    if isinstance(layer, nn.Embedding) and (own or weight is None or weight.kind in FREE):
        return [layer.weight], []
    if own and not list(layer.children()):
        named = dict(layer.named_parameters(recurse=False))
        return [named["weight"]] if "weight" in named else [], [named["bias"]] if "bias" in named else []
    return [], []


def _chunks(rnn: nn.RNNBase, prefix: str, gates: int) -> Iterator[Tensor]:
    for name, parameter in rnn.named_parameters(recurse=False):
        if name.startswith(prefix):
            yield from parameter.chunk(1 if name.startswith("weight_hr") else gates)
