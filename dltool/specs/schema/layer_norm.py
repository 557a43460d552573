"""Normalisation layers; the number of features is inferred when absent."""

from typing import ClassVar

from dltool.specs.schema.layer_base import Weighted
from dltool.specs.schema.types import Count, Flag, Positive, Ratio

Shape = Count | tuple[Count, ...]


class BatchNorm(Weighted):
    """Batch normalisation of (N, C), (N, C, L), (N, C, H, W) or (N, C, D, H, W), by the rank that arrives."""

    kind: ClassVar[str] = "batch_norm"
    first: ClassVar[str | None] = "num_features"
    num_features: Count | None = None
    eps: Positive = 1e-5
    momentum: Ratio | None = 0.1
    affine: Flag = True
    track_running_stats: Flag = True
    bias: Flag = True


class LayerNorm(Weighted):
    """Normalises over the last dimensions, those of ``normalized_shape`` (the last one when absent)."""

    kind: ClassVar[str] = "layer_norm"
    first: ClassVar[str | None] = "normalized_shape"
    sequence: ClassVar[str | None] = "normalized_shape"
    normalized_shape: Shape | None = None
    eps: Positive = 1e-5
    elementwise_affine: Flag = True
    bias: Flag = True


class GroupNorm(Weighted):
    """Normalises within ``num_groups`` groups of channels of (N, C, ...)."""

    kind: ClassVar[str] = "group_norm"
    first: ClassVar[str | None] = "num_groups"
    num_groups: Count
    num_channels: Count | None = None
    eps: Positive = 1e-5
    affine: Flag = True
    bias: Flag = True


class RmsNorm(Weighted):
    """Divides by the root mean square over the last dimensions (the last one when absent); no mean, no bias."""

    kind: ClassVar[str] = "rms_norm"
    first: ClassVar[str | None] = "normalized_shape"
    sequence: ClassVar[str | None] = "normalized_shape"
    normalized_shape: Shape | None = None
    eps: Positive | None = None
    elementwise_affine: Flag = True
