"""What comparing samples brought out, in a line each: copies, look-alikes, rows met twice, files unlike their neighbours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.text import Text

from dltool.core.measured.scan_likeness import Duplicates, EqualRows, LikeGroup, NearDuplicates, SharedRows, Strangers
from dltool.reporters.numbers import count, plural
from dltool.reporters.table.page import Page
from dltool.reporters.table.style import QUIET_STYLE, facts, heading, said


def scan_likeness(page: Page) -> Iterator[RenderableType]:
    """Nothing where nothing was compared."""
    exact, near = page.measured.get(Duplicates), page.measured.get(NearDuplicates)
    tables, strangers = page.measured.get(EqualRows), page.measured.get(Strangers)
    rows: list[tuple[str, Text]] = []
    if exact is not None and exact.samples > 1:
        rows.append(("copies", _groups(exact.groups, exact.samples, "file")))
    if near is not None and near.samples > 1:
        rows.append(("look-alikes", _groups(near.groups, near.samples, "picture")))
        rows.extend(_crowd(near))
    if tables is not None:
        rows.extend(_rows(tables, page.measured.get(SharedRows)))
    if strangers is not None and strangers.files:
        rows.append(("strangers", said(f"{plural(len(strangers.files), 'picture')} unlike all others of the folder")))
    if rows:
        yield heading("Compared", page.width, page.sign)
        yield facts(rows)
        yield ""


def _groups(groups: Sequence[LikeGroup], compared: int, noun: str) -> Text:
    if not groups:
        return said(f"none among {plural(compared, noun)}", QUIET_STYLE)
    members = sum(len(group.samples) for group in groups)
    told = f"{plural(len(groups), 'group')} of {count(members)} among {plural(compared, noun)}"
    across = sum(len(group.splits) > 1 for group in groups)
    labels = sum(len(group.labels) > 1 for group in groups)
    odd = [f"{count(n)} {what}" for n, what in ((across, "across splits"), (labels, "with several labels")) if n]
    return said("; ".join([told, *odd]))


def _crowd(near: NearDuplicates) -> Iterator[tuple[str, Text]]:
    if near.alike:
        across = f", {count(near.alike_across_splits)} of them one of another split" if near.alike_across_splits else ""
        yield "", said(f"{plural(near.alike, 'picture')} like several others{across}: not told one by one")
    if near.left_out:
        yield "", said(f"{plural(near.left_out, 'picture')} too small or too flat to be compared", QUIET_STYLE)


def _rows(equal: EqualRows, shared: SharedRows | None) -> Iterator[tuple[str, Text]]:
    if equal.repeating:
        repeated = sum(table.repeated for table in equal.repeating)
        tables = plural(len(equal.repeating), "table")
        yield "equal rows", said(f"{plural(repeated, 'row')} of {tables} equal another of the same table")
    if shared is not None and shared.pairs:
        across = sum(pair.split != pair.other_split for pair in shared.pairs)
        pairs = (
            f"{plural(sum(pair.shared for pair in shared.pairs), 'row')} of {plural(len(shared.pairs), 'pair')} of tables"
        )
        yield "shared rows", said(pairs + (f", {plural(across, 'pair')} across splits" if across else ""))
    if shared is not None and shared.kept_ratio < 1 and shared.tables > 1:
        yield "", said(f"estimated from {shared.kept_ratio:.1%} of the rows", QUIET_STYLE)
