"""Progress of a scan on stderr: a bar at a terminal, a plain line now and then in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from dltool.cli.console import is_interactive, say
from dltool.cli.progress import LINE_EVERY_S, time_left
from dltool.reporters.base import Detail
from dltool.reporters.numbers import significant
from dltool.scanning.progress import ScanProgress


def scan_progress_on_stderr(detail: Detail) -> ScanProgress | None:
    """The progress that fits the place stderr leads to; None with ``--quiet``."""
    if detail is Detail.QUIET:
        return None
    return ScanBar() if is_interactive(sys.stderr) else ScanLines()


class Pace:
    """Files and bytes a second since the start."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._started_s = clock()

    def rate(self, files: int, size_bytes: int) -> str:
        """``3,200 files/s, 64 MB/s``."""
        elapsed_s = max(1e-3, self._clock() - self._started_s)
        return f"{significant(files / elapsed_s)} files/s, {significant(size_bytes / elapsed_s / 1e6)} MB/s"

    def left(self, files: int, total_files: int | None) -> str:
        """``0:42``, or a dash while it is not known."""
        elapsed_s = self._clock() - self._started_s
        if total_files is None or not files:
            return "-"
        return time_left(max(0, total_files - files) * elapsed_s / files)


class ScanBar:
    """A bar that is drawn when the scan reports, and vanishes when it ends."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._bar = Progress(
            TextColumn("scanning"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}", style="dim"),
            TextColumn("{task.fields[left]} left", style="dim"),
            console=Console(stderr=True),
            transient=True,
            expand=True,
            auto_refresh=False,
        )
        self._task = self._bar.add_task("scanning", total=None, rate="", left="-")
        self._pace = Pace(time.monotonic)

    def start(self) -> None:
        """Draw the empty bar."""
        self._pace = Pace(time.monotonic)
        self._bar.start()

    def advance(self, files: int, size_bytes: int, total_files: int | None) -> None:
        """Draw where the scan stands."""
        rate, left = self._pace.rate(files, size_bytes), self._pace.left(files, total_files)
        self._bar.update(self._task, completed=files, total=total_files, rate=rate, left=left, refresh=True)

    def note(self, text: str) -> None:
        """A line above the bar."""
        from rich.text import Text

        self._bar.console.print(Text(text))

    def close(self) -> None:
        """Take the bar away."""
        self._bar.stop()


class ScanLines:
    """For logs: a line when ten seconds have passed since the last one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pace = Pace(clock)
        self._said_at = clock()

    def start(self) -> None:
        """Note the start; short scans stay silent."""
        self._pace = Pace(self._clock)
        self._said_at = self._clock()

    def advance(self, files: int, size_bytes: int, total_files: int | None) -> None:
        """A line, if it is time for one."""
        if self._clock() - self._said_at < LINE_EVERY_S:
            return
        self._said_at = self._clock()
        of = "" if total_files is None else f" of {total_files:,}"
        left = self._pace.left(files, total_files)
        say(f"scanning: file {files:,}{of}, {self._pace.rate(files, size_bytes)}, {left} left")

    def note(self, text: str) -> None:
        """Said at once."""
        say(text)

    def close(self) -> None:
        """Nothing is left open."""
