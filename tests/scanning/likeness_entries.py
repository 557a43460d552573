"""Entries of files as a scan would make them, one line each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from dltool.core.measurements import Section
from dltool.scanning.gather.likeness import Likeness
from dltool.scanning.record import ColumnFacts, Entry, Flaw, ImageFacts, Inspection, Item, RowGroup, TableFacts

S = TypeVar("S", bound=Section)


def picture(
    name: str,
    *,
    content: str = "",
    digest: str = "",
    similarity: int | None = None,
    label: str | None = None,
    split: str | None = None,
    format: str = "jpeg",  # noqa: A002
    encoder: str = "q90",
    size: tuple[int, int] = (224, 224),
    mode: str = "RGB",
    std: float = 0.2,
    span: float = 1.0,
    flaws: tuple[Flaw, ...] = (),
) -> Entry:
    facts = ImageFacts(
        width=size[0], height=size[1], mode=mode, mean=0.5, std=std, span=span, similarity=similarity, encoder=encoder
    )
    found = Inspection(
        format=format, size_bytes=9, digest=digest or f"d {name}", content=content or f"c {name}", flaws=flaws, image=facts
    )
    return Entry(Item(0, name, f"/data/{name}", label=label, split=split), found)


def table(
    name: str,
    rows: int,
    *,
    hashes: bytes = b"",
    split: str | None = None,
    distinct: int | None = 1000,
    columns: int = 4,
    equal: tuple[RowGroup, ...] = (),
    content: str = "",
) -> Entry:
    facts = TableFacts(
        rows=rows,
        columns=tuple(ColumnFacts(name=f"x{i}", dtype="float64", rows=rows, distinct=distinct) for i in range(columns)),
        equal_rows=equal,
        equal_row_count=sum(group.count for group in equal),
        row_hashes=hashes,
    )
    found = Inspection(format="csv", size_bytes=9, digest=f"d {name}", content=content or f"c {name}", table=facts)
    return Entry(Item(0, name, f"/data/{name}", split=split), found)


def gathered(entries: Iterable[Entry], kind: type[S]) -> S:
    return next(section for section in sections(entries) if isinstance(section, kind))


def sections(entries: Iterable[Entry]) -> list[Section]:
    likeness = Likeness()
    for entry in entries:
        likeness.add(entry)
    return list(likeness.sections())
