"""Which axis of the inputs holds what: a statistic is taken per feature of a table, per channel of an image."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dltool.data.table import Array

if TYPE_CHECKING:
    from torch import Tensor


class Layout(Enum):
    """How the axes of a batch of inputs are read."""

    FEATURES = "table"
    """(N, F): one statistic for each feature."""
    SEQUENCE = "sequence"
    """(N, T, F), or sequences (T, F): one for each feature, over all steps."""
    CHANNELS = "image"
    """(N, C, H, W) or (N, C, D, H, W): one for each channel, over all pixels."""
    GREY = "grey image"
    """(N, H, W): one for all pixels."""
    TOKENS = "tokens"
    """Whole numbers that an embedding looks up: no statistic makes sense."""

    def columns(self, values: Array) -> Array:
        """The values as (M, K), one column for each statistic."""
        if self is Layout.CHANNELS:
            return np.moveaxis(values, 1, -1).reshape(-1, values.shape[1])
        if self is Layout.GREY:
            return values.reshape(-1, 1)
        return values.reshape(-1, values.shape[-1])

    def spread(self, vector: NDArray[np.float64], sample_dims: int) -> Tensor:
        """One number for each column, float32, in the shape that broadcasts against a batch of samples of that rank."""
        import torch

        tensor = torch.from_numpy(vector.astype(np.float32))
        return tensor.reshape(-1, *[1] * (sample_dims - 1)) if self is Layout.CHANNELS else tensor


def layout_of(sample_shape: tuple[int, ...], dtype: np.dtype[np.generic], *, tokens: bool) -> Layout:
    """The layout of samples of this shape; three axes of bytes are grey images, of other numbers sequences."""
    if tokens:
        return Layout.TOKENS
    if len(sample_shape) <= 1:
        return Layout.FEATURES
    if len(sample_shape) == 2:
        return Layout.GREY if dtype == np.uint8 else Layout.SEQUENCE
    return Layout.CHANNELS
