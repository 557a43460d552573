"""What long work tells a person who waits; drawing it is the caller's business."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told at most ten times a second, so that drawing costs the work nothing."""

    def start(self, total_steps: int, done_steps: int = 0) -> None:
        """The work begins; ``done_steps`` were made before a resume."""

    def advance(self, step: int, loss: float | None, rate_per_s: float) -> None:
        """``step`` steps are done, ``rate_per_s`` in a second; ``loss`` is what to show as the loss now, if there is one."""

    def note(self, text: str) -> None:
        """One sentence that the user should see now."""

    def close(self) -> None:
        """The work ended, well or not."""


class Silent:
    """The default: nobody is watching."""

    def start(self, total_steps: int, done_steps: int = 0) -> None:
        """Nothing is shown."""

    def advance(self, step: int, loss: float | None, rate_per_s: float) -> None:
        """Nothing is shown."""

    def note(self, text: str) -> None:
        """Nothing is shown."""

    def close(self) -> None:
        """Nothing is shown."""
