"""Pictures through Pillow: those that no faster decoder is here for, and all that lie in rare formats."""

from __future__ import annotations

import io
import re
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError

from dltool.core.finding import Severity
from dltool.scanning.flaws import corrupt, not_decoded, oddity, partly_checked, unsafe
from dltool.scanning.formats.pillow_pixels import content_of, look_at
from dltool.scanning.formats.pillow_strict import reason, strict_pillow
from dltool.scanning.formats.seen import Seen
from dltool.scanning.inspector import PictureInspector
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


class Frames(NamedTuple):
    """Those after the first."""

    number: int
    flaws: tuple[Flaw, ...] = ()


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


def _undecodable(error: BaseException, *, may_be_rare: bool) -> Flaw:
    if isinstance(error, NotImplementedError) or (may_be_rare and UNSUPPORTED.search(str(error))):
        return oddity("unsupported", f"Pillow cannot decode this kind: {reason(error)}")
    if isinstance(error, UnidentifiedImageError):
        return corrupt("undecodable", "its header cannot be read")
    if "truncated" in str(error).lower():
        return corrupt("truncated", "the picture is cut off: the decoder ran out of data")
    return corrupt("undecodable", f"cannot be decoded: {reason(error)}")
