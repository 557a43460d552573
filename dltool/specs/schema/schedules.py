"""How the learning rate changes over a run; epochs unless said otherwise. ``warmup`` counts steps."""

from typing import Annotated, ClassVar, Literal

from dltool.specs.schema.base import Family, Named
from dltool.specs.schema.types import Count, Flag, NonNegative, Positive, Probability, Ratio, Whole


class Schedule(Named):
    """Base of every schedule. ``warmup``: over so many steps the rate rises in a straight line to what it would be."""

    warmup: Whole = 0


class Constant(Schedule):
    """The optimizer's rate, throughout."""

    kind: ClassVar[str] = "constant"


class Step(Schedule):
    """Times ``gamma`` every ``step_size`` epochs."""

    kind: ClassVar[str] = "step"
    first: ClassVar[str | None] = "step_size"
    step_size: Count
    gamma: Positive = 0.1


class Exponential(Schedule):
    """Times ``gamma`` every epoch."""

    kind: ClassVar[str] = "exponential"
    first: ClassVar[str | None] = "gamma"
    gamma: Positive


class Cosine(Schedule):
    """Down to ``eta_min`` along a half cosine in ``T_max`` epochs (the whole run when absent)."""

    kind: ClassVar[str] = "cosine"
    first: ClassVar[str | None] = "T_max"
    T_max: Count | None = None
    eta_min: NonNegative = 0.0


class Plateau(Schedule):
    """Times ``factor`` when the validation loss (training loss without one) has not fallen for ``patience`` epochs."""

    kind: ClassVar[str] = "plateau"
    first: ClassVar[str | None] = "factor"
    factor: Probability = 0.1
    patience: Whole = 10
    threshold: NonNegative = 1e-4
    threshold_mode: Literal["rel", "abs"] = "rel"
    cooldown: Whole = 0
    min_lr: NonNegative = 0.0
    eps: NonNegative = 1e-8


class OneCycle(Schedule):
    """Smith & Topin 2018: up to ``max_lr`` and far down again, by step; ``total_steps`` is the whole run when absent."""

    kind: ClassVar[str] = "one_cycle"
    first: ClassVar[str | None] = "max_lr"
    max_lr: Positive
    total_steps: Count | None = None
    pct_start: Ratio = 0.3
    anneal_strategy: Literal["cos", "linear"] = "cos"
    cycle_momentum: Flag = True
    base_momentum: Probability = 0.85
    max_momentum: Probability = 0.95
    div_factor: Positive = 25.0
    final_div_factor: Positive = 1e4
    three_phase: Flag = False


SCHEDULES: tuple[type[Schedule], ...] = (Constant, Step, Exponential, Cosine, Plateau, OneCycle)

SCHEDULE = Family("a schedule", lambda: SCHEDULES)
AnySchedule = Annotated[Schedule, SCHEDULE]
