"""What a look into a sample is told beforehand: how deep, what the labels are called, and where danger begins."""

from __future__ import annotations

from dataclasses import dataclass

from dltool.scanning.record import Tier

MAX_PIXELS = 178_956_970
"""Twice Pillow's ``MAX_IMAGE_PIXELS``: above it Pillow, and so most loaders, refuse to decode (DecompressionBombError)."""

DECODED_PIXELS = 89_478_485
"""Pillow's ``MAX_IMAGE_PIXELS``, above which it warns: of a larger picture the normal tier checks the data and makes no
pixels, which takes some 40 ns each (a PNG of 168 megapixels: 8 s and 2 GB)."""

MAX_EXPANDED_BYTES = 4 << 30
"""A compressed file (archive member, table page) that claims to hold more is not unpacked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectSettings:
    """Plain and hashable: it goes to worker processes, and into the key of the cache.

    Attributes:
        tier: how deep to look.
        target: the column of labels in tables, or None.
        max_pixels: width · height above which a picture is not decoded.
        max_expanded_bytes: what a compressed file may grow to.
        want_row_hashes: fill ``TableFacts.row_hashes``; only useful where several tables or splits are compared.
    """

    tier: Tier = Tier.NORMAL
    target: str | None = None
    max_pixels: int = MAX_PIXELS
    max_expanded_bytes: int = MAX_EXPANDED_BYTES
    want_row_hashes: bool = False
