"""Pooling."""

from typing import ClassVar

from pydantic import Field

from dltool.specs.schema.layer_base import Layer
from dltool.specs.schema.types import Count, Flag, Integer, Pad1, Pad2, Pad3, Size1, Size2, Size3

Free2 = Count | tuple[Count | None, Count | None]
Free3 = Count | tuple[Count | None, Count | None, Count | None]
Dims = Integer | tuple[Integer, ...]


class MaxPool1d(Layer):
    """Maximum over windows of (N, C, L)."""

    kind: ClassVar[str] = "max_pool1d"
    first: ClassVar[str | None] = "kernel_size"
    sequence: ClassVar[str | None] = "kernel_size"
    kernel_size: Size1
    stride: Size1 | None = None
    padding: Pad1 = 0
    dilation: Size1 = 1
    ceil_mode: Flag = False


class MaxPool2d(Layer):
    """Maximum over windows of (N, C, H, W)."""

    kind: ClassVar[str] = "max_pool2d"
    first: ClassVar[str | None] = "kernel_size"
    sequence: ClassVar[str | None] = "kernel_size"
    kernel_size: Size2
    stride: Size2 | None = None
    padding: Pad2 = 0
    dilation: Size2 = 1
    ceil_mode: Flag = False


class MaxPool3d(Layer):
    """Maximum over windows of (N, C, D, H, W)."""

    kind: ClassVar[str] = "max_pool3d"
    first: ClassVar[str | None] = "kernel_size"
    sequence: ClassVar[str | None] = "kernel_size"
    kernel_size: Size3
    stride: Size3 | None = None
    padding: Pad3 = 0
    dilation: Size3 = 1
    ceil_mode: Flag = False


class AvgPool1d(Layer):
    """Mean over windows of (N, C, L)."""

    kind: ClassVar[str] = "avg_pool1d"
    first: ClassVar[str | None] = "kernel_size"
    sequence: ClassVar[str | None] = "kernel_size"
    kernel_size: Size1
    stride: Size1 | None = None
    padding: Pad1 = 0
    ceil_mode: Flag = False
    count_include_pad: Flag = True


class AvgPool2d(Layer):
    """Mean over windows of (N, C, H, W)."""

    kind: ClassVar[str] = "avg_pool2d"
    first: ClassVar[str | None] = "kernel_size"
    sequence: ClassVar[str | None] = "kernel_size"
    kernel_size: Size2
    stride: Size2 | None = None
    padding: Pad2 = 0
    ceil_mode: Flag = False
    count_include_pad: Flag = True
    divisor_override: Count | None = None


class AvgPool3d(Layer):
    """Mean over windows of (N, C, D, H, W)."""

    kind: ClassVar[str] = "avg_pool3d"
    first: ClassVar[str | None] = "kernel_size"
    sequence: ClassVar[str | None] = "kernel_size"
    kernel_size: Size3
    stride: Size3 | None = None
    padding: Pad3 = 0
    ceil_mode: Flag = False
    count_include_pad: Flag = True
    divisor_override: Count | None = None


class AdaptivePool1d(Layer):
    """Base of the adaptive pools over (N, C, L): whatever the length, ``output_size`` comes out."""

    first: ClassVar[str | None] = "output_size"
    sequence: ClassVar[str | None] = "output_size"
    output_size: Size1


class AdaptivePool2d(Layer):
    """Base of the adaptive pools over (N, C, H, W); null keeps a side as it is."""

    first: ClassVar[str | None] = "output_size"
    sequence: ClassVar[str | None] = "output_size"
    output_size: Free2


class AdaptivePool3d(Layer):
    """Base of the adaptive pools over (N, C, D, H, W); null keeps a side as it is."""

    first: ClassVar[str | None] = "output_size"
    sequence: ClassVar[str | None] = "output_size"
    output_size: Free3


class AdaptiveAvgPool1d(AdaptivePool1d):
    """Means, as many as ``output_size``, whatever the length of (N, C, L)."""

    kind: ClassVar[str] = "adaptive_avg_pool1d"


class AdaptiveAvgPool2d(AdaptivePool2d):
    """Means, as many as ``output_size``, whatever the height and width of (N, C, H, W); null keeps a side."""

    kind: ClassVar[str] = "adaptive_avg_pool2d"


class AdaptiveAvgPool3d(AdaptivePool3d):
    """Means, as many as ``output_size``, whatever the sides of (N, C, D, H, W); null keeps a side."""

    kind: ClassVar[str] = "adaptive_avg_pool3d"


class AdaptiveMaxPool1d(AdaptivePool1d):
    """Maxima, as many as ``output_size``, whatever the length of (N, C, L)."""

    kind: ClassVar[str] = "adaptive_max_pool1d"


class AdaptiveMaxPool2d(AdaptivePool2d):
    """Maxima, as many as ``output_size``, whatever the height and width of (N, C, H, W); null keeps a side."""

    kind: ClassVar[str] = "adaptive_max_pool2d"


class AdaptiveMaxPool3d(AdaptivePool3d):
    """Maxima, as many as ``output_size``, whatever the sides of (N, C, D, H, W); null keeps a side."""

    kind: ClassVar[str] = "adaptive_max_pool3d"


class GlobalPool(Layer):
    """Base of the global pools."""

    first: ClassVar[str | None] = "dim"
    sequence: ClassVar[str | None] = "dim"
    dim: Dims | None = Field(default=None)
    """Dimensions pooled away, 0 being the batch; absent: all after the channels (dim 1). Over time in (N, T, F): 1."""


class GlobalAvgPool(GlobalPool):
    """The mean of each channel: (N, C, ...) to (N, C)."""

    kind: ClassVar[str] = "global_avg_pool"


class GlobalMaxPool(GlobalPool):
    """The maximum of each channel: (N, C, ...) to (N, C)."""

    kind: ClassVar[str] = "global_max_pool"
