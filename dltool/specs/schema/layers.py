"""Every layer by name, and the one that holds layers itself."""

from typing import Annotated, ClassVar

from pydantic import Field

from dltool.specs.schema.activations import ACTIVATIONS
from dltool.specs.schema.base import Family, Target
from dltool.specs.schema.layer_base import Layer, Weighted
from dltool.specs.schema.layer_linear import Conv1d, Conv2d, Conv3d, DropConnect, Embedding, Linear
from dltool.specs.schema.layer_norm import BatchNorm, GroupNorm, LayerNorm, RmsNorm
from dltool.specs.schema.layer_pool import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AdaptiveMaxPool3d,
    AvgPool1d,
    AvgPool2d,
    AvgPool3d,
    GlobalAvgPool,
    GlobalMaxPool,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
)  # fmt: skip
from dltool.specs.schema.layer_sequence import Gru, Lstm, MultiheadAttention, Rnn, TransformerEncoderLayer
from dltool.specs.schema.layer_shape import Dropout, Flatten, GaussianNoise, Reshape

LAYER = Family("a layer", lambda: LAYERS, target=True)
AnyLayer = Annotated[Layer | Target, LAYER]


class Residual(Weighted):
    """``x + layers(x)``; ``shortcut`` are the layers that x itself passes where the shapes would differ."""

    kind: ClassVar[str] = "residual"
    sequence: ClassVar[str | None] = "layers"
    layers: tuple[AnyLayer, ...] = Field(min_length=1)
    shortcut: tuple[AnyLayer, ...] = ()


LAYERS: tuple[type[Layer], ...] = (
    Linear, Conv1d, Conv2d, Conv3d, Embedding, DropConnect,
    MaxPool1d, MaxPool2d, MaxPool3d, AvgPool1d, AvgPool2d, AvgPool3d,
    AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d, AdaptiveMaxPool1d, AdaptiveMaxPool2d, AdaptiveMaxPool3d,
    GlobalAvgPool, GlobalMaxPool, Flatten, Reshape, Dropout, GaussianNoise, BatchNorm, LayerNorm, GroupNorm, RmsNorm,
    Rnn, Lstm, Gru, MultiheadAttention, TransformerEncoderLayer, Residual, *ACTIVATIONS,
)  # fmt: skip
