"""What a scan counted and did not look into, and how it compares with a manifest."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from dltool.core.measured.scan_run import LeftOut, ManifestCheck
from dltool.reporters.numbers import count, plural
from dltool.reporters.table.page import Page
from dltool.reporters.table.style import QUIET_STYLE, facts, heading, said

PATHS_SHOWN = 3
WORDS = {
    "hidden": ("hidden", "file or folder", "files and folders"),
    "special": ("special", "pipe, socket or device", "pipes, sockets and devices"),
    "compressed": (
        "compressed",
        "file or archive that is not looked into: unpack it",
        "files and archives that are not looked into: unpack them",
    ),
    "label": ("labels", "class of a shard's sample", "classes of a shard's samples"),
}


def scan_left_out(page: Page) -> Iterator[RenderableType]:
    """Hidden and special files with the first few names; what a manifest says."""
    rows = [*_left_out(page), *_manifest(page)]
    if rows:
        yield heading("Beside the samples", page.width, page.sign)
        yield facts(rows)
        yield ""


def _left_out(page: Page) -> Iterator[tuple[str, Text]]:
    section = page.measured.get(LeftOut)
    for each in () if section is None else section.kinds:
        label, one, many = WORDS[each.kind]
        more = " ..." if each.files > PATHS_SHOWN else ""
        told = said(f"{count(each.files)} {one if each.files == 1 else many}")
        yield label, told.append(f"  {', '.join(each.paths[:PATHS_SHOWN])}{more}", QUIET_STYLE)


def _manifest(page: Page) -> Iterator[tuple[str, Text]]:
    check = page.measured.get(ManifestCheck)
    if check is None:
        return
    numbers = [("changed", check.changed), ("missing", check.missing), ("new", check.new)]
    different = ", ".join(f"{count(number)} {name}" for name, number in numbers if number)
    told = f"{plural(check.unchanged, 'sample')} as {check.manifest} has them"
    yield "manifest", said(f"{told}, {different}" if different else told)
    if check.unverifiable:
        yield "", said(f"{plural(check.unverifiable, 'sample')} without a digest that can be verified here", "yellow")
