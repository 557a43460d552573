"""What a scan tells a person who waits; drawing it is the caller's business."""

from __future__ import annotations

from typing import Protocol


class ScanProgress(Protocol):
    """Told at most ten times a second."""

    def start(self) -> None:
        """The scan begins."""

    def advance(self, files: int, size_bytes: int, total_files: int | None) -> None:
        """``files`` samples are done; how many there will be is None until they are counted."""

    def note(self, text: str) -> None:
        """One sentence that the user should see now."""

    def close(self) -> None:
        """The scan ended, well or not."""


class SilentScan:
    """Nobody is watching."""

    def start(self) -> None:
        """Nothing is shown."""

    def advance(self, files: int, size_bytes: int, total_files: int | None) -> None:
        """Nothing is shown."""

    def note(self, text: str) -> None:
        """Nothing is shown."""

    def close(self) -> None:
        """Nothing is shown."""
