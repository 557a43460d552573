"""How long steps take, beside a fixed piece of work that tells how fast the processor was just then."""

from __future__ import annotations

import time

import torch

STRETCH_S = 0.02
"""The reference takes under a millisecond: a thirtieth of the shortest stretch."""
STRETCHES_TO_DOUBLE = 16
"""After so many stretches they are twice as long, after twice as many three times: a long run hardly pays for them."""
REFERENCE_SIZE = 64
REFERENCE_OPERATORS = 40


class StepClock:
    """Times whole epochs of steps, and after each stretch of them the reference.

    The lists have a value a stretch. Shared processors change their speed by half from one second to the next; the time of a
    step over that of the reference, taken stretch by stretch, stays within a few percent (benchmarks/compare.py).
    """

    def __init__(self) -> None:
        self.step_ms: list[float] = []
        self.step_cpu_ms: list[float] = []
        self.reference_ms: list[float] = []
        self._began_s = self._began_cpu_s = 0.0
        self._steps = 0
        self._wall_s = self._cpu_s = 0.0

    def start(self) -> None:
        """An epoch's steps begin."""
        self._began_s, self._began_cpu_s = time.perf_counter(), time.process_time()

    def stop(self, steps: int) -> None:
        """They are done, before any evaluation."""
        self._wall_s += time.perf_counter() - self._began_s
        self._cpu_s += time.process_time() - self._began_cpu_s
        self._steps += steps
        if self._steps and self._wall_s >= STRETCH_S * (1 + len(self.step_ms) // STRETCHES_TO_DOUBLE):
            self._note()

    def _note(self) -> None:
        self.step_ms.append(round(1e3 * self._wall_s / self._steps, 4))
        self.step_cpu_ms.append(round(1e3 * self._cpu_s / self._steps, 4))
        self.reference_ms.append(round(1e3 * reference_s(), 4))
        self._steps, self._wall_s, self._cpu_s = 0, 0.0, 0.0


def reference_s() -> float:
    """Processor time of forty small operators of each kind: the work that most steps of small nets are made of."""
    began_s = time.process_time()
    with torch.no_grad():
        factor = torch.ones(REFERENCE_SIZE, REFERENCE_SIZE, dtype=torch.float32, device="cpu")
        value = factor
        for _ in range(REFERENCE_OPERATORS):
            value = torch.relu(value @ factor) * 1e-2
    return time.process_time() - began_s
