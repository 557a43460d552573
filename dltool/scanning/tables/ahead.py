"""Read one piece ahead while the one before is worked on."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
MOST_THREADS = 4


def threads() -> int:
    """How many threads may share the work of this process."""
    available: Any = getattr(os, "sched_getaffinity", None)
    return min(MOST_THREADS, len(available(0)) if available else os.cpu_count() or 1)


def ahead(pieces: Iterator[T]) -> Generator[T, None, None]:
    """The same pieces; the next is made in a thread, where there is a processor for it.

    An exception comes where its piece would have.
    """
    if threads() == 1:
        yield from pieces
        return
    end = object()
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, pieces, end)
        while (piece := coming.result()) is not end:
            coming = thread.submit(next, pieces, end)
            yield piece  # type: ignore[misc]  # end is no piece
