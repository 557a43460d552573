"""Pictures through Pillow: those that no faster decoder is here for, all that lie in rare formats, and second opinions."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from dltool.core.finding import Severity
from dltool.scanning.digest import RunningDigest, digest_of
from dltool.scanning.flaws import corrupt, not_decoded, oddity, partly_checked, unsafe
from dltool.scanning.formats.seen import Seen
from dltool.scanning.inspector import PictureInspector
from dltool.scanning.picture import SHORT_SIDE, Look, Pixels, look
from dltool.scanning.record import Flaw, ImageFacts, Tier
from dltool.scanning.settings import DECODED_PIXELS, InspectSettings

NAMES: dict[str, tuple[str, ...]] = {
    "jpeg2000": ("JPEG2000",),
    "ico": ("ICO",),
    "cur": ("CUR",),
}
"""Pillow's names for formats whose name here is another."""

MANY_KINDS = frozenset({"dds"})
"""Formats of so many pixel layouts that "unsupported" says more of Pillow than of the file."""

FRAME_BUDGET_PIXELS = 64_000_000
"""Of frames after the first, so many pixels are decoded at the normal tier; all of them at the deep one."""

UNSUPPORTED = re.compile(
    r"unsupported|not supported|unknown (?:pixel mode|data org|compression)|invalid palette size", re.IGNORECASE
)
EIGHT_BITS = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"})
SIXTEEN_BITS = 65535.0

WHOLE_PIXELS = 16_000_000
STRIP_PIXELS = 1_000_000
"""Pictures above the first are hashed and reduced in strips of the second: copies of a whole one take seconds."""


class Frames(NamedTuple):
    """Those after the first."""

    number: int
    flaws: tuple[Flaw, ...] = ()


class Canonical(NamedTuple):
    """A picture without palette, bits and alpha: what statistics are of."""

    colours: Image.Image | Pixels
    scale: float


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


def inspector_of(name: str) -> PictureInspector:
    """An inspector for a format that has none of its own."""
    names = NAMES.get(name, (name.upper(),))

    def inspect(data: bytes, settings: InspectSettings) -> Seen:
        return inspect_by_pillow(data, names, settings, may_be_rare=name in MANY_KINDS)

    return inspect


def inspect_by_pillow(
    data: bytes,
    names: tuple[str, ...],
    settings: InspectSettings,
    *,
    known: tuple[Flaw, ...] = (),
    encoder: str = "",
    may_be_rare: bool = False,
) -> Seen:
    """Open, measure and decode.

    Args:
        data: the file.
        names: Pillow's names of the formats that it may be.
        settings: the tier and the limit of pixels.
        known: flaws that the format's own structure gave away; what Pillow says is then only added where it is news.
        encoder: for ``ImageFacts``.
        may_be_rare: the structure is in order, so that "unsupported" is Pillow's limit and not the file's flaw.
    """
    if not _has_decoder(names):
        return Seen(None, known)
    with strict_pillow() as met:
        try:
            image = Image.open(io.BytesIO(data), formats=names)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001
            return Seen(None, known or (_undecodable(error, may_be_rare=may_be_rare),))
        facts = ImageFacts(
            width=image.width, height=image.height, mode=image.mode, encoder=encoder or f"{names[0].lower()} {image.mode}"
        )
        if image.width * image.height > settings.max_pixels:
            return Seen(facts, (*known, _bomb(image, settings)))
        if settings.tier is Tier.QUICK:
            return Seen(facts, known)
        if settings.tier is Tier.NORMAL and image.width * image.height > DECODED_PIXELS:
            return Seen(facts, (*known, not_decoded(image.width, image.height)))
        try:
            image.load()
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001
            return Seen(
                facts,
                known
                if any(f.severity is Severity.ERROR for f in known)
                else (*known, _undecodable(error, may_be_rare=may_be_rare)),
            )
        return _measured(data, image, names, settings, known=known, facts=facts, remarks=[str(each.message) for each in met])


