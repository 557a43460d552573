"""Paths as text that any encoding of a report can hold, and back."""

from __future__ import annotations

import re

ESCAPED = re.compile(r"\\udc([0-9a-f]{2})")
AMBIGUOUS = re.compile(r"\\(?=udc[0-9a-f]{2})")


def printable(name: str) -> str:
    r"""``name`` with bytes that are no UTF-8 written as ``\udc`` and two hex digits; ``restored`` gives it back.

    >>> printable("cat/\udcff.jpg")
    'cat/\\udcff.jpg'
    """
    if "\\" in name:
        name = AMBIGUOUS.sub("\udc5c", name)
    return name if name.isascii() else name.encode("utf-8", "backslashreplace").decode("utf-8")


def restored(text: str) -> str:
    r"""The name that ``printable`` wrote: bytes that are no UTF-8 as ``os.fsencode`` takes them.

    >>> [restored(printable(name)) == name for name in ("a/\udcff", "\\udcff", "\\", "\\\udcff", "\\udc5cudcff")]
    [True, True, True, True, True]
    """
    return ESCAPED.sub(lambda found: chr(code if (code := int(found[1], 16)) < 0x80 else 0xDC00 + code), text)
