"""Layers without weights that are no activation: shapes and noise."""

from typing import ClassVar

from dltool.specs.schema.layer_base import Layer
from dltool.specs.schema.types import Integer, NonNegative, Probability


class Flatten(Layer):
    """Makes one dimension of those from ``start_dim`` to ``end_dim`` (0 is the batch)."""

    kind: ClassVar[str] = "flatten"
    first: ClassVar[str | None] = "start_dim"
    start_dim: Integer = 1
    end_dim: Integer = -1


class Reshape(Layer):
    """Gives each sample the shape ``shape`` (the batch stands before it); one entry may be -1."""

    kind: ClassVar[str] = "reshape"
    first: ClassVar[str | None] = "shape"
    sequence: ClassVar[str | None] = "shape"
    shape: Integer | tuple[Integer, ...]


class Dropout(Layer):
    """Zeroes each value with probability ``p`` while training and scales the rest by 1 / (1 - p)."""

    kind: ClassVar[str] = "dropout"
    first: ClassVar[str | None] = "p"
    p: Probability = 0.5


class GaussianNoise(Layer):
    """Adds N(0, std²) while training."""

    kind: ClassVar[str] = "gaussian_noise"
    first: ClassVar[str | None] = "std"
    std: NonNegative
