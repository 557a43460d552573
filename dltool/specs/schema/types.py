"""Scalar types of the spec: strict (``true`` is no number, ``"10"`` is no integer) and finite."""

from typing import Annotated

from pydantic import Field

Flag = Annotated[bool, Field(strict=True)]
Integer = Annotated[int, Field(strict=True)]
Count = Annotated[int, Field(strict=True, ge=1)]
Whole = Annotated[int, Field(strict=True, ge=0)]
"""An integer that may be zero."""
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Positive = Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0)]
NonNegative = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0)]
Probability = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, lt=1)]
"""At least 0 and below 1: a share that leaves something (dropout, momentum)."""
Ratio = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, le=1)]
"""From 0 to 1, both included."""
Name = Annotated[str, Field(strict=True, min_length=1)]

Size1 = Count | tuple[Count]
Size2 = Count | tuple[Count, Count]
Size3 = Count | tuple[Count, Count, Count]
Pad1 = Whole | tuple[Whole]
Pad2 = Whole | tuple[Whole, Whole]
Pad3 = Whole | tuple[Whole, Whole, Whole]


class PathMark:
    """Marks a string that is a path: relative ones are resolved against the file that names them."""


FilePath = Annotated[str, Field(strict=True, min_length=1), PathMark()]
