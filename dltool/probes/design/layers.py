"""torch.nn's layers by the names that specs have for them, with their arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from dltool.core.measured.design import Argument
from dltool.probes.saturation import NAMES as ACTIVATIONS

CONV = (
    "in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "bias", "padding_mode",
)  # fmt: skip
MAX_POOL = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
AVG_POOL = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")
BATCH_NORM = ("num_features", "eps", "momentum", "affine", "track_running_stats", "bias", "training")
LAST_DIMS = ("normalized_shape", "eps", "elementwise_affine", "bias")
RECURRENT = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional")
CELL = ("input_size", "hidden_size", "bias")
DROPOUT = ("p", "training")
UPSAMPLE = ("size", "scale_factor", "mode", "align_corners")
ATTENTION = ("embed_dim", "num_heads", "dropout", "bias", "batch_first")

ACTIVATION_ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "leaky_relu": ("negative_slope",),
    "prelu": ("num_parameters",),
    "rrelu": ("lower", "upper"),
    "elu": ("alpha",),
    "celu": ("alpha",),
    "gelu": ("approximate",),
    "softplus": ("beta", "threshold"),
    "hardtanh": ("min_val", "max_val"),
    "softshrink": ("lambd",),
    "hardshrink": ("lambd",),
    "threshold": ("threshold", "value"),
    "glu": ("dim",),
    "softmax": ("dim",),
    "softmin": ("dim",),
    "log_softmax": ("dim",),
}
SPELLED = {"logsigmoid": "log_sigmoid"}
"""Where torch.nn.functional and specs differ."""

LAYERS: Mapping[type[nn.Module], tuple[str, tuple[str, ...]]] = {
    nn.Linear: ("linear", ("in_features", "out_features", "bias")),
    nn.Bilinear: ("bilinear", ("in1_features", "in2_features", "out_features", "bias")),
    nn.Conv1d: ("conv1d", CONV),
    nn.Conv2d: ("conv2d", CONV),
    nn.Conv3d: ("conv3d", CONV),
    nn.ConvTranspose1d: ("conv_transpose1d", CONV),
    nn.ConvTranspose2d: ("conv_transpose2d", CONV),
    nn.ConvTranspose3d: ("conv_transpose3d", CONV),
    nn.MaxPool1d: ("max_pool1d", MAX_POOL),
    nn.MaxPool2d: ("max_pool2d", MAX_POOL),
    nn.MaxPool3d: ("max_pool3d", MAX_POOL),
    nn.AvgPool1d: ("avg_pool1d", AVG_POOL),
    nn.AvgPool2d: ("avg_pool2d", (*AVG_POOL, "divisor_override")),
    nn.AvgPool3d: ("avg_pool3d", (*AVG_POOL, "divisor_override")),
    nn.AdaptiveAvgPool1d: ("adaptive_avg_pool1d", ("output_size",)),
    nn.AdaptiveAvgPool2d: ("adaptive_avg_pool2d", ("output_size",)),
    nn.AdaptiveAvgPool3d: ("adaptive_avg_pool3d", ("output_size",)),
    nn.AdaptiveMaxPool1d: ("adaptive_max_pool1d", ("output_size",)),
    nn.AdaptiveMaxPool2d: ("adaptive_max_pool2d", ("output_size",)),
    nn.AdaptiveMaxPool3d: ("adaptive_max_pool3d", ("output_size",)),
    nn.Flatten: ("flatten", ("start_dim", "end_dim")),
    nn.Embedding: ("embedding", ("num_embeddings", "embedding_dim", "padding_idx", "max_norm")),
    nn.EmbeddingBag: ("embedding", ("num_embeddings", "embedding_dim", "padding_idx", "max_norm")),
    nn.BatchNorm1d: ("batch_norm", BATCH_NORM),
    nn.BatchNorm2d: ("batch_norm", BATCH_NORM),
    nn.BatchNorm3d: ("batch_norm", BATCH_NORM),
    nn.SyncBatchNorm: ("batch_norm", BATCH_NORM),
    nn.InstanceNorm1d: ("instance_norm", BATCH_NORM),
    nn.InstanceNorm2d: ("instance_norm", BATCH_NORM),
    nn.InstanceNorm3d: ("instance_norm", BATCH_NORM),
    nn.LayerNorm: ("layer_norm", LAST_DIMS),
    nn.RMSNorm: ("rms_norm", LAST_DIMS[:3]),
    nn.GroupNorm: ("group_norm", ("num_groups", "num_channels", "eps", "affine", "bias")),
    nn.Dropout: ("dropout", DROPOUT),
    nn.Dropout1d: ("dropout", DROPOUT),
    nn.Dropout2d: ("dropout", DROPOUT),
    nn.Dropout3d: ("dropout", DROPOUT),
    nn.AlphaDropout: ("dropout", DROPOUT),
    nn.FeatureAlphaDropout: ("dropout", DROPOUT),
    nn.RNN: ("rnn", (*RECURRENT, "nonlinearity")),
    nn.LSTM: ("lstm", (*RECURRENT, "proj_size")),
    nn.GRU: ("gru", RECURRENT),
    nn.RNNCell: ("rnn_cell", (*CELL, "nonlinearity")),
    nn.LSTMCell: ("lstm_cell", CELL),
    nn.GRUCell: ("gru_cell", CELL),
    nn.MultiheadAttention: ("multihead_attention", ATTENTION),
    nn.Upsample: ("interpolate", UPSAMPLE),
    nn.UpsamplingNearest2d: ("interpolate", UPSAMPLE),
    nn.UpsamplingBilinear2d: ("interpolate", UPSAMPLE),
    nn.PixelShuffle: ("pixel_shuffle", ("upscale_factor",)),
    nn.Softmax2d: ("softmax2d", ()),
    **{
        kind: (SPELLED.get(name, name), ACTIVATION_ARGUMENTS.get(name, ()))
        for kind, name in ACTIVATIONS.items()
        if kind is not nn.Softmax2d
    },
}


def known_layer(module: nn.Module) -> type[nn.Module] | None:
    """The class of torch.nn that ``module`` computes as; None for the user's own, and where hooks may change what it gives.

    Of a subclass (a parametrized layer among them) the nearest one whose ``forward`` it kept.
    """
    if module._forward_hooks or "forward" in vars(module):  # noqa: SLF001 - nobody else knows of them
        return None
    kind = class_of(module)
    return kind if kind is not None and type(module).forward is kind.forward else None


def class_of(module: nn.Module) -> type[nn.Module] | None:
    """The nearest of its classes that is a layer of torch.nn with a name in specs."""
    return next((kind for kind in type(module).__mro__ if kind in LAYERS or kind in COMPOSED), None)


def described(module: nn.Module, kind: type[nn.Module]) -> tuple[str, dict[str, Argument]]:
    """Its name in specs, and its arguments as torch names them."""
    if kind in COMPOSED:
        return COMPOSED[kind](module)
    name, arguments = LAYERS[kind]
    return name, {argument: plain(_held(module, argument)) for argument in arguments}


def _held(module: Any, argument: str) -> Any:
    """What the layer was made with; of ``bias`` whether it has one."""
    if argument != "bias":
        return getattr(module, argument, None)
    bias = (
        getattr(module, "in_proj_bias", None) if isinstance(module, nn.MultiheadAttention) else getattr(module, "bias", None)
    )
    return bias if isinstance(bias, bool) else bias is not None


def plain(value: Any) -> Argument:
    """The value as a number, word or tuple of numbers; None for everything else."""
    if isinstance(value, Tensor):
        return value.item() if value.numel() == 1 and not value.is_meta else None
    if isinstance(value, tuple | list) and all(isinstance(item, int | float) for item in value):
        return tuple(value)
    return value if isinstance(value, int | float | bool | str) else None


def _encoder(module: Any) -> tuple[str, dict[str, Argument]]:
    return "transformer_encoder_layer", _of_transformer(module)


def _decoder(module: Any) -> tuple[str, dict[str, Argument]]:
    return "transformer_decoder_layer", _of_transformer(module)


def _of_transformer(module: Any) -> dict[str, Argument]:
    activation = module.activation
    return {
        "d_model": module.self_attn.embed_dim,
        "nhead": module.self_attn.num_heads,
        "dim_feedforward": module.linear1.out_features,
        "dropout": module.dropout.p,
        "activation": getattr(activation, "__name__", type(activation).__name__.lower()),
        "layer_norm_eps": module.norm1.eps,
        "norm_first": module.norm_first,
        "bias": module.linear1.bias is not None,
    }


COMPOSED: Mapping[type[nn.Module], Callable[[Any], tuple[str, dict[str, Argument]]]] = {
    nn.TransformerEncoderLayer: _encoder,
    nn.TransformerDecoderLayer: _decoder,
}
"""Layers of several parts that specs know as one."""
