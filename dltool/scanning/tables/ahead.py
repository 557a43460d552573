"""Read one piece ahead while the one before is worked on."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(pieces: Iterator[T]) -> Generator[T, None, None]:
    """The same pieces; the next is made in a thread. An exception comes where its piece would have."""
    end = object()
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, pieces, end)
        while (piece := coming.result()) is not end:
            coming = thread.submit(next, pieces, end)
            yield piece  # type: ignore[misc]  # end is no piece
