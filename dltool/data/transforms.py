"""Normalisation: (value - shift) / scale, fitted on the training split alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from dltool.data.layout import Layout
from dltool.data.moments import Floats, Moments

if TYPE_CHECKING:
    from torch import Tensor

Normalize = Literal["none", "standard", "minmax"]


@dataclass(frozen=True, slots=True)
class Normalizer:
    """One shift and one scale for each column of the layout."""

    shift: Floats
    scale: Floats
    layout: Layout

    def apply(self, values: Tensor, sample_dims: int) -> Tensor:
        """(values - shift) / scale for a batch, or for one sequence, of samples with ``sample_dims`` axes."""
        return (values - self.layout.spread(self.shift, sample_dims)) / self.layout.spread(self.scale, sample_dims)


def fit_normalizer(how: Normalize, moments: Moments, layout: Layout) -> Normalizer | None:
    """``standard`` gives mean 0 and standard deviation 1, ``minmax`` 0 to 1; None for ``none``.

    Values that are not finite do not count, and a constant column is divided by 1. The standard deviation is that of the
    population, as in scikit-learn's StandardScaler.
    """
    if how == "none":
        return None
    if how == "standard":
        shift, scale = moments.mean, moments.std
    else:
        shift, scale = moments.minimum, moments.maximum - moments.minimum
    known = moments.count > 0
    usable = known & ~moments.constant & (scale > 0)
    return Normalizer(np.where(known, shift, 0.0), np.where(usable, scale, 1.0), layout)
