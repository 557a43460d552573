"""One look into one sample: what it is, whether that is what its name says, and what its format's inspector makes of it."""

from __future__ import annotations

import importlib
from dataclasses import replace
from functools import cache
from typing import NamedTuple, cast

from dltool.scanning.digest import digest_of, digest_of_stream
from dltool.scanning.flaws import blemish, corrupt, mismatch
from dltool.scanning.formats.seen import Seen
from dltool.scanning.inspector import PictureInspector, TableInspector
from dltool.scanning.record import Flaw, Inspection
from dltool.scanning.settings import InspectSettings
from dltool.scanning.sniff import IMAGES, MARK_BYTES, SUFFIXES, TEXTS, UNMARKED, document, is_text, promised, signature
from dltool.scanning.source import HEAD_BYTES, Source

OWN_MODULES = frozenset({"jpeg", "png", "gif", "bmp", "webp", "tiff", "psd", "pnm"})
LFS_POINTER_MAX_BYTES = 1024


class Identity(NamedTuple):
    """What a sample turns out to be; ``settled`` where a look inside would bring nothing more."""

    format: str | None
    flaws: tuple[Flaw, ...] = ()
    settled: bool = False


def inspect(source: Source, settings: InspectSettings) -> Inspection:
    """Look into one sample. Never writes; whatever is wrong with the sample is a flaw of the result.

    Raises MemoryError, which is for whoever set the limit. A decoder may crash the process or take forever on damaged
    data: run this in a process of its own.
    """
    promise = promised(source.name)
    try:
        if promise in IMAGES:
            data = source.read()
            return _inspect_bytes(data, source, promise, settings)
        head = source.head()
        if (found := signature(head)) in IMAGES and promise not in UNMARKED:
            return _inspect_bytes(source.read(), source, promise, settings)
        identity = identify(head, found, promise, source.size_bytes)
        if identity.settled or identity.format not in SUFFIXES:
            return _with_digest(
                Inspection(format=identity.format, size_bytes=source.size_bytes, flaws=identity.flaws), source
            )
        seen = _table_inspector(identity.format)(source, settings)
        return _with_digest(replace(seen, flaws=identity.flaws + seen.flaws) if identity.flaws else seen, source)
    except OSError as error:
        return Inspection(format=promise, size_bytes=0, flaws=(corrupt("unreadable", f"cannot be read: {_reason(error)}"),))


def identify(head: bytes, found: str | None, promise: str | None, size_bytes: int) -> Identity:
    """What a sample is, from its first bytes (4 KiB, or all), what they look like, and what its name promises."""
    if not head:
        return Identity(promise, (corrupt("empty", "the file is empty"),) if promise else (), settled=True)
    if promise in TEXTS and is_text(head):
        found = None
    if found is None:
        return _unmarked(head, promise, size_bytes)
    if promise is None or found == promise or _are_one(found, promise):
        return Identity(promise or found)
    return Identity(found, (mismatch(promise, found),), settled=found not in SUFFIXES)


def _unmarked(head: bytes, promise: str | None, size_bytes: int) -> Identity:
    impostor = document(head)
    if impostor and (impostor.kind == "lfs-pointer" and size_bytes <= LFS_POINTER_MAX_BYTES):
        return Identity(promise, (corrupt(impostor.kind, f"holds {impostor.what}"),), settled=True)
    if promise is None:
        return Identity(None, settled=True)
    if impostor and not (promise in TEXTS and impostor.kind == "json"):
        return Identity(promise, (corrupt(impostor.kind, f"holds {impostor.what}"),), settled=True)
    if not head.strip(b"\0"):
        return Identity(promise, (corrupt("zeroed", "begins with nothing but zero bytes"),), settled=True)
    if promise in UNMARKED:
        return Identity(promise)
    if is_text(head):
        return Identity(promise, (corrupt("text", f"holds text, not {promise}"),), settled=True)
    return Identity(
        promise, (corrupt("unrecognised", f"does not begin like {promise}, nor like any known format"),), settled=True
    )


def _are_one(found: str, promise: str) -> bool:
    """Whether a container that many formats share is what a name promises."""
    return (
        (found == "zip" and promise in {"npz", "checkpoint"})
        or (found == "pickle" and promise == "checkpoint")
        or {found, promise} <= {"avif", "heif"}
        or {found, promise} <= {"ico", "cur"}
        or (promise in {"dib", "tga", "pcx", "sgi"} and found in {"bmp", "ico", "cur", "pickle"})
    )


def _inspect_bytes(data: bytes, source: Source, promise: str | None, settings: InspectSettings) -> Inspection:
    """A sample that is a picture by name or by content."""
    found = signature(data[:MARK_BYTES])
    identity = Identity(found) if found == promise else identify(data[:HEAD_BYTES], found, promise, len(data))
    name, flaws, settled = identity
    digest = digest_of(data)
    if len(data) != source.size_bytes:
        flaws += (_changed(len(data), source),)
    if settled or name not in IMAGES:
        return Inspection(format=name, size_bytes=len(data), digest=digest, flaws=flaws)
    try:
        seen = _picture_inspector(name)(data, settings)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - one file must not end the scan of a million
        seen = Seen(None, (corrupt("contradictory", f"its structure contradicts itself ({type(error).__name__})"),))
    return Inspection(
        format=name, size_bytes=len(data), digest=digest, content=seen.content, flaws=flaws + seen.flaws, image=seen.image
    )


def _changed(read_bytes: int, source: Source) -> Flaw:
    if source.path is None:
        return corrupt("truncated", f"the archive ends {source.size_bytes - read_bytes} bytes before this member does")
    return blemish("changing", "the file changed its size while it was read")


@cache
def _picture_inspector(name: str) -> PictureInspector:
    module = importlib.import_module(f"dltool.scanning.formats.{name if name in OWN_MODULES else 'pillow'}")
    if name in OWN_MODULES:
        return cast("PictureInspector", getattr(module, f"inspect_{name}"))
    return cast("PictureInspector", module.inspector_of(name))


@cache
def _table_inspector(name: str) -> TableInspector:
    module = {"tsv": "csv"}.get(name, name)
    return cast("TableInspector", getattr(importlib.import_module(f"dltool.scanning.formats.{module}"), f"inspect_{module}"))


def _with_digest(seen: Inspection, source: Source) -> Inspection:
    if seen.digest:
        return seen
    with source.open() as stream:
        digest, size_bytes = digest_of_stream(stream)
    return replace(seen, digest=digest, size_bytes=size_bytes)


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
