"""What a layer's weights are like: how many, frozen or not, all alike or not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor, nn

from dltool.core.measured.design import DesignedInit

GLANCE = 64
"""Values looked at first: where they differ, as they nearly always do, the rest need not be read."""


def count_and_frozen(parameters: Iterable[nn.Parameter]) -> tuple[int, bool]:
    """How many numbers they hold, each tensor counted once, and whether none of them is trained."""
    held = list({id(p): p for p in parameters}.values())
    return sum(p.numel() for p in held), bool(held) and not any(p.requires_grad for p in held)


def start_of(parameters: Sequence[nn.Parameter]) -> DesignedInit | None:
    """Named zeros or constant where every matrix (and kernel) holds one number; None where there is no matrix."""
    matrices = [p for p in parameters if p.ndim > 1]
    if not matrices:
        return None
    values = [_only_value(p) for p in matrices]
    if any(value is None for value in values):
        return DesignedInit(name=None)
    if all(value == 0.0 for value in values):
        return DesignedInit(name="zeros")
    return DesignedInit(name="constant", arguments={"val": values[0]})


def _only_value(tensor: Tensor) -> float | None:
    flat = tensor.detach().reshape(-1)
    if len(flat) < 2 or not flat.is_floating_point():
        return None
    first = flat[0]
    if not bool((flat[:GLANCE] == first).all()) or not bool((flat == first).all()):
        return None
    return float(first)
