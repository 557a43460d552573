"""Progress on stderr: a bar at a terminal, a plain line now and then in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from dltool.cli.console import is_interactive, say
from dltool.reporters.base import Detail
from dltool.reporters.numbers import plural_of, significant
from dltool.training.progress import Progress, Silent

LINE_EVERY_S = 10.0


def progress_on_stderr(detail: Detail, doing: str = "training", unit: str = "step") -> Progress:
    """The progress that fits the place stderr leads to; none with ``--quiet``.

    ``doing`` names the work (``checking gradients``) and ``unit`` what is counted (``parameter``).
    """
    if detail is Detail.QUIET:
        return Silent()
    return Bar(doing, unit) if is_interactive(sys.stderr) else Lines(doing, unit)


def time_left(seconds: float) -> str:
    """``0:42``, ``3:05`` or ``1:02:03``; a dash while it is not known.

    >>> [time_left(s) for s in (42.2, 185, 3723, float("inf"))]
    ['0:42', '3:05', '1:02:03', '-']
    """
    if not seconds < 1e7:
        return "-"
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


class Bar:
    """A bar that is drawn when the work reports, without a thread of its own, and vanishes when it ends."""

    def __init__(self, doing: str = "training", unit: str = "step") -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._bar = Progress(
            TextColumn(doing),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[loss]}"),
            TextColumn("{task.fields[rate]}", style="dim"),
            TextColumn("{task.fields[left]} left", style="dim"),
            console=Console(stderr=True),
            transient=True,
            expand=True,
            auto_refresh=False,
        )
        self._total = 0
        self._unit = unit
        self._task = self._bar.add_task(doing, total=None, loss="", rate="", left="-")

    def start(self, total_steps: int, done_steps: int = 0) -> None:
        """Draw the empty bar."""
        self._total = total_steps
        self._bar.update(self._task, total=total_steps, completed=done_steps)
        self._bar.start()

    def advance(self, step: int, loss: float | None, rate_per_s: float) -> None:
        """Draw where the work stands."""
        left = (self._total - step) / rate_per_s if rate_per_s > 0 else float("inf")
        shown = "" if loss is None else f"loss {significant(loss)}"
        rate = f"{significant(rate_per_s)} {plural_of(self._unit)}/s"
        self._bar.update(self._task, completed=step, loss=shown, rate=rate, left=time_left(left), refresh=True)

    def note(self, text: str) -> None:
        """A line above the bar."""
        from rich.text import Text

        self._bar.console.print(Text(text))

    def close(self) -> None:
        """Take the bar away."""
        self._bar.stop()


class Lines:
    """For logs: a line when ten seconds have passed since the last one."""

    def __init__(self, doing: str = "training", unit: str = "step", clock: Callable[[], float] = time.monotonic) -> None:
        self._doing = "" if doing == "training" else f"{doing}: "
        self._unit = unit
        self._clock = clock
        self._total = 0
        self._said_at = clock()

    def start(self, total_steps: int, done_steps: int = 0) -> None:
        """Note the start; short runs stay silent."""
        self._total = total_steps
        self._said_at = self._clock()
        if done_steps:
            say(f"resuming after {done_steps:,} of {total_steps:,} {plural_of(self._unit)}")

    def advance(self, step: int, loss: float | None, rate_per_s: float) -> None:
        """A line, if it is time for one."""
        if self._clock() - self._said_at < LINE_EVERY_S:
            return
        self._said_at = self._clock()
        left = (self._total - step) / rate_per_s if rate_per_s > 0 else float("inf")
        shown = "" if loss is None else f"loss {significant(loss)}, "
        rate = f"{significant(rate_per_s)} {plural_of(self._unit)}/s"
        say(f"{self._doing}{self._unit} {step:,} of {self._total:,}, {shown}{rate}, {time_left(left)} left")

    def note(self, text: str) -> None:
        """Said at once."""
        say(text)

    def close(self) -> None:
        """Nothing is left open."""
