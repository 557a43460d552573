"""What reaches a layer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Incoming:
    """One sample's shape, and whether its first dimension is time.

    ``sequence`` holds behind layers that make or keep sequences (embedding, recurrent, attention); ``padded`` where the
    batch comes with lengths.
    """

    shape: tuple[int, ...]
    sequence: bool = False
    padded: bool = False
    integers: bool = False
