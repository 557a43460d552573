"""Numbers and counts as a person writes them."""

from __future__ import annotations

import math
from collections.abc import Iterable


def number(value: float) -> str:
    """Four digits at most; -0 is 0."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Inf" if value > 0 else "-Inf"
    return f"{value + 0.0:.4g}"


def counted(count: int, one: str, many: str | None = None) -> str:
    """``1 value``, ``3 values``."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def listed(items: Iterable[object], at_most: int = 8) -> str:
    """The first few, and how many more there are."""
    given = list(items)
    more = f" and {len(given) - at_most} more" if len(given) > at_most else ""
    return ", ".join(str(item) for item in given[:at_most]) + more
