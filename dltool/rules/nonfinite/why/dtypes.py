"""The range of each floating-point type (IEEE 754; bfloat16 and the 8-bit types as in ``torch.finfo``)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Range:
    """``largest`` finite number, and ``smallest`` positive one (subnormal): half of it and less rounds to 0."""

    name: str
    largest: float
    smallest: float

    @property
    def is_half(self) -> bool:
        """Its range is so narrow that ordinary activations leave it."""
        return self.largest < 1e5


RANGES = {
    "float64": Range("float64", 1.7976931348623157e308, 5e-324),
    "float32": Range("float32", 3.4028234663852886e38, 1.401298464324817e-45),
    "bfloat16": Range("bfloat16", 3.3895313892515355e38, 9.183549615799121e-41),
    "float16": Range("float16", 65504.0, 5.960464477539063e-08),
    "float8_e5m2": Range("float8_e5m2", 57344.0, 1.52587890625e-05),
    "float8_e4m3fn": Range("float8_e4m3fn", 448.0, 0.001953125),
}
COMPLEX = {"complex128": "float64", "complex64": "float32", "complex32": "float16"}


def range_of(dtype: str | None) -> Range | None:
    """The range of a dtype by its name; None for integers and names that are not known."""
    return RANGES.get(COMPLEX.get(dtype or "", dtype or ""))


def lost_eps(dtype: str | None) -> str:
    """What becomes of small constants in a half-precision type, in brackets; nothing for wider types."""
    if dtype == "float16":
        return " (in float16 an eps below 3e-08 is 0)"
    return " (bfloat16 keeps 2 to 3 digits: in it 1 - 1e-3 is 1)" if dtype == "bfloat16" else ""


def rounds_to_zero(value: float, dtype: str | None) -> bool:
    """Whether a positive number becomes 0 in this dtype (ties go to even, so half the smallest does)."""
    known = range_of(dtype)
    return known is not None and 0 < value <= known.smallest / 2
