"""Single numpy arrays: the header against the bytes that are there, then every value."""

from __future__ import annotations

from dltool.scanning.arrays.header import read_header
from dltool.scanning.arrays.values import ArrayValues
from dltool.scanning.digest import BLOCK_BYTES, RunningDigest
from dltool.scanning.flaws import blemish
from dltool.scanning.record import Inspection, Tier
from dltool.scanning.settings import InspectSettings
from dltool.scanning.source import Source


def inspect_npy(source: Source, settings: InspectSettings) -> Inspection:
    """Read an array from end to end. Object arrays are refused, as loading them runs a pickle.

    Raises OSError.
    """
    with source.open() as stream:
        header = read_header(stream, source.size_bytes, "the array")
        if header.layout is None or header.flaws or settings.tier is Tier.QUICK:
            return Inspection(format="npy", size_bytes=source.size_bytes, flaws=header.flaws)
        values, digest = ArrayValues(header.layout, want_row_hashes=settings.want_row_hashes), RunningDigest()
        start = header.layout.offset_bytes
        stream.seek(0)
        digest.add(stream.read(start))
        values.read(stream, digest.add)
        while rest := stream.read(BLOCK_BYTES):
            digest.add(rest)
        values.look_again(stream, start)
        facts, flaws, content = values.finish()
    extra = source.size_bytes - header.layout.offset_bytes - header.layout.size_bytes
    if extra > 0:
        flaws.append(blemish("trailing-bytes", f"{extra} bytes follow the array", offset_bytes=source.size_bytes - extra))
    return Inspection(
        format="npy",
        size_bytes=digest.size_bytes,
        digest=digest.text,
        content=content,
        flaws=(*header.flaws, *flaws),
        table=facts,
    )
