"""Columns of scanned tables, as the rules on values look at them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from dltool.core.measured.scan_tables import Feature

SERIES = 16
"""So many columns that differ only by a number are parts of one thing: the pixels of a 4 x 4 picture."""


def named(features: Sequence[Feature]) -> list[Feature]:
    """Columns that someone named, without the numbers of arrays and without series such as pixel0 to pixel783."""
    stems = Counter(_stem(feature.name) for feature in features)
    return [f for f in features if not f.array and stems[_stem(f.name)] < SERIES]


def listed(names: Sequence[str], most: int = 8) -> str:
    """The first few of many names."""
    return ", ".join(names[:most]) + (" ..." if len(names) > most else "")


def _stem(name: str) -> str:
    """``name`` without its numbers: pixel12 and pixel13 are of one series, and so are "3x4" and "3x5"."""
    return re.sub(r"\d+", "0", name)
