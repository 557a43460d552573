"""Pillow as it decodes nothing damaged, and its opinion of files that other decoders have looked at."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image, ImageFile

from dltool.scanning.formats.pillow_pixels import content_of
from dltool.scanning.picture import Pixels


@contextmanager
def strict_pillow() -> Iterator[list[warnings.WarningMessage]]:
    """Pillow as it decodes nothing damaged and says what it dislikes; its global switches are put back afterwards."""
    before = ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS
    ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = False, None  # sizes are checked before anything is loaded
    try:
        with warnings.catch_warnings(record=True) as met:
            warnings.simplefilter("always")
            yield met
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = before


def reason(error: BaseException) -> str:
    """What a decoder says, on one line, without addresses of objects in memory."""
    text = " ".join(str(error).split())
    return type(error).__name__ if not text or " at 0x" in text else text[:200]


def reduced_jpeg(data: bytes, factor: int) -> Pixels | str:
    """(height, width, channels) of a JPEG at 1/``factor`` of its size, in full for 1; else why it cannot be decoded."""
    with strict_pillow():
        try:
            image = Image.open(io.BytesIO(data), formats=("JPEG",))
            width, height = image.size
            if factor > 1:
                image.draft(None, (max(1, width // factor), max(1, height // factor)))
            pixels = np.asarray(image.convert("RGB") if image.mode == "CMYK" else image)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - decoders raise anything on damaged data
            return reason(error)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def opinion(data: bytes, pillow_name: str) -> tuple[str | None, str | None]:
    """``content_of`` the whole first frame; else why Pillow does not decode it."""
    with strict_pillow():
        try:
            image = Image.open(io.BytesIO(data), formats=(pillow_name,))
            image.load()
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001
            return None, reason(error)
        return content_of(image), None
