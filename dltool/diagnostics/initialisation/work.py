"""Counting what is done of long work, for whoever waits, and ending it early when asked to."""

from __future__ import annotations

import time
from typing import Self

from dltool.training.progress import Progress, Silent
from dltool.training.stop import StopFlag


class Work:
    """``total`` measurements; a context that closes the progress however it is left."""

    def __init__(self, total: int, progress: Progress | None, stop: StopFlag) -> None:
        self._progress = progress or Silent()
        self._stop = stop
        self._total = total
        self._done = 0
        self._begun_s = time.perf_counter()

    def __enter__(self) -> Self:
        self._progress.start(self._total)
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.close()

    @property
    def stopped(self) -> bool:
        """Whether what is known by now has to do."""
        return self._stop.reason is not None

    def one_done(self) -> None:
        """Another measurement is made."""
        self._done += 1
        seconds = time.perf_counter() - self._begun_s
        self._progress.advance(min(self._done, self._total), None, self._done / max(seconds, 1e-9))
