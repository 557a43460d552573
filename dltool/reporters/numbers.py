"""Numbers for people: as many digits as mean something, and the same width where they stand in a column."""

from __future__ import annotations

import math


def significant(value: float, digits: int = 3) -> str:
    """``digits`` significant digits: 0.0123, 12.3 and 12,300, but 1.23e-05 and 1.23e+08; NaN and inf by name.

    >>> [significant(x) for x in (0.0, 0.012345, 1.0, 12345.678, 0.0000123)]
    ['0', '0.0123', '1.00', '12,346', '1.23e-05']
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if value == 0:
        return "0"
    scientific = f"{value:.{digits - 1}e}"
    exponent = int(scientific.partition("e")[2])
    if not -3 <= exponent < 6:
        return scientific
    return f"{value:,.{max(0, digits - 1 - exponent)}f}"


def trimmed(value: float) -> str:
    """``significant`` for running text, where no column asks for the zeros at the end.

    >>> [trimmed(x) for x in (0.5, 1.0, 0.0123, 1.5e-7)]
    ['0.5', '1', '0.0123', '1.50e-07']
    """
    text = significant(value)
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def short(value: float) -> str:
    """A number that someone wrote, such as a rate or a limit: no padding zeros (0.001, 1e-05, 1).

    >>> [short(x) for x in (0.001, 1e-5, 1.0, 0.1 + 0.2)]
    ['0.001', '1e-05', '1', '0.3']
    """
    return f"{value:.6g}" if math.isfinite(value) else significant(value)


def count(value: int) -> str:
    """A count in full up to a million, then in millions or billions: 4,810 and 12.3 M.

    >>> [count(n) for n in (0, 4810, 12_345_678, 1_500_000_000)]
    ['0', '4,810', '12.3 M', '1.5 B']
    """
    if abs(value) < 1_000_000:
        return f"{value:,}"
    scale, unit = (1e6, "M") if abs(value) < 1e9 else (1e9, "B")
    return f"{value / scale:.3g} {unit}"


def percent(ratio: float) -> str:
    """A share as a percentage; what is not quite none or all is never rounded to it.

    >>> [percent(x) for x in (0.0, 0.0004, 0.123, 0.9999, 1.0)]
    ['0 %', '<0.1 %', '12.3 %', '>99.9 %', '100 %']
    """
    if math.isnan(ratio):
        return "NaN"
    if ratio in {0, 1}:
        return f"{ratio:.0%}".replace("%", " %")
    if 0 < ratio < 0.001:
        return "<0.1 %"
    if 0.999 < ratio < 1:
        return ">99.9 %"
    return f"{100 * ratio:.1f} %"


def plural(number: int, noun: str) -> str:
    """``1 step``, ``2 steps``, ``3 batches``."""
    return f"{number:,} {noun if number == 1 else plural_of(noun)}"


def plural_of(noun: str) -> str:
    """``steps``, ``batches``."""
    return noun + ("es" if noun.endswith("ch") else "s")


def size(value_bytes: int) -> str:
    """Bytes as a person reads them, in powers of 1000.

    >>> [size(n) for n in (0, 512, 48_000, 1_234_567, 2_500_000_000)]
    ['0 B', '512 B', '48 kB', '1.23 MB', '2.5 GB']
    """
    scale, unit = next(((s, u) for s, u in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")) if value_bytes >= s), (1.0, "B"))
    return f"{value_bytes / scale:.3g} {unit}"