def _measured(
    data: bytes,
    image: Image.Image,
    names: tuple[str, ...],
    settings: InspectSettings,
    *,
    known: tuple[Flaw, ...],
    facts: ImageFacts,
    remarks: list[str],
) -> Seen:
    content = content_of(image)
    seen, value_flaws = look_at(image)
    flaws = (
        known + value_flaws + tuple(oddity("decoder-warning", f"the decoder remarks: {text[:200]}") for text in remarks[:1])
    )
    count, orientation = _frame_count(image), _orientation(image)
    if count != 1 or settings.tier is Tier.DEEP:
        frames = other_frames(data, names[0], settings)
        count, flaws = max(count, frames.number), flaws + frames.flaws
    image_facts = ImageFacts(
        width=facts.width,
        height=facts.height,
        mode=facts.mode,
        frames=count,
        orientation=orientation,
        encoder=facts.encoder,
        **(seen._asdict() if seen else {}),
    )
    return Seen(image_facts, flaws, content)


def other_frames(data: bytes, pillow_name: str, settings: InspectSettings) -> Frames:
    """Decode the frames after the first: as many as the tier allows."""
    with strict_pillow():
        number = 0
        try:
            image = Image.open(io.BytesIO(data), formats=(pillow_name,))
            count: int = getattr(image, "n_frames", 1)
            budget = FRAME_BUDGET_PIXELS // max(1, image.width * image.height)
            last = count if settings.tier is Tier.DEEP else min(count, 1 + budget)
            for number in range(1, last):
                image.seek(number)
                if image.width * image.height > settings.max_pixels:
                    return Frames(count, (_bomb(image, settings),))
                image.load()
            if last < count:
                return Frames(count, (partly_checked(f"of {count} frames the first {max(last, 1)} were decoded"),))
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001
            return Frames(
                number + 1, (corrupt("damaged-frame", f"frame {number} does not decode: {reason(error)}", frame=number),)
            )
    return Frames(count)


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
    """The same, reduced strip by strip; None where fine patterns averaged out, or there is nothing to reduce."""
    factor = _factor(image.size)
    if factor == 1:
        return None
    parts = [_canonical(strip).colours for _, strip in _strips(image, factor)]
    reduced = np.concatenate([np.asarray(part.reduce(factor)) for part in parts if isinstance(part, Image.Image)])
    seen = look(reduced, 255.0, (image.height / factor, image.width / factor))
    return None if seen.nearly_flat else seen


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


def _frame_count(image: Image.Image) -> int:
    """0 where the frames cannot even be counted."""
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception:  # noqa: BLE001 - plugins walk the file to count
        return 0


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(0x0112, 1)
    except Exception:  # noqa: BLE001 - metadata that cannot be read turns nothing
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _has_decoder(names: tuple[str, ...]) -> bool:
    Image.preinit()
    if not any(name in Image.OPEN for name in names):
        Image.init()
    return any(name in Image.OPEN for name in names)


def _bomb(image: Image.Image, settings: InspectSettings) -> Flaw:
    size = f"{image.width} x {image.height} pixels"
    return unsafe("decompression-bomb", f"{size} are more than the limit of {settings.max_pixels}; it was not decoded")


def _non_finite(count: int, size: int) -> Flaw:
    return Flaw(
        rule="non-finite-value",
        kind="pixels",
        severity=Severity.ERROR,
        detail=f"{count} of {size} pixels are NaN or infinite",
        count=count,
    )


def _undecodable(error: BaseException, *, may_be_rare: bool) -> Flaw:
    if isinstance(error, NotImplementedError) or (may_be_rare and UNSUPPORTED.search(str(error))):
        return oddity("unsupported", f"Pillow cannot decode this kind: {reason(error)}")
    if isinstance(error, UnidentifiedImageError):
        return corrupt("undecodable", "its header cannot be read")
    if "truncated" in str(error).lower():
        return corrupt("truncated", "the picture is cut off: the decoder ran out of data")
    return corrupt("undecodable", f"cannot be decoded: {reason(error)}")
