"""One builder for every layer of the spec: from torch's own arguments, sizes known, to an ``nn.Module``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from dltool.specs.build import modules
from dltool.specs.shapes.incoming import Incoming

Builder = Callable[[dict[str, Any], Incoming], nn.Module]

ACTIVATIONS: Mapping[str, type[nn.Module]] = {
    "relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "prelu": nn.PReLU, "rrelu": nn.RReLU, "relu6": nn.ReLU6, "elu": nn.ELU,
    "celu": nn.CELU, "selu": nn.SELU, "gelu": nn.GELU, "silu": nn.SiLU, "mish": nn.Mish, "softplus": nn.Softplus,
    "softsign": nn.Softsign, "sigmoid": nn.Sigmoid, "log_sigmoid": nn.LogSigmoid, "hardsigmoid": nn.Hardsigmoid,
    "tanh": nn.Tanh, "tanhshrink": nn.Tanhshrink, "hardtanh": nn.Hardtanh, "hardswish": nn.Hardswish,
    "softshrink": nn.Softshrink, "hardshrink": nn.Hardshrink, "threshold": nn.Threshold, "glu": nn.GLU,
    "softmax": nn.Softmax, "softmin": nn.Softmin, "log_softmax": nn.LogSoftmax, "softmax2d": nn.Softmax2d,
}  # fmt: skip


def _plain(module: Callable[..., nn.Module]) -> Builder:
    return lambda given, _: module(**given)


def _global_pool(kind: str) -> Builder:
    return lambda given, _: modules.GlobalPool(kind, given["dim"])  # type: ignore[arg-type] # avg or max, from below


def _batch_norm(given: dict[str, Any], arrives: Incoming) -> nn.Module:
    rank = len(arrives.shape)
    if arrives.sequence and rank == 2:
        return modules.SequenceBatchNorm(**given)
    norm: Any = (nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[rank - 1]
    return norm(**given)  # type: ignore[no-any-return]


def _recurrent(module: Any) -> Builder:
    def build(given: dict[str, Any], _: Incoming) -> nn.Module:
        own = {name: value for name, value in given.items() if name != "output"}
        return modules.Recurrent(module(**own, batch_first=True), last_step=given["output"] == "last")

    return build


def _attention(given: dict[str, Any], _: Incoming) -> nn.Module:
    return modules.SelfAttention(nn.MultiheadAttention(**given, batch_first=True))


def _encoder_layer(given: dict[str, Any], _: Incoming) -> nn.Module:
    return modules.TransformerEncoderLayer(**given, batch_first=True)


BUILDERS: Mapping[str, Builder] = {
    "linear": _plain(nn.Linear),
    "drop_connect": _plain(modules.DropConnect),
    "conv1d": _plain(nn.Conv1d),
    "conv2d": _plain(nn.Conv2d),
    "conv3d": _plain(nn.Conv3d),
    "embedding": _plain(nn.Embedding),
    "max_pool1d": _plain(nn.MaxPool1d),
    "max_pool2d": _plain(nn.MaxPool2d),
    "max_pool3d": _plain(nn.MaxPool3d),
    "avg_pool1d": _plain(nn.AvgPool1d),
    "avg_pool2d": _plain(nn.AvgPool2d),
    "avg_pool3d": _plain(nn.AvgPool3d),
    "adaptive_avg_pool1d": _plain(nn.AdaptiveAvgPool1d),
    "adaptive_avg_pool2d": _plain(nn.AdaptiveAvgPool2d),
    "adaptive_avg_pool3d": _plain(nn.AdaptiveAvgPool3d),
    "adaptive_max_pool1d": _plain(nn.AdaptiveMaxPool1d),
    "adaptive_max_pool2d": _plain(nn.AdaptiveMaxPool2d),
    "adaptive_max_pool3d": _plain(nn.AdaptiveMaxPool3d),
    "global_avg_pool": _global_pool("avg"),
    "global_max_pool": _global_pool("max"),
    "flatten": _plain(nn.Flatten),
    "reshape": _plain(modules.Reshape),
    "dropout": _plain(nn.Dropout),
    "gaussian_noise": _plain(modules.GaussianNoise),
    "batch_norm": _batch_norm,
    "layer_norm": _plain(nn.LayerNorm),
    "rms_norm": _plain(nn.RMSNorm),
    "group_norm": _plain(nn.GroupNorm),
    "rnn": _recurrent(nn.RNN),
    "lstm": _recurrent(nn.LSTM),
    "gru": _recurrent(nn.GRU),
    "multihead_attention": _attention,
    "transformer_encoder_layer": _encoder_layer,
    **{kind: _plain(module) for kind, module in ACTIVATIONS.items()},
}
"""By the layer's name in the spec; residual, which holds layers itself, is built where layers are put together."""
