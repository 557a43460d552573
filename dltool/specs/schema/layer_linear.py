"""Layers that multiply by weights: linear, convolutions, embedding. Sizes of the input are inferred when absent."""

from typing import ClassVar, Literal

from dltool.specs.schema.layer_base import Weighted
from dltool.specs.schema.types import Count, Flag, Integer, Pad1, Pad2, Pad3, Positive, Probability, Size1, Size2, Size3

PaddingName = Literal["same", "valid"]
PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]


class Linear(Weighted):
    """``y = x Wᵀ + b`` over the last dimension."""

    kind: ClassVar[str] = "linear"
    first: ClassVar[str | None] = "out_features"
    in_features: Count | None = None
    out_features: Count
    bias: Flag = True


class DropConnect(Weighted):
    """A linear layer whose weights, not outputs, are dropped with probability ``p`` while training (Wan et al. 2013)."""

    kind: ClassVar[str] = "drop_connect"
    first: ClassVar[str | None] = "out_features"
    in_features: Count | None = None
    out_features: Count
    p: Probability = 0.5
    bias: Flag = True


class Conv1d(Weighted):
    """Convolution over (N, C, L)."""

    kind: ClassVar[str] = "conv1d"
    first: ClassVar[str | None] = "out_channels"
    in_channels: Count | None = None
    out_channels: Count
    kernel_size: Size1
    stride: Size1 = 1
    padding: PaddingName | Pad1 = 0
    dilation: Size1 = 1
    groups: Count = 1
    bias: Flag = True
    padding_mode: PaddingMode = "zeros"


class Conv2d(Weighted):
    """Convolution over (N, C, H, W)."""

    kind: ClassVar[str] = "conv2d"
    first: ClassVar[str | None] = "out_channels"
    in_channels: Count | None = None
    out_channels: Count
    kernel_size: Size2
    stride: Size2 = 1
    padding: PaddingName | Pad2 = 0
    dilation: Size2 = 1
    groups: Count = 1
    bias: Flag = True
    padding_mode: PaddingMode = "zeros"


class Conv3d(Weighted):
    """Convolution over (N, C, D, H, W)."""

    kind: ClassVar[str] = "conv3d"
    first: ClassVar[str | None] = "out_channels"
    in_channels: Count | None = None
    out_channels: Count
    kernel_size: Size3
    stride: Size3 = 1
    padding: PaddingName | Pad3 = 0
    dilation: Size3 = 1
    groups: Count = 1
    bias: Flag = True
    padding_mode: PaddingMode = "zeros"


class Embedding(Weighted):
    """A vector for each of ``num_embeddings`` integers: (N, ...) to (N, ..., embedding_dim)."""

    kind: ClassVar[str] = "embedding"
    first: ClassVar[str | None] = "num_embeddings"
    num_embeddings: Count
    embedding_dim: Count
    padding_idx: Integer | None = None
    max_norm: Positive | None = None
    norm_type: Positive = 2.0
    scale_grad_by_freq: Flag = False
    sparse: Flag = False
