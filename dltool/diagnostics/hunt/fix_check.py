"""``--fix-check``: the run again with one cure applied at a time, to see whether it then stays finite."""

from __future__ import annotations

from contextlib import ExitStack

from dltool.core.measured.hunt import FixTrial, FixTrials
from dltool.core.measured.non_finite import NonFiniteEvent
from dltool.diagnostics.hunt.cures import Cure, cures
from dltool.training.moment import Moment
from dltool.training.patrol import BATCHES_KEPT_BYTES, Caught
from dltool.training.stop import StopFlag
from dltool.training.walk import Taken, Walk

STEPS_BEYOND = 50
"""Steps after the one that went bad for which a cured run must stay finite, if as many were planned."""
SHORT_RUN = 500
"""Steps up to which a run is taken again from its start: a rate or a clipped gradient has to act before the damage."""


def try_fixes(caught: Caught, event: NonFiniteEvent, *, stop: StopFlag | None = None) -> FixTrials:
    """Every cure that applies, likeliest first, each from the same moment; the walk is back at ``caught.moment`` afterwards.

    Cures that act before the bad step are tried from the start of a run of at most 500 steps, else from the bad step on, and
    there only where that one's loss was still finite. A trial ends at the first symptom, or 50 steps (as far as they were
    planned) beyond the bad step.
    """
    trials: list[FixTrial] = []
    short, lost = caught.step <= SHORT_RUN, caught.symptoms.loss or caught.symptoms.error
    try:
        for cure in cures(caught, event):
            if stop is not None and stop.reason is not None:
                break
            if cure.rate_ratio is not None and any(trial.healed and trial.rate_ratio for trial in trials):
                continue
            if cure.late or short or not lost:
                trials.append(_try(caught, cure, caught.start if short and not cure.late else caught.moment))
    finally:
        caught.walk.go_back(caught.moment)
    return FixTrials(trials=tuple(trials))


def _try(caught: Caught, cure: Cure, begin: Moment) -> FixTrial:
    walk = caught.walk
    last = caught.step + STEPS_BEYOND
    note = "from the start of the run" if begin is caught.start and caught.step else None
    steps = 0
    with ExitStack() as scope:
        walk.go_back(begin)
        scope.enter_context(cure.context())
        while walk.step <= last and (taken := _step(walk, cure)) is not None:
            if taken.symptoms:
                if taken.error is not None and caught.taken.error is None:
                    note = str(taken.error).partition("\n")[0]
                return FixTrial(fix=cure.fix, healed=False, steps=steps, note=note, rate_ratio=cure.rate_ratio)
            steps += 1
            walk.feed.forget(min(walk.step, caught.step) - 1, down_to_bytes=BATCHES_KEPT_BYTES)
    return FixTrial(fix=cure.fix, healed=True, steps=steps, note=note, rate_ratio=cure.rate_ratio)


def _step(walk: Walk, cure: Cure) -> Taken | None:
    if cure.culprits is None or not walk.ready():
        return walk.take()
    position = walk.position
    group = walk.feed.group(position.step, position.epoch, position.batch)
    others = None if group is None else cure.culprits.without(group.kept)
    return walk.take() if others is None else walk.repeat(walk.moment(), others)
