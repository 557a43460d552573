"""What a reporter is, and how the place looks that its text goes to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, Protocol

from dltool.core.report import Report


class Reporter(Protocol):
    """Turns a report into text. It does not write it anywhere, and it does not look at the environment."""

    def render(self, report: Report) -> str:
        """The whole text, with its final newline."""


class Detail(IntEnum):
    """How much a person wants to read: only the verdict, the usual, or all that is known."""

    QUIET = 0
    NORMAL = 1
    VERBOSE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the reader's terminal or file can show. ``color_system`` None means no escape codes at all."""

    width: int = 100
    color_system: Literal["standard", "256", "truecolor", "windows"] | None = None
    no_color: bool = False
    unicode: bool = True
    detail: Detail = Detail.NORMAL
