"""How many numbers a softmax shares its 1 among."""

from __future__ import annotations

from dltool.core.measured.design import DesignedLayer
from dltool.rules.spec.graph import AFFINE, CONVS
from dltool.rules.spec.ranges import SOFTMAXES

OVER_A_DIM = SOFTMAXES | {"log_softmax"}


def softmax_dim(layer: DesignedLayer) -> int | None:
    """Its dimension as an index into one sample's shape; None for the batch's, and where it is not known."""
    if layer.arrives is None:
        return None
    dim: object = 1 if layer.kind == "softmax2d" else layer.arguments.get("dim")
    if isinstance(dim, bool) or not isinstance(dim, int):
        return None
    index = dim - 1 if dim >= 0 else dim + len(layer.arrives)
    return index if 0 <= index < len(layer.arrives) else None


def softmax_size(layer: DesignedLayer) -> int | None:
    """How many numbers stand along the dimension of a softmax; None where it is not known."""
    dim = softmax_dim(layer)
    return None if dim is None or layer.arrives is None else layer.arrives[dim]


def is_unit_dim(layer: DesignedLayer, dim: int) -> bool:
    """Whether ``dim`` of what leaves a linear layer or a convolution counts its units, rather than steps or places."""
    if layer.kind not in AFFINE or layer.leaves is None:
        return False
    return dim == (0 if layer.kind in CONVS else len(layer.leaves) - 1)
