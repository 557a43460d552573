"""The lines of a spec that are wrong, and those that belong in their place, as in a diff."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping

from rich.text import Text

from dltool.core.finding import Finding
from dltool.reporters.table.style import QUIET_STYLE, said

MOST_HUNKS = 4
APART = frozenset({"change", "correction", "written"})
"""Evidence that is told here, and not in words."""


def correction(finding: Finding) -> Iterator[tuple[str, Text]]:
    """``16 - old`` and ``16 + new`` for each place; the line alone where there is nothing to put in its place."""
    hunks = finding.evidence.get("correction")
    if not isinstance(hunks, list | tuple):
        written = finding.evidence.get("written")
        if isinstance(written, str) and finding.where.line is not None:
            yield "line", said(f"{finding.where.line}   {written}", QUIET_STYLE)
        return
    label = "lines"
    for hunk in hunks[:MOST_HUNKS]:
        for line in _lines(hunk):
            yield label, line
            label = ""
    if len(hunks) > MOST_HUNKS:
        yield "", said(f"... and at {len(hunks) - MOST_HUNKS} more places", QUIET_STYLE)


def _lines(hunk: Mapping[str, object]) -> Iterator[Text]:
    line, found, new = (hunk.get(key) for key in ("line", "found", "corrected"))
    if not isinstance(line, int) or not isinstance(found, list | tuple) or not isinstance(new, list | tuple):
        return
    texts = textwrap.dedent("\n".join([*map(str, found), *map(str, new)])).split("\n")
    for at, text in enumerate(texts):
        is_new = at >= len(found)
        number = line + (at - len(found) if is_new else at)
        yield said(f"{number} {'+' if is_new else '-'} {text}", "green" if is_new else "red")
