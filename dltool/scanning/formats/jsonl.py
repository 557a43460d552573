"""Tables of one JSON object a line."""

from __future__ import annotations

import io

from dltool.scanning.delimited.faults import Faults
from dltool.scanning.delimited.text import Text
from dltool.scanning.digest import RunningDigest
from dltool.scanning.lines.read import LineReader, cut_at_line
from dltool.scanning.record import Inspection, Tier
from dltool.scanning.settings import InspectSettings
from dltool.scanning.source import Source
from dltool.scanning.tables.table import Table

QUICK_BYTES = 1 << 20


def inspect_jsonl(source: Source, settings: InspectSettings) -> Inspection:
    """Read lines of JSON from end to end; at the quick tier only the first MiB, and no values.

    Raises OSError.
    """
    faults, digest = Faults(), RunningDigest()
    whole = settings.tier is not Tier.QUICK
    with source.open() as stream:
        if not whole:
            head = stream.read(QUICK_BYTES)
            stream = io.BytesIO(head if len(head) < QUICK_BYTES else head[: cut_at_line(head)])  # noqa: PLW2901
        reader = LineReader(Text(stream, faults, cut_at_line, digest.add), faults)
        table = Table(
            reader.names,
            target=settings.target,
            want_row_hashes=settings.want_row_hashes,
            compare_rows=not reader.has_lists,
        )
        for block in reader.blocks():
            table.add(block)
    table.rows = reader.rows
    for column in table.columns:
        column.is_optional = reader.lacks(column.name) >= column.missing.count
    if not reader.rows:
        faults.add("no-rows", "holds no JSON objects")
    facts, flaws, content = table.finish()
    return Inspection(
        format="jsonl",
        size_bytes=digest.size_bytes if whole else source.size_bytes,
        digest=digest.text if whole else "",
        content=content if whole else None,
        flaws=(*faults.flaws(), *flaws),
        table=facts if whole and reader.names else None,
    )
