"""Is this the run that the checkpoint is of? What must not change between a run and its continuation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dltool.core.codec import encode
from dltool.core.errors import Problem, SpecError
from dltool.training.experiment import Experiment

MAY_GROW = ("train.epochs", "train.max_steps")
LAID_OUT_OVER_THE_RUN = ("cosine", "one_cycle")
"""Schedules whose every rate depends on how long the run is: a longer run would have been another from its first step."""
ABSENT = object()


def identity(experiment: Experiment) -> dict[str, Any]:
    """Plain data by which two runs are told apart; a factory is known by its name, its settings and its parameters."""
    own: dict[str, Any] = {"seed": experiment.seed, "device": experiment.device.type}
    length = {"epochs": experiment.settings.epochs, "max_steps": experiment.settings.max_steps}
    if experiment.spec is not None:
        spec: dict[str, Any] = encode(experiment.spec)
        return spec | own | {"train": spec.get("train", {}) | length}
    return own | {
        "target": experiment.target,
        "train": encode(experiment.settings),
        "optimizer": None if experiment.optimizer is None else type(experiment.optimizer).__name__,
        "parameters": {name: list(parameter.shape) for name, parameter in experiment.model.named_parameters()},
    }


def check_same(saved: Mapping[str, Any], experiment: Experiment) -> bool:
    """Raise if ``experiment`` is not the run that was saved; whether it is the same one made longer.

    Raises:
        SpecError: one problem for every key that differs.
    """
    problems: list[Problem] = []
    grown = False
    for key, before, now in _differences(saved, identity(experiment), ""):
        if key in MAY_GROW and _is_longer(before, now):
            grown = True
        else:
            problems.append(
                Problem(
                    message="this is not the run that was begun: a resumed run goes on with the same spec",
                    key=key,
                    value="nothing" if now is ABSENT else repr(now),
                    expected="nothing" if before is ABSENT else repr(before),
                )
            )
    if grown and experiment.schedule is not None and _laid_out_over_the_run(experiment, experiment.schedule.name):
        problems.append(
            Problem(
                message=f"the {experiment.schedule.name} schedule was laid out over the length that the run began with; "
                "start a new run to train longer",
                key="train.epochs",
            )
        )
    if problems:
        raise SpecError(*problems)
    return grown


def _laid_out_over_the_run(experiment: Experiment, schedule: str) -> bool:
    """Cosine is not where the spec says its length itself."""
    arguments = ((experiment.spec or {}).get("schedule") or {}).get(schedule)
    fixed = isinstance(arguments, int) or (isinstance(arguments, Mapping) and "T_max" in arguments)
    return schedule in LAID_OUT_OVER_THE_RUN and not fixed


def _is_longer(before: object, now: object) -> bool:
    if now is None or now is ABSENT:  # no limit on the steps any more
        return True
    return isinstance(before, int) and isinstance(now, int) and now > before


def _differences(before: Any, now: Any, key: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for name in dict.fromkeys([*before, *now]):
            below = f"{key}.{name}" if key else str(name)
            yield from _differences(before.get(name, ABSENT), now.get(name, ABSENT), below)
    elif before != now:
        yield key, before, now
