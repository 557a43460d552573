"""What the pictures of a scan look like together, and which differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from dltool.core.measured.scan import Sample
from dltool.core.measurements import Section

ImageOddity = Literal["one-pixel", "one-pixel-side", "rotated", "animated", "mode", "size", "dark-or-light", "contrast"]


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A statistic over all images: ``robust_std`` is 1.4826 · the median absolute deviation."""

    minimum: float
    median: float
    maximum: float
    robust_std: float


@dataclass(frozen=True, kw_only=True)
class ConstantImage:
    """A picture of one colour; ``brightness`` is its mean over all channels but alpha, 0 black to 1 white.

    ``span`` is the largest minus the smallest value, 0-1. ``mask`` says that its folder is named as those of masks and
    label maps are, in which an empty picture means something.
    """

    path: str
    file: str
    width: int
    height: int
    brightness: float
    span: float
    mask: bool = False
    row: int | None = None
    """Its place in a dataset that ``path`` names."""


@dataclass(frozen=True, kw_only=True)
class OddImages:
    """Images that differ from most in one respect; ``value`` is what they have, ``usual`` what most have.

    ``paths`` are the first 1,000 of ``count``, ``files`` the same as the user would open them. ``scores`` stand beside them
    where a distance was measured: in robust standard deviations from the median.
    """

    oddity: ImageOddity
    value: str
    usual: str | None
    count: int
    paths: tuple[str, ...]
    files: tuple[str, ...]
    scores: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ImageSet(Section):
    """All pictures together. ``modes``, ``sizes`` ("224x224") and ``orientations`` count them, most first.

    ``sizes`` holds the first 20 of ``size_count``. ``brightness`` and ``contrast`` are of the mean and the standard
    deviation of single pictures, None where there are none. ``more_constant`` are those beyond the first 1,000.
    """

    key: ClassVar[str] = "images"

    images: int
    modes: Mapping[str, int]
    sizes: Mapping[str, int]
    size_count: int
    orientations: Mapping[str, int]
    animated: int
    brightness: Spread | None
    contrast: Spread | None
    constant: tuple[ConstantImage, ...] = ()
    more_constant: tuple[Sample, ...] = ()
    odd: tuple[OddImages, ...] = ()
