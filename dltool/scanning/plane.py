"""Pictures as small planes of numbers, for a net that looks for those that make it answer NaN or Inf.

Decoders may crash and hang here as anywhere: ``inspect_plane`` runs in a worker of the pool.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dltool.scanning.record import Inspection
from dltool.scanning.settings import InspectSettings
from dltool.scanning.source import Source

INSPECTOR = "dltool.scanning.plane:inspect_plane"
SIDE = 32
"""Pictures are averaged down to so many pixels a side, whatever their size: NaN and Inf survive that."""
KEPT_MODES = frozenset({"L", "RGB", "F", "I", "I;16", "I;16B", "I;16L", "LA", "RGBA"})
"""Modes whose pixels are numbers; all others are converted first, as loaders do."""


def inspect_plane(source: Source, settings: InspectSettings) -> Inspection:  # noqa: ARG001 - the form of all inspectors
    """A picture's plane as ``numbers``, none where Pillow cannot read it.

    Raises OSError and MemoryError.
    """
    pixels = _pixels(source)
    made = b"" if pixels is None or not pixels.size else plane_of(pixels).tobytes()
    return Inspection(format=None, size_bytes=source.size_bytes, numbers=made)


def unpacked(numbers: bytes) -> NDArray[np.float32]:
    """The plane (32, 32) in ``Inspection.numbers``."""
    return np.frombuffer(numbers, np.float32).reshape(SIDE, SIDE).copy()


def plane_of(pixels: NDArray[Any]) -> NDArray[np.float32]:
    """The means (32, 32) of blocks of pixels (height, width) or (height, width, channels); bytes as 0 to 1.

    Channels are averaged too.

    Blocks overlap by a pixel where sizes do not divide, as those of ``torch.nn.AdaptiveAvgPool2d`` do.
    """
    rows = [pixels[block].mean(axis=0, dtype=np.float64) for block in _blocks(len(pixels))]
    band = np.stack(rows) if pixels.ndim == 2 else np.stack(rows).mean(axis=-1)
    plane = np.stack([band[:, block].mean(axis=1) for block in _blocks(pixels.shape[1])], axis=1)
    with np.errstate(over="ignore"):
        return (plane / 255 if pixels.dtype == np.uint8 else plane).astype(np.float32)


def _blocks(count: int) -> list[slice]:
    return [slice(at * count // SIDE, -(-(at + 1) * count // SIDE)) for at in range(SIDE)]


def _pixels(source: Source) -> NDArray[Any] | None:
    from PIL import Image

    with source.open() as stream, suppress(Exception), Image.open(stream) as image:  # decoders raise whatever they like
        picture = image if image.mode in KEPT_MODES else image.convert("RGB")
        return np.asarray(picture)
    return None
