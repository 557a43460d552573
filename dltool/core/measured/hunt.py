"""What a hunt for the first NaN or Inf measured: how far it went, what led up to the bad step, and what proved the cause."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from dltool.core.measurements import Section

STEADY_STEPS = 3
STEADY_GROWTH = 10.0
LEAP = 1e4
"""Growth that no healthy step is followed by: gradient norms of one run differ by two to three orders of magnitude."""


@dataclass(frozen=True, kw_only=True)
class StepsRun(Section):
    """Optimizer steps that the hunt took, the bad one included (batches, with ``--inputs-only``)."""

    key: ClassVar[str] = "steps_run"

    steps: int


@dataclass(frozen=True, kw_only=True)
class StepsPlanned(Section):
    """Optimizer steps (batches, with ``--inputs-only``) that the hunt was to take; fewer were run where it was cut short."""

    key: ClassVar[str] = "steps_planned"

    steps: int


@dataclass(frozen=True, kw_only=True)
class FirstBadStep(Section):
    """The step, counted from 0, at which a value first went bad that mattered; None where none did."""

    key: ClassVar[str] = "first_bad_step"

    step: int | None


@dataclass(frozen=True, kw_only=True)
class Guarding(Section):
    """How the steps were watched.

    ``snapshot_every`` steps the whole state was copied and looked through (``snapshot_bytes`` each); ``kept_bytes`` is the
    most that snapshots and the batches since the last one may take. ``skipped_steps`` were left out by a gradient scaler.
    """

    key: ClassVar[str] = "guarding"

    snapshot_every: int
    snapshot_bytes: int
    kept_bytes: int
    skipped_steps: int = 0
    compiled: bool = False
    """The model is a compiled one, and the replay ran it eagerly."""


@dataclass(frozen=True, kw_only=True)
class LayerGrowth:
    """Gradient norm of one parameter over the last steps before the bad one, oldest first."""

    parameter: str
    norms: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class LeadUp(Section):
    """Loss and gradient norms of the last good steps, oldest first, ending with the step before the bad one.

    ``growing_steps`` is for how many of them, up to the last that did not overflow, what ``growing`` names (the total
    gradient norm; the loss where that one alone tells of divergence) grew by ``growth_ratio`` a step (geometric mean):
    without a break, or since it was smallest where it has leapt far above that; 0 where it did not. ``layers`` are those
    whose gradients grew fastest meanwhile, fastest first.
    """

    key: ClassVar[str] = "lead_up"

    first_step: int
    losses: tuple[float, ...]
    gradient_norms: tuple[float, ...]
    growing_steps: int
    growth_ratio: float
    layers: tuple[LayerGrowth, ...] = ()
    growing: Literal["gradients", "loss"] = "gradients"

    @property
    def diverging(self) -> bool:
        """Whether the run was on its way out of range: steady growth to the tenfold, or a leap.

        By chance a norm grows three times running in one run of six; tenfold in all is well above the spread of a healthy
        run's gradient norms.
        """
        total = self.growing_steps * math.log(max(self.growth_ratio, 1.0))
        steadily = self.growing_steps >= STEADY_STEPS and not total < math.log(STEADY_GROWTH)
        return self.growing_steps > 0 and (steadily or not total < math.log(LEAP))


@dataclass(frozen=True, kw_only=True)
class FixTrial:
    """A cure that was tried: ``steps`` taken from the snapshot on with it, ``healed`` when all of them stayed finite."""

    fix: str
    healed: bool
    steps: int
    note: str | None = None
    rate_ratio: float | None = None
    """Of a lower learning rate: by what it was multiplied."""


@dataclass(frozen=True, kw_only=True)
class FixTrials(Section):
    """The cures tried by ``--fix-check``, likeliest first."""

    key: ClassVar[str] = "fix_trials"

    trials: tuple[FixTrial, ...]


@dataclass(frozen=True, kw_only=True)
class Evidence(Section):
    """Where the bad batch, the state before the step and ``replay.py`` were written."""

    key: ClassVar[str] = "evidence"

    folder: str


@dataclass(frozen=True, kw_only=True)
class BadInput:
    """One batch of ``--inputs-only`` whose samples give a non-finite output or loss."""

    batch: int
    samples: tuple[int, ...]
    phase: str
    op: str | None
    module: str | None


@dataclass(frozen=True, kw_only=True)
class BadInputs(Section):
    """What ``--inputs-only`` found: bad batches in order; ``samples``, in ``batches_passed`` batches, were passed in all."""

    key: ClassVar[str] = "bad_inputs"

    samples: int
    batches: tuple[BadInput, ...]
    batches_passed: int = 0
