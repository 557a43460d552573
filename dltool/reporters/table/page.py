"""What every part of the page reads, and how parts become text."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console, RenderableType
from rich.text import Text

from dltool.core.measurements import Measurements
from dltool.core.report import Report
from dltool.reporters.base import Detail, Look
from dltool.reporters.table.style import Signs, said


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


def render(parts: Iterable[RenderableType], look: Look, width: int) -> str:
    """What Rich makes of the parts, one under the other, without blanks at the ends of lines."""
    console = Console(
        file=io.StringIO(),
        width=width,
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
            console.print(part, soft_wrap=isinstance(part, OneLine))
    return "\n".join(line.rstrip() for line in captured.get().split("\n"))
