"""The net that ``--probe`` uses where the target has none: small, float32, in eval mode, its weights from a seed."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

NAME = "a small default net"
SIDE = 32
"""Pictures are averaged down to so many pixels a side, whatever their size: NaN and Inf survive that."""
MOST_FEATURES = 1024
CHANNELS, POOLED, HIDDEN = 8, 4, 32


class DefaultNet(nn.Module):
    """A convolution for pictures, a layer of linear units for everything else, and a linear layer that answers.

    Args:
        features: numbers of a sample that is no picture; None for pictures.
        outputs: classes, or 1 for a number.
    """

    def __init__(self, features: int | None, outputs: int) -> None:
        super().__init__()
        if features is None:
            self.first: nn.Module = nn.Sequential(
                nn.Conv2d(1, CHANNELS, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(POOLED), nn.Flatten()
            )
            hidden = CHANNELS * POOLED * POOLED
        else:
            self.first, hidden = nn.Sequential(nn.Linear(features, HIDDEN), nn.ReLU()), HIDDEN
        self.head = nn.Linear(hidden, outputs)

    def forward(self, given: Tensor) -> Tensor:
        """(N, outputs) for (N, 1, 32, 32) or (N, features)."""
        scores: Tensor = self.head(self.first(given))
        return scores


def default_net(features: int | None, outputs: int) -> DefaultNet:
    """A net of the same weights at every call, on its own generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return DefaultNet(features, outputs).eval()


def features_of(shape: Sequence[int]) -> int | None:
    """What ``DefaultNet`` is told of samples of this shape."""
    return None if len(shape) >= 2 else min(max(1, math.prod(shape)), MOST_FEATURES)


def as_input(array: NDArray[np.generic], features: int | None) -> Tensor:
    """A sample as the net takes it: averaged in float64, bytes as 0 to 1, then float32."""
    values = array.real if array.dtype.kind == "c" else array
    wide = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float64))
    wide = wide / 255 if array.dtype == np.uint8 else wide
    if features is None:
        plane = wide if wide.ndim == 2 else _plane(wide) if wide.ndim > 2 else wide.reshape(1, -1)
        return F.adaptive_avg_pool2d(plane[None], SIDE).float()
    flat = wide.reshape(-1)
    return (flat if len(flat) == features else F.adaptive_avg_pool1d(flat[None], features)[0]).float()


def _plane(wide: Tensor) -> Tensor:
    """The mean over channels, which are first or last, and over whatever else there is."""
    if wide.ndim == 3 and wide.shape[2] <= 4 < wide.shape[0]:
        return wide.mean(2)
    return wide.reshape(-1, *wide.shape[-2:]).mean(0)
