"""The rates of an optimizer: as the target set them, and setting others in the same proportion."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from dltool.core.errors import Problem, TargetError
from dltool.training.experiment import Experiment, Schedule

ONE_CYCLE = "one_cycle"


class Rates:
    """Sets the rate of the first parameter group that has one above 0; the others keep their ratio to it."""

    def __init__(self, experiment: Experiment) -> None:
        assert experiment.optimizer is not None
        self._groups: list[dict[str, Any]] = experiment.optimizer.param_groups
        if not all("lr" in group for group in self._groups):
            raise TargetError(
                Problem(
                    message="the optimizer has no learning rate to look for",
                    value=type(experiment.optimizer).__name__,
                    expected="an optimizer whose parameter groups hold `lr`",
                )
            )
        own = _as_set(self._groups, experiment.schedule)
        leading = next((index for index, rate in enumerate(own) if rate), 0)
        self._ratios = [rate / own[leading] if own[leading] else 1.0 for rate in own]
        self.own = _peak(experiment, self._groups[leading]) or own[leading]

    def set(self, lr: float) -> None:
        """Train with this rate from now on; a rate that is a tensor stays one."""
        for group, ratio in zip(self._groups, self._ratios, strict=True):
            before = group["lr"]
            group["lr"] = before.new_full((), lr * ratio) if isinstance(before, Tensor) else lr * ratio


def _as_set(groups: list[dict[str, Any]], schedule: Schedule | None) -> list[float]:
    """A schedule overwrites the groups' rates, warmup from the first step on, and keeps what they were."""
    now = [float(group["lr"]) for group in groups]
    if schedule is None:
        return now
    base = getattr(schedule.scheduler, "base_lrs", None)
    if base is not None and len(base) == len(groups):
        return [float(rate) for rate in base]
    return [float(group.get("initial_lr", rate)) for group, rate in zip(groups, now, strict=True)]


def _peak(experiment: Experiment, group: dict[str, Any]) -> float | None:
    """The rate that a one-cycle schedule is set by: it takes no notice of the optimizer's."""
    if "max_lr" in group:  # torch's own
        return float(group["max_lr"])
    given = ((experiment.spec or {}).get("schedule") or {}) if experiment.schedule is not None else {}
    peak = given.get(ONE_CYCLE) if isinstance(given, dict) else None
    peak = peak.get("max_lr") if isinstance(peak, dict) else peak
    return None if peak is None else float(peak)
