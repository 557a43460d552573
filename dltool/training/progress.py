"""What the loop tells a person who waits; drawing it is the caller's business."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told at most ten times a second, so that drawing costs training nothing."""

    def start(self, total_steps: int, done_steps: int = 0) -> None:
        """Training begins; ``done_steps`` were made before a resume."""

    def advance(self, step: int, loss: float, rate_per_s: float) -> None:
        """``step`` steps are done; ``loss`` is the bias-corrected running mean, ``rate_per_s`` the steps per second."""

    def note(self, text: str) -> None:
        """One sentence that the user should see now."""

    def close(self) -> None:
        """Training ended, well or not."""


class Silent:
    """The default: nobody is watching."""

    def start(self, total_steps: int, done_steps: int = 0) -> None:
        """Nothing is shown."""

    def advance(self, step: int, loss: float, rate_per_s: float) -> None:
        """Nothing is shown."""

    def note(self, text: str) -> None:
        """Nothing is shown."""

    def close(self) -> None:
        """Nothing is shown."""
