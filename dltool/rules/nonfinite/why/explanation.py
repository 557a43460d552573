"""What a mechanism answers when the recorded numbers show it at work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dltool.rules.nonfinite.why.case import Case


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why, and what to do.

    Attributes:
        mechanism: its public name, in the evidence of the finding (``divisor-of-zero``).
        cause: begins with the reason in few words.
        advice: likeliest cure first.
        too_large: values had outgrown their type, so that gradients which grew for steps are what lies behind it.
    """

    mechanism: str
    cause: str
    advice: tuple[str, ...]
    too_large: bool = False


Mechanism = Callable[[Case], Explanation | None]
"""Looks at a case and explains it, or says nothing when the recorded numbers do not bear it out."""
