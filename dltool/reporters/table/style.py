"""Signs, colours and headings that the parts of the page share."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dltool.core.finding import Severity

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

SEVERITY_STYLE = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow", Severity.INFO: "bold blue"}
GOOD_STYLE = "bold green"
QUIET_STYLE = "dim"

LABEL_WIDTH = len("because of")


@dataclass(frozen=True, slots=True)
class Signs:
    """The few characters beyond letters; each has a stand-in for terminals without Unicode."""

    error: str
    warning: str
    info: str
    good: str
    because: str
    advice: str
    dot: str
    times: str
    gap: str
    line: str
    arrow: str

    def of(self, severity: Severity) -> str:
        """The sign of a severity: told apart by shape, not by colour alone."""
        return {Severity.ERROR: self.error, Severity.WARNING: self.warning, Severity.INFO: self.info}[severity]


UNICODE_SIGNS = Signs("✖", "▲", "●", "✔", "↳", "→", " · ", "×", "⋮", "─", "→")
ASCII_SIGNS = Signs("x", "!", "i", "+", "^", ">", " | ", "x", ":", "-", "->")


def signs(*, unicode: bool) -> Signs:
    """The signs for a place with or without Unicode."""
    return UNICODE_SIGNS if unicode else ASCII_SIGNS


def said(text: str, style: str = "") -> Text:
    """A string from outside, as it is: no markup, and control characters shown instead of obeyed."""
    return Text(CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text), style=style)


def heading(title: str, width: int, sign: Signs, aside: str = "") -> Text:
    """A section's title in a line across the page, what belongs beside it at its right end."""
    text = Text.assemble((f"{sign.line * 2} ", QUIET_STYLE), (title, "bold"), " ")
    tail = f" {aside} {sign.line * 2}" if aside else ""
    text.append(sign.line * max(2, width - len(text) - len(tail)), QUIET_STYLE)
    text.append(tail, QUIET_STYLE)
    return text


def indented(content: RenderableType, indent: int = 2) -> Padding:
    """Content moved in from the left edge."""
    return Padding(content, (0, 0, 0, indent))


def facts(rows: Iterable[tuple[str, Text]]) -> Padding:
    """Labels in a dim column, what they say beside them, wrapped to hang under itself."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style=QUIET_STYLE, no_wrap=True, min_width=LABEL_WIDTH)
    table.add_column(overflow="fold")
    for label, text in rows:
        table.add_row(label, text)
    return indented(table)
