"""How a run is asked to end early: Ctrl-C, SIGTERM or a deadline."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Literal

StopReason = Literal["interrupted", "timeout"]


class StopFlag:
    """Set once, read by the loop after every step; ``timeout_s`` counts from the flag's creation."""

    def __init__(self, timeout_s: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._deadline = None if timeout_s is None else clock() + timeout_s
        self._interrupted = False

    def interrupt(self) -> None:
        """Ask the run to end after the current step."""
        self._interrupted = True

    @property
    def reason(self) -> StopReason | None:
        """Why the run should end now, or None while it may go on."""
        if self._interrupted:
            return "interrupted"
        if self._deadline is not None and self._clock() >= self._deadline:
            return "timeout"
        return None

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Within the block the first SIGINT or SIGTERM sets the flag and the second raises ``KeyboardInterrupt`` at once.

        Python allows handlers in the main thread only; in another one the block changes nothing.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature that signal asks for
        if self._interrupted:
            raise KeyboardInterrupt
        self._interrupted = True
