"""Text from outside as it may stand in any file: what cannot be seen, or would steer its reader, is spelt out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

SURROGATE = re.compile("[\ud800-\udfff]")
"""Half a character: what Python makes of bytes that are no UTF-8. No strict JSON or XML reader takes one."""

UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # controls: terminals obey them, and XML 1.0 has no way to write most of them
    "\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff"  # turn the direction of writing, end lines, or take no room
    "\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)


def visible(text: str) -> str:
    r"""One line, in which escape codes, line ends, bidirectional controls and half characters are written as in Python.

    >>> visible("a\x1b[31m\nb\udcff")
    'a\\x1b[31m\\nb\\udcff'
    """
    return UNSEEN.sub(_escape, text)


def well_formed(value: Any) -> Any:
    """JSON data in which every string and key is well-formed Unicode, half characters spelt out; all else as it was."""
    if isinstance(value, str):
        return SURROGATE.sub(_escape, value)
    if isinstance(value, Mapping):
        return {well_formed(key): well_formed(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [well_formed(item) for item in value]
    return value


def shortened(text: str, length: int) -> str:
    """At most ``length`` characters; a dot-dot-dot tells that there was more."""
    return text if len(text) <= length else text[: length - 1] + "…"


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")
