"""What the inspector of a picture format hands back."""

from __future__ import annotations

from typing import NamedTuple

from dltool.scanning.record import Flaw, ImageFacts


class Seen(NamedTuple):
    """``image`` is None where not even the size could be told; ``content`` is a hash of what the picture shows."""

    image: ImageFacts | None
    flaws: tuple[Flaw, ...] = ()
    content: str | None = None
