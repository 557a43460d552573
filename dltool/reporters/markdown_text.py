"""Text from outside within Markdown: it reads as it is, and it formats, links and calls nobody."""

from __future__ import annotations

import html
import re

from dltool.reporters.visible import visible

ACTIVE = re.compile(r"[\\`*_\[\]~$#!]")

CALLING = re.compile(r"(?i)(@|://|www\.|(?<=gh)-|#)(?=\w)")
"""What code hosts make a mention, a link or a reference of, wherever it stands in running text; # is for issues."""

NO_WIDTH = "&#8203;"
"""A space of no width, as bots put it behind an @: it cannot be seen, and it ends what would be a name."""


def prose(text: str) -> str:
    """One line of running text, also for a cell of a table."""
    parts = CALLING.split(visible(text))
    escaped = [ACTIVE.sub(r"\\\g<0>", html.escape(part, quote=False)).replace("|", "&#124;") for part in parts]
    return "".join(part + (NO_WIDTH if index % 2 else "") for index, part in enumerate(escaped))


def code(text: str, *, in_table: bool = False) -> str:
    """A code span, fenced by more backticks than there are inside (CommonMark 0.31, §6.1); nothing for nothing."""
    shown = visible(text)
    if not shown.strip():
        return ""
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    pad = " " if shown[0] in "` " or shown[-1] in "` " else ""
    span = f"{fence}{pad}{shown}{pad}{fence}"
    return span.replace("|", "\\|") if in_table else span
