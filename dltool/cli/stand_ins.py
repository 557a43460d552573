"""Text for terminals that have few characters: our own signs get stand-ins, and anyone's names are spelt, never lost."""

from __future__ import annotations

import codecs

HANDLER = "dltool.stand_ins"

SIGNS = {
    "×": "x",
    "‖": "|",
    "·": ".",
    "²": "^2",
    "√": "sqrt ",
    "Δ": "d",
    "±": "+-",
    "−": "-",
    "–": "-",
    "…": "..",
    "→": "->",
    "≠": "!=",
    "π": "pi",
    "§": "section ",
}
"""What dltool's own sentences have beyond ASCII."""


def encoded(text: str, encoding: str) -> bytes:
    r"""Bytes of that encoding; what it lacks is written by a stand-in, or as in Python: ``gr\xf6\xdfe``.

    >>> encoded("‖größe‖ × 2", "ascii")
    b'|gr\\xf6\\xdfe| x 2'
    """
    return text.encode(encoding, errors=HANDLER)


def _stand_in(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(SIGNS.get(sign) or sign.encode("ascii", "backslashreplace").decode() for sign in lacking), error.end


codecs.register_error(HANDLER, _stand_in)
