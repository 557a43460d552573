"""CMP109 slower."""

from __future__ import annotations

from typing import ClassVar

from dltool.core.finding import Severity
from dltool.rules.base import Threshold
from dltool.rules.compared.regressed import Regressed, noises


class Slower(Regressed):
    """A training step takes longer than before on the same machine.

    What it measures: the time of an optimizer step. On the CPU it is processor time, which other programs hardly touch,
    over that of a fixed piece of work that is timed beside it, and the median of the run; with an accelerator it is the
    least wall-clock time. It fires beyond a factor of 1.6, where machine, threads, torch and batch size are the same.

    Why it is bad: the same result costs more.

    How to fix: look at what a step does now: larger batches or layers, transfers, a loader that decodes more.

    When it is wrong: what shares a processor's caches slows some work more than other, so that equal runs differ by tens
    of percent. Time spent asleep (waiting for files or other processes) is no processor time, and is not judged on the CPU.

    References: Chen & Revels 2016, Robust benchmarking in noisy environments (the minimum is the robust estimate).
    """

    id = "CMP109"
    name = "slower"
    severity = Severity.WARNING
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        noises("benchmarks/compare.py: equal runs on a busy machine stay below it"),
    )
    group = "speed"
