"""The user's own line, as it stands in the file."""

from __future__ import annotations

import linecache


def line_of(file: str | None, line: int | None) -> str | None:
    """The line without its indentation; None where the file or the line is not there (code made at run time)."""
    if file is None or line is None:
        return None
    return linecache.getline(file, line).strip() or None
