"""How fast a run trained, and on what: the one measurement that the clock decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dltool.core.measurements import Section


@dataclass(frozen=True, kw_only=True)
class Speed(Section):
    """Time of training steps, data loading and watching included, evaluation and start-up not.

    Each value is a mean over a stretch of whole epochs (since the run was resumed, where it was). ``step_ms`` is wall-clock
    time of an optimizer step, ``step_cpu_ms`` the processor time of all threads, and ``reference_ms`` that of a fixed piece
    of work on the processor right after: by it a busy or throttled processor is told from slower steps. ``batch_samples``
    are the samples of a step. ``machine`` names processor, number of processors, threads and accelerator: times from
    different machines do not compare.
    """

    key: ClassVar[str] = "speed"

    step_ms: tuple[float, ...]
    step_cpu_ms: tuple[float, ...]
    reference_ms: tuple[float, ...]
    batch_samples: int | None
    machine: str
