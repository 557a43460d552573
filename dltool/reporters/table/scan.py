"""A scan of data: what was read, and what it looks like."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from dltool.core.measured.scan import SamplesScanned, ScanFacts, ScannedFormats
from dltool.core.measured.scan_pictures import ImageSet
from dltool.reporters.numbers import count, percent, plural, significant, size
from dltool.reporters.table.page import Page
from dltool.reporters.table.style import QUIET_STYLE, facts, heading, indented, said

UNKNOWN_SHOWN = 3
KINDS_SHOWN = 4


def scan_files(page: Page) -> Iterator[RenderableType]:
    """Files by format, those of unknown format named, and how far the scan went."""
    formats, samples = page.measured.get(ScannedFormats), page.measured.get(SamplesScanned)
    if formats is None or samples is None:
        return
    yield heading("Files", page.width, page.sign, plural(samples.samples, "sample"))
    table = plain_table(("format", "files", "samples", "size", "flawed"))
    for each in formats.formats:
        flawed = Text(count(each.flawed_files) if each.flawed_files else "", "bold red")
        table.add_row(said(each.format), count(each.files), count(each.samples), size(each.size_bytes), flawed)
    if formats.formats:
        yield indented(table)
    yield facts(_circumstances(page, formats))
    yield ""


def _circumstances(page: Page, formats: ScannedFormats) -> Iterator[tuple[str, Text]]:
    files = sum(each.files for each in formats.unknown)
    if files:
        kinds = ", ".join(f"{each.suffix or 'no suffix'} {count(each.files)}" for each in formats.unknown[:KINDS_SHOWN])
        more = len(formats.unknown) - KINDS_SHOWN
        told = f"{plural(files, 'file')} of unknown format ({kinds}{f' and {more} more kinds' if more > 0 else ''})"
        yield "not read", said(told, "yellow")
        paths = [path for each in formats.unknown for path in each.paths]
        yield "", said(", ".join(paths[:UNKNOWN_SHOWN]) + (" ..." if files > UNKNOWN_SHOWN else ""), QUIET_STYLE)
    run = page.measured.get(ScanFacts)
    if run is None:
        return
    if run.splits:
        yield "splits", said(", ".join(f"{name} {count(number)}" for name, number in run.splits.items()))
    shard = "" if run.shard is None else f", shard {run.shard}"
    yield "depth", said(f"{run.tier}{shard}")
    if run.stopped != "finished":
        yield "stopped", said(f"{run.stopped}: this is what is known so far", "bold yellow")


def scan_images(page: Page) -> Iterator[RenderableType]:
    """Modes, sizes, brightness and what is unusual of pictures."""
    images = page.measured.get(ImageSet)
    if images is None:
        return
    yield heading("Pictures", page.width, page.sign, count(images.images))
    rows = [("modes", said(_shares(images.modes, images.images)))]
    sizes = list(images.sizes.items())[:KINDS_SHOWN]
    more = images.size_count - len(sizes)
    told = ", ".join(f"{name.replace('x', page.sign.times)} {count(number)}" for name, number in sizes)
    rows.append(("sizes", said(told + (f" and {plural(more, 'other')}" if more > 0 else ""))))
    for label, spread in (("brightness", images.brightness), ("contrast", images.contrast)):
        if spread is not None:
            ends = f"{significant(spread.minimum, 2)} to {significant(spread.maximum, 2)}"
            rows.append((label, said(f"{ends}, median {significant(spread.median, 2)} (0 black, 1 white)")))
    rotated = sum(number for orientation, number in images.orientations.items() if orientation != "1")
    odd = [("rotated by EXIF", rotated), ("with several frames", images.animated)]
    if any(number for _, number in odd):
        rows.append(("unusual", said(", ".join(f"{count(number)} {name}" for name, number in odd if number))))
    yield facts(rows)
    yield ""


def _shares(counts: Mapping[str, int], total: int) -> str:
    return ", ".join(f"{name} {count(number)} ({percent(number / total)})" for name, number in counts.items())


def plain_table(titles: Sequence[str], *, left: int = 1, gap: int = 2) -> Table:
    """A table without lines, the first ``left`` columns to the left the others right, ``gap`` characters apart."""
    table = Table(box=None, padding=(0, gap, 0, 0), pad_edge=False, header_style=QUIET_STYLE)
    for index, title in enumerate(titles):
        style = "cyan" if index == 0 else ""
        table.add_column(title, justify="left" if index < left else "right", style=style, overflow="fold")
    return table
