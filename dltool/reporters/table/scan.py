"""A scan of data: what was read, what it looks like, and what is wrong with it by rule, the worst samples of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from dltool.core.finding import Finding
from dltool.core.measured.scan import SamplesScanned, ScanFacts, ScannedFormats
from dltool.core.measured.scan_pictures import ImageSet
from dltool.reporters.numbers import count, percent, plural, significant, size
from dltool.reporters.prose import causes_of
from dltool.reporters.table.page import Page
from dltool.reporters.table.style import QUIET_STYLE, SEVERITY_STYLE, facts, heading, indented, said

FINDINGS_SHOWN = 5
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


def scan_findings(page: Page) -> Iterator[RenderableType]:
    """A block for each rule: how many findings, the first of them, and what to do."""
    if page.report.command != "scan" or not page.report.findings:
        return
    yield heading("Findings", page.width, page.sign, "by rule, gravest first")
    blocks: dict[tuple[str, str], list[Finding]] = {}
    for finding in page.report.findings:
        blocks.setdefault((finding.severity, finding.name), []).append(finding)
    for found in blocks.values():
        yield _title(found, page)
        yield facts(_rows(found, page))
        yield ""


def _title(found: Sequence[Finding], page: Page) -> Text:
    first = found[0]
    style = SEVERITY_STYLE[first.severity]
    title = Text.assemble((f"{page.sign.of(first.severity)} {first.severity}  ", style), said(first.name, "bold"))
    title.append(f"  {first.rule}", QUIET_STYLE)
    samples = sum(_samples(finding) for finding in found)
    told = plural(len(found), "finding") if len(found) > 1 else ""
    if samples > 1:
        told += f"{', ' if told else ''}{plural(samples, 'sample')}"
    return title.append(f"  {told}", QUIET_STYLE)


def _rows(found: Sequence[Finding], page: Page) -> Iterator[tuple[str, Text]]:
    shown = list(found) if page.verbose else list(found[:FINDINGS_SHOWN])
    for index, finding in enumerate(shown):
        place = "" if finding.where.line is None else f" (line {finding.where.line})"
        yield "" if index else "found", said(finding.message + place)
    if len(found) > len(shown):
        yield "", said(f"and {plural(len(found) - len(shown), 'other')}, all with --verbose or --format json", QUIET_STYLE)
    causes = dict.fromkeys(finding.caused_by for finding in found if finding.caused_by is not None)
    names = causes_of(page.report)
    for cause in (names[each] for each in causes if each in names):
        yield "because of", said(f"{cause.name} ({cause.rule})", SEVERITY_STYLE[cause.severity])
        break
    advice = dict.fromkeys(each for finding in shown for each in finding.advice)
    for index, each in enumerate(advice):
        yield "or" if index else "fix", said(each, "green")


def _samples(finding: Finding) -> int:
    named = finding.evidence.get("samples")
    return len(named) if isinstance(named, list | tuple) else 0


def plain_table(titles: Sequence[str], *, left: int = 1, gap: int = 2) -> Table:
    """A table without lines, the first ``left`` columns to the left the others right, ``gap`` characters apart."""
    table = Table(box=None, padding=(0, gap, 0, 0), pad_edge=False, header_style=QUIET_STYLE)
    for index, title in enumerate(titles):
        style = "cyan" if index == 0 else ""
        table.add_column(title, justify="left" if index < left else "right", style=style, overflow="fold")
    return table
