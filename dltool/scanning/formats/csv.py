"""Tables of delimited text: commas, semicolons or tabs, quoted cells, a header or none."""

from __future__ import annotations

import io
from typing import BinaryIO

from dltool.scanning.delimited.cells import Kind
from dltool.scanning.delimited.fast import FastReader, fast_reader
from dltool.scanning.delimited.faults import Faults
from dltool.scanning.delimited.read import DelimitedReader
from dltool.scanning.delimited.structure import cut_at_record
from dltool.scanning.delimited.text import Text
from dltool.scanning.digest import RunningDigest
from dltool.scanning.record import Inspection, Tier
from dltool.scanning.settings import InspectSettings
from dltool.scanning.source import Source
from dltool.scanning.tables.ahead import ahead
from dltool.scanning.tables.table import Table

LONGEST_LINE_BYTES = 1 << 24
"""What is read exactly takes twenty times its size."""
QUICK_BYTES = 1 << 20
"""So much of a file is read at the quick tier; its values are not judged as a whole then."""


def inspect_csv(source: Source, settings: InspectSettings) -> Inspection:
    """Read a table of text from end to end in a few hundred MB, whatever its size.

    Raises OSError.
    """
    with source.open() as stream:
        return inspect_delimited(stream, source, settings, fast_reader())


def inspect_delimited(stream: BinaryIO, source: Source, settings: InspectSettings, fast: FastReader | None) -> Inspection:
    """The same with a given reader of plain text; None reads everything record by record."""
    faults = Faults()
    name = "tsv" if source.name.lower().endswith((".tsv", ".tab")) else "csv"
    if settings.tier is Tier.QUICK:
        head = stream.read(QUICK_BYTES)
        stream = io.BytesIO(head if len(head) < QUICK_BYTES else head[: head.rfind(b"\n") + 1])
    digest = RunningDigest()
    text = Text(stream, faults, cut_at_record, digest.add, longest_bytes=LONGEST_LINE_BYTES)
    reader = DelimitedReader(text, faults, target=settings.target, fast=fast)
    layout = reader.layout
    if layout is None:
        faults.add("no-rows", "holds nothing but empty lines")
        return Inspection(format=name, size_bytes=source.size_bytes, flaws=faults.flaws())
    table = Table(layout.names, target=settings.target, want_row_hashes=settings.want_row_hashes)
    for block in ahead(reader.blocks()):
        table.add(block)
    table.rows = reader.rows
    if not table.rows:
        faults.add("no-rows", "has a header line and no rows")
    for column, kind in zip(table.columns, layout.kinds, strict=True):
        column.dtype = "int64" if kind is Kind.INTEGERS else "float64"
    facts, flaws, content = table.finish()
    whole = settings.tier is not Tier.QUICK
    return Inspection(
        format=name,
        size_bytes=digest.size_bytes if whole else source.size_bytes,
        digest=digest.text if whole else "",
        content=content if whole else None,
        flaws=(*faults.flaws(), *flaws),
        table=facts if whole else None,
    )
