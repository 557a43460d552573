"""What a picture that Pillow has loaded shows: a hash of its pixels, and its statistics at reduced size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image

from dltool.core.finding import Severity
from dltool.scanning.digest import RunningDigest, digest_of
from dltool.scanning.picture import SHORT_SIDE, Look, Pixels, look
from dltool.scanning.record import Flaw

SIXTEEN_BITS = 65535.0
EIGHT_BITS = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"})

BYTES = 256
WHOLE_PIXELS = 16_000_000
STRIP_PIXELS = 1_000_000
"""Pictures above the first are hashed and reduced in strips of the second: copies of a whole one take seconds."""


class Canonical(NamedTuple):
    """A picture without palette, bits and alpha: what statistics are of."""

    colours: Image.Image | Pixels
    scale: float


def content_of(image: Image.Image) -> str:
    """A hash of a loaded picture that is the same whatever it was wrapped in: size, mode, and pixels without palette."""
    shown = _shown(image)
    return f"{_pixel_digest(shown)}:{shown.width}x{shown.height}:{shown.mode}"


def _pixel_digest(image: Image.Image) -> str:
    """Of all pixels; those of a large picture are not copied as a whole, which takes longer than to hash them."""
    if image.width * image.height <= WHOLE_PIXELS:
        return digest_of(image.tobytes())
    running = RunningDigest()
    for _, strip in _strips(image):
        running.add(strip.tobytes())
    return running.text


def _strips(image: Image.Image, multiple: int = 1) -> Iterator[tuple[int, Image.Image]]:
    """Pieces of some whole rows, a ``multiple`` of them but for the last piece, with where they begin."""
    rows = max(1, STRIP_PIXELS // max(1, image.width) // multiple) * multiple
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def look_at(image: Image.Image) -> tuple[Look | None, tuple[Flaw, ...]]:
    """Statistics of a loaded picture at reduced size, and its values that are no numbers."""
    if image.width * image.height > WHOLE_PIXELS and image.mode in EIGHT_BITS and (seen := _look_at_large(image)):
        return seen, ()
    colours, scale = _canonical(image)
    if isinstance(colours, Image.Image):
        factor = _factor(colours.size)
        reduced = colours.reduce(factor) if factor > 1 else colours
        seen = look(np.asarray(reduced), scale, (colours.height / factor, colours.width / factor))
        if seen.nearly_flat and reduced is not colours:
            seen = look(np.asarray(colours), scale)
        return seen, ()
    finite = np.isfinite(colours)
    if not finite.all():
        bad = int(finite.size - finite.sum())
        return None, (_non_finite(bad, finite.size),)
    factor = _factor((colours.shape[1], colours.shape[0]))
    seen = look(_block_means(colours, factor), scale)
    return (look(colours, scale) if seen.nearly_flat and factor > 1 else seen), ()


def _look_at_large(image: Image.Image) -> Look | None:
    """The same, reduced strip by strip; None where there is nothing to reduce."""
    factor = _factor(image.size)
    if factor == 1:
        return None
    parts = [_canonical(strip).colours for _, strip in _strips(image, factor)]
    reduced = np.concatenate([np.asarray(part.reduce(factor)) for part in parts if isinstance(part, Image.Image)])
    seen = look(reduced, 255.0, (image.height / factor, image.width / factor))
    return _every_pixel(image) if seen.nearly_flat else seen


def _every_pixel(image: Image.Image) -> Look:
    """Of a large picture whose reduced one is flat, be it for a fine pattern that averaged out. Without a hash."""
    counts = np.zeros((1, BYTES), np.int64)
    for _, strip in _strips(image):
        colours = _canonical(strip).colours
        assert isinstance(colours, Image.Image)
        counts = counts + np.array(colours.histogram(), np.int64).reshape(-1, BYTES)
    values, total = np.arange(BYTES) / 255.0, counts.sum(axis=0)
    mean = float(total @ values) / int(total.sum())
    std = float(np.sqrt(total @ (values - mean) ** 2 / total.sum()))
    there = [np.flatnonzero(channel) for channel in counts]
    lowest, highest = ([float(values[at[end]]) for at in there] for end in (0, -1))
    span = max(high - low for low, high in zip(lowest, highest, strict=True))
    return Look(mean, std, min(lowest), max(highest), None, span)


def _canonical(image: Image.Image) -> Canonical:
    if image.mode.startswith("I;16"):
        return Canonical(np.asarray(image).astype(np.float64), SIXTEEN_BITS)
    if image.mode in {"I", "F"}:
        values = np.asarray(image).astype(np.float64)
        return Canonical(values, SIXTEEN_BITS if image.mode == "I" else 1.0)
    shown = _shown(image)
    if shown.mode in {"LA", "La"}:
        return Canonical(shown.getchannel(0), 255.0)
    return Canonical(shown if shown.mode in {"L", "RGB"} else shown.convert("RGB"), 255.0)


def _shown(image: Image.Image) -> Image.Image:
    """Palettes and single bits resolved, and nothing else."""
    if image.mode in {"P", "PA"}:
        return image.convert("RGBA" if image.mode == "PA" or "transparency" in image.info else "RGB")
    return image.convert("L") if image.mode == "1" else image


def _factor(size: tuple[int, int]) -> int:
    return max(1, min(size) // SHORT_SIDE)


def _block_means(values: Pixels, factor: int) -> Pixels:
    height, width = values.shape[0] // factor * factor, values.shape[1] // factor * factor
    blocks = values[:height, :width].reshape(height // factor, factor, width // factor, factor)
    means: Pixels = blocks.mean(axis=(1, 3))
    return means


def _non_finite(count: int, size: int) -> Flaw:
    return Flaw(
        rule="non-finite-value",
        kind="pixels",
        severity=Severity.ERROR,
        detail=f"{count} of {size} pixels are NaN or infinite",
        count=count,
    )
