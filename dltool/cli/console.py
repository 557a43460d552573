"""What the terminal can show, and what is said to the person at it on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import TextIO

from dltool.core.errors import Problem
from dltool.reporters.base import Detail, Look

WIDEST = 140
"""Lines longer than this are harder to read, however wide the terminal is."""


def look_of(stream: TextIO, detail: Detail) -> Look:
    """The width, colours and characters of a stream; NO_COLOR, FORCE_COLOR, TERM and COLUMNS are Rich's to judge."""
    from rich.console import Console

    console = Console(file=stream)
    return Look(
        width=min(WIDEST, console.width),
        color_system=console.color_system,  # type: ignore[arg-type]  # Rich types its own names as str
        no_color=console.no_color,
        unicode=console.encoding.startswith("utf"),
        detail=detail,
    )


def takes_unicode(stream: TextIO | None) -> bool:
    """Whether every character can be written there as it is."""
    return (getattr(stream, "encoding", None) or "utf-8").lower().startswith("utf")


def is_interactive(stream: TextIO) -> bool:
    """Whether a bar that redraws itself has a place there: a terminal, and no CI log."""
    from rich.console import Console

    return Console(file=stream).is_interactive and os.environ.get("CI", "").lower() in {"", "0", "false"}


def say(text: str) -> None:
    """A line on stderr; one that is closed, full or read by nobody is no reason to fail."""
    if sys.stderr is None:
        return
    with suppress(OSError):
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def say_problems(problems: Iterable[Problem]) -> None:
    """Every mistake on a line of its own."""
    for problem in problems:
        say(f"error: {problem}")
