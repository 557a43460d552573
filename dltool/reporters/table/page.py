"""What every part of the page reads, and how parts become text."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dltool.core.measurements import Measurements
from dltool.core.report import Report
from dltool.reporters.base import Detail, Look
from dltool.reporters.table.style import Signs, said

TABLE_WIDTH = 60


@dataclass(frozen=True, slots=True)
class Page:
    """What every part of the page reads."""

    report: Report
    measured: Measurements
    look: Look
    sign: Signs
    width: int

    @property
    def verbose(self) -> bool:
        """Nothing is left out."""
        return self.look.detail is Detail.VERBOSE


@dataclass(frozen=True, slots=True)
class OneLine:
    """Text that stays on one line, however long: what reads it is a program."""

    text: str

    def __rich__(self) -> Text:
        return said(" ".join(self.text.split()))


def _is_table(part: RenderableType) -> bool:
    inner = part.renderable if isinstance(part, Padding) else part
    return isinstance(inner, Table) and inner.show_header


def render(parts: Iterable[RenderableType], look: Look, width: int) -> str:
    """What Rich makes of the parts, one under the other, without blanks at the ends of lines.

    Tables with a head are ``TABLE_WIDTH`` wide at least: narrower ones would lose numbers, and a terminal can wrap lines.
    """
    console = Console(
        file=io.StringIO(),
        width=max(width, TABLE_WIDTH),
        height=100,
        force_terminal=look.color_system is not None,
        color_system=look.color_system,
        no_color=look.no_color,
        legacy_windows=False,
        highlight=False,
        markup=False,
        emoji=False,
    )
    with console.capture() as captured:
        for part in parts:
            console.print(part, soft_wrap=isinstance(part, OneLine), width=None if _is_table(part) else width)
    return "\n".join(line.rstrip() for line in captured.get().split("\n"))
