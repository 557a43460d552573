"""Learning-rate schedules in closed form: the rate follows from how many steps or epochs are done, and nothing else.

Warmup of w steps: step t < w runs at (t + 1) / w of the base rate, then the schedule begins, its epochs counted from there.
``decay`` d multiplies the rate of step t by 1 / (1 + d·t). Schedules without either move once an epoch.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from dltool.specs.misfit import MisfitError
from dltool.specs.schema import schedules as schema
from dltool.training.experiment import Schedule

Rate = Callable[[int, float], float]
"""From units done and the optimizer's own rate to the rate."""


@dataclass(frozen=True, slots=True)
class RunLength:
    """How long the run is planned to be."""

    total_steps: int
    steps_per_epoch: int


class RateScheduler:
    """Sets every group's rate (and momentum) from the number of ``step`` calls; that number is all its state."""

    def __init__(self, optimizer: Optimizer, rate: Rate, momentum: Callable[[int], float] | None = None) -> None:
        self._optimizer = optimizer
        self._rate = rate
        self._momentum = momentum
        self.base_lrs = [float(group["lr"]) for group in optimizer.param_groups]
        self.count = 0
        self._apply()

    def step(self) -> None:
        """Go on to the next unit."""
        self.count += 1
        self._apply()

    def get_last_lr(self) -> list[float]:
        """The rate of every group now."""
        return [float(group["lr"]) for group in self._optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Units done and base rates."""
        return {"count": self.count, "base_lrs": list(self.base_lrs)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what ``state_dict`` gave; the rates themselves are set anew."""
        self.count, self.base_lrs = int(state["count"]), [float(lr) for lr in state["base_lrs"]]
        self._apply()

    def _apply(self) -> None:
        for group, base in zip(self._optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = self._rate(self.count, base)
            if self._momentum is not None and "betas" in group:
                group["betas"] = (self._momentum(self.count), *group["betas"][1:])
            elif self._momentum is not None:
                group["momentum"] = self._momentum(self.count)


class WarmPlateau:
    """torch's ReduceLROnPlateau, stepped per epoch, behind a linear warmup that moves after every optimizer step.

    torch itself calls the warmup: it is a post hook of ``optimizer.step``. While it lasts, epochs do not count as a plateau.
    """

    def __init__(self, optimizer: Optimizer, warmup: int, plateau: dict[str, Any]) -> None:
        self._optimizer = optimizer
        self._warmup = warmup
        self._done = 0
        self._base_lrs = [float(group["lr"]) for group in optimizer.param_groups]
        self._plateau = ReduceLROnPlateau(optimizer, **plateau)
        self._apply()
        optimizer.register_step_post_hook(self._after_step)

    def step(self, metric: float) -> None:
        """One epoch is over."""
        if self._done >= self._warmup:
            self._plateau.step(metric)

    def get_last_lr(self) -> list[float]:
        """The rate of every group now."""
        return [float(group["lr"]) for group in self._optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Warmup steps done, base rates, and the plateau's own state."""
        return {"done": self._done, "base_lrs": list(self._base_lrs), "plateau": self._plateau.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what ``state_dict`` gave."""
        self._done, self._base_lrs = int(state["done"]), list(state["base_lrs"])
        self._plateau.load_state_dict(state["plateau"])

    def _after_step(self, *_: Any) -> None:
        if self._done < self._warmup:
            self._done += 1
            self._apply()

    def _apply(self) -> None:
        for group, base in zip(self._optimizer.param_groups, self._base_lrs, strict=True):
            group["lr"] = base * min(1.0, (self._done + 1) / self._warmup)


def build_schedule(spec: schema.Schedule | None, decay: float, optimizer: Optimizer, run: RunLength) -> Schedule | None:
    """The schedule for ``optimizer``, whose rates it sets at once; None where the rate stays as it is."""
    if isinstance(spec, schema.Plateau):
        return _plateau(spec, decay, optimizer)
    if isinstance(spec, schema.OneCycle):
        return _one_cycle(spec, decay, optimizer, run)
    warmup = 0 if spec is None else spec.warmup
    if (spec is None or spec.kind == "constant") and not warmup and not decay:
        return None
    rate = _by_epoch(spec, max(run.total_steps - warmup, 1) / run.steps_per_epoch)
    name = "constant" if spec is None else spec.kind
    if not warmup and not decay:
        return Schedule(name=name, scheduler=RateScheduler(optimizer, rate), unit="epoch")

    def by_step(step: int, base: float) -> float:
        if step < warmup:
            return rate(0, base) * (step + 1) / warmup / (1.0 + decay * step)
        return rate((step - warmup) // run.steps_per_epoch, base) / (1.0 + decay * step)

    return Schedule(name=name, scheduler=RateScheduler(optimizer, by_step), unit="step")


def _by_epoch(spec: schema.Schedule | None, epochs: float) -> Rate:
    if isinstance(spec, schema.Step):
        step_size, gamma = spec.step_size, spec.gamma
        return lambda epoch, base: base * gamma ** (epoch // step_size)
    if isinstance(spec, schema.Exponential):
        gamma = spec.gamma
        return lambda epoch, base: base * gamma**epoch
    if isinstance(spec, schema.Cosine):
        half, least = float(spec.T_max or epochs), spec.eta_min
        return lambda epoch, base: least + (base - least) * (1.0 + math.cos(math.pi * min(epoch / half, 1.0))) / 2.0
    return lambda _, base: base


def _plateau(spec: schema.Plateau, decay: float, optimizer: Optimizer) -> Schedule:
    if decay:
        raise MisfitError(
            "plateau sets the rate by itself, so that the optimizer's decay would be lost", value=f"decay {decay}"
        )
    given = {name: getattr(spec, name) for name in type(spec).model_fields if name != "warmup"}
    scheduler = WarmPlateau(optimizer, spec.warmup, given) if spec.warmup else ReduceLROnPlateau(optimizer, **given)
    return Schedule(name=spec.kind, scheduler=scheduler, unit="epoch", needs_metric=True)


def _one_cycle(spec: schema.OneCycle, decay: float, optimizer: Optimizer, run: RunLength) -> Schedule:
    """The cycle of torch's OneCycleLR, which past its end keeps the last rate instead of raising."""
    if spec.warmup or decay:
        raise MisfitError("one_cycle warms up and decays by itself", expected="neither warmup nor the optimizer's decay")
    if spec.cycle_momentum and not any(key in optimizer.defaults for key in ("momentum", "betas")):
        raise MisfitError("one_cycle moves a momentum that this optimizer has not", expected="cycle_momentum: false")
    total = spec.total_steps or run.total_steps
    start = spec.max_lr / spec.div_factor
    end = start / spec.final_div_factor
    low, high = spec.base_momentum, spec.max_momentum
    turns = [(0.0, start, high), (spec.pct_start * total - 1, spec.max_lr, low)]
    if spec.three_phase:
        turns += [(2 * spec.pct_start * total - 2, start, high)]
    turns += [(total - 1, end, high)]

    def at(step: int, which: int) -> float:
        for (begin, *before), (finish, *after) in itertools.pairwise(turns):
            if step <= finish:
                share = (step - begin) / (finish - begin) if finish > begin else 1.0
                return _between(before[which], after[which], share, spec.anneal_strategy)
        return turns[-1][1 + which]

    momentum = (lambda step: at(step, 1)) if spec.cycle_momentum else None
    return Schedule(name=spec.kind, scheduler=RateScheduler(optimizer, lambda step, _: at(step, 0), momentum), unit="step")


def _between(start: float, end: float, share: float, strategy: str) -> float:
    if strategy == "linear":
        return start + (end - start) * share
    return end + (start - end) * (1.0 + math.cos(math.pi * share)) / 2.0
