"""Values of evidence in words."""

from __future__ import annotations

from collections.abc import Mapping

from dltool.reporters.numbers import trimmed


def worded(value: object) -> str:
    """A value of evidence as a person writes it; long lists are cut and counted."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, float):
        return trimmed(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {worded(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        more = f" and {len(value) - 8} more" if len(value) > 8 else ""
        return ", ".join(worded(item) for item in value[:8]) + more
    return str(value)
