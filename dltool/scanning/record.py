"""What the scanner knows of one sample: where it lies, and what a look into it brought out. Plain, small, without torch.

Millions of these pass from worker processes to the parent and into the ledger: no field may grow with the size of a file,
except for lists that are cut at a stated length.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple

from dltool.core.finding import Severity

FlawRule = Literal["corrupt-file", "format-mismatch", "unsafe-file", "non-finite-value"]
"""Rules that judge single files by what inspectors saw; all others judge what was gathered over files."""


class Tier(StrEnum):
    """How deep a look goes: signatures, marks and checksums; a strict decode at reduced scale; every frame in full."""

    QUICK = "quick"
    NORMAL = "normal"
    DEEP = "deep"


class Item(NamedTuple):  # a frozen dataclass takes four times as long to make
    """A file, or a member of an archive, that is to be looked into.

    Attributes:
        index: its place in the order of the scan.
        name: path relative to what was scanned, with forward slashes; a member of a tar is ``shard.tar/member.jpg``. Bytes
            that are no UTF-8 are escaped (``surrogateescape``) and printed with ``backslashreplace``.
        path: where it lies on disk (of the archive, for a member).
        start_byte, size_bytes: a member's place in its archive; None for a whole file.
        label, split: from folders or the manifest, where they tell.
        expected_hash: ``content`` of a manifest that is to be verified.
    """

    index: int  # type: ignore[assignment]  # hides a method of tuples that makes no sense here
    name: str
    path: str
    start_byte: int | None = None
    size_bytes: int | None = None
    label: str | None = None
    split: str | None = None
    expected_hash: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """Something wrong with a file, or with rows of it.

    ``kind`` is a short name ("truncated", "html", "page-checksum"); ``detail`` one sentence for a person, without the path.
    ``row`` counts data rows from 0, ``line`` lines of a text file from 1. ``count`` rows or values share the flaw, of which
    the first is told and ``rows`` names the first few.
    """

    rule: FlawRule
    kind: str
    severity: Severity
    detail: str
    row: int | None = None
    rows: tuple[int, ...] = ()
    line: int | None = None
    column: str | None = None
    frame: int | None = None
    offset_bytes: int | None = None
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """A picture in numbers. Statistics are of the reduced picture, over all channels but alpha, scaled to 0-1.

    ``span`` is the largest range that a single channel has: 0 for a picture of one colour, also where that is red and
    ``minimum`` 0, ``maximum`` 1. ``similarity`` is a perceptual hash of 64 bits; ``encoder`` a short text that files of one
    origin share (quantisation tables, subsampling, chunks, software).
    """

    width: int
    height: int
    mode: str
    frames: int = 1
    orientation: int = 1
    mean: float | None = None
    std: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    similarity: int | None = None
    encoder: str = ""
    span: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Extreme:
    """A value far from the others of its column.

    ``score`` is (value - median) / (1.4826 · MAD), or over the spread of the middle 98 % where half of the values are equal.
    """

    row: int
    value: float
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnFacts:
    """A column of a table, or an array as a whole or by its last axis. ``distinct`` may be an estimate; None is unknown.

    ``missing`` counts empty cells and nulls, ``nan`` and the infinities values of that name; they take no part in the rest.
    """

    name: str
    dtype: str
    rows: int
    missing: int = 0
    nan: int = 0
    positive_inf: int = 0
    negative_inf: int = 0
    distinct: int | None = None
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    std: float | None = None
    median: float | None = None
    extremes: tuple[Extreme, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RowGroup:
    """Rows of one file that are equal: ``rows`` the first few, ``count`` all; several ``labels`` where they disagree."""

    rows: tuple[int, ...]
    count: int
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFacts:
    """A file of many rows. ``labels`` counts the target column's values, where one was named.

    ``label_rows`` are the rows of labels that are rare beside the most frequent one, and have a thousand at most.
    """

    rows: int
    columns: tuple[ColumnFacts, ...]
    target: str | None = None
    labels: tuple[tuple[str, int], ...] = ()
    label_rows: tuple[tuple[str, tuple[int, ...]], ...] = ()
    equal_rows: tuple[RowGroup, ...] = ()
    equal_row_count: int = 0
    row_hashes: bytes = b""
    """8 bytes a row, without its label, little-endian; only where several tables or splits are compared. Up to a million
    rows in their order, ragged ones left out; of more, of distinct rows, sorted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What a look into one item brought out.

    Attributes:
        format: by content ("jpeg", "csv", ...); None where it is unknown.
        size_bytes: as read.
        digest: xxh3_128 of the bytes, hex; what a manifest keeps and verifies.
        content: a hash of the decoded sample, so that the same picture in other wrapping is the same (None at quick).
        numbers: the sample as a light model is given it; only from the look that is for that (``doubt.features``).
        flaws: in the order in which they were met.
    """

    format: str | None
    size_bytes: int
    digest: str = ""
    content: str | None = None
    flaws: tuple[Flaw, ...] = ()
    image: ImageFacts | None = None
    table: TableFacts | None = None
    numbers: bytes = b""


class Entry(NamedTuple):
    """An item with what is known of it."""

    item: Item
    found: Inspection
