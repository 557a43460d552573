"""How far a check has come, how long it will take, and whether it is to stop; none of it reaches the report."""

from __future__ import annotations

import time

import torch

from dltool.probes.gradcheck.evaluators import Ways
from dltool.probes.gradcheck.point import Point
from dltool.probes.gradcheck.projections import PROJECTIONS
from dltool.training.progress import Progress
from dltool.training.stop import StopFlag

WORTH_TELLING_S = 2.0
TRIAL = 32
TICK_S = 0.1


class Counter:
    """Counts what is checked: elements with ``full``, parameters without."""

    def __init__(self, point: Point, progress: Progress, stop: StopFlag, *, full: bool, points: int) -> None:
        self._point, self._progress, self._stop, self._full = point, progress, stop, full
        self.ways = Ways(point)
        sizes = [leaf.numel() for leaf in point.leaves.values()]
        self._total = points * (sum(sizes) if full else len(sizes))
        self._points = points
        self._done = 0
        self._started_s = self._next_s = 0.0

    def start(self) -> None:
        """Say how long it will take, if that is long, and begin."""
        estimate_s = self._estimate_s()
        if estimate_s > WORTH_TELLING_S:
            what = f"{self._total:,} elements" if self._full else f"{self._total:,} parameters by random projections"
            self._progress.note(f"checking {what}: about {_in_words(estimate_s)}")
        self._progress.start(self._total)
        self._started_s = self._next_s = time.monotonic()

    def tick(self, done: int) -> bool:
        """``done`` more are done; False asks to stop."""
        self._done = min(self._done + done, self._total)
        now_s = time.monotonic()
        if now_s >= self._next_s:
            self._next_s = now_s + TICK_S
            self._progress.advance(self._done, None, self._done / max(now_s - self._started_s, 1e-9))
        return self._stop.reason is None

    def _estimate_s(self) -> float:
        begun = time.perf_counter()
        self._point.loss()
        one_s = time.perf_counter() - begun
        if not self._full:
            return one_s * 2 * PROJECTIONS * self._total
        if one_s * 2 * self._total < WORTH_TELLING_S:
            return 0.0
        return self._points * sum(self._leaf_s(name, leaf.numel()) for name, leaf in self._point.leaves.items())

    def _leaf_s(self, name: str, elements: int) -> float:
        """Of one tensor, from a few of its elements; of small ones nothing is tried, they take no time."""
        if elements < 8 * TRIAL:
            return 0.0
        evaluate = self.ways[name]
        tried = TRIAL if evaluate.at_once > 1 else 4
        chosen, offsets = torch.arange(tried), torch.full((tried,), 1e-6, dtype=torch.float64)
        begun = time.perf_counter()
        evaluate(chosen, offsets)
        return (time.perf_counter() - begun) / tried * 2 * elements


def _in_words(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
