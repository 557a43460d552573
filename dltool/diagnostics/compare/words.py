"""Facts in words that differ between two reports of one command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dltool.core.measured.compare import ComparedWord
from dltool.core.measured.training import Optimisation
from dltool.diagnostics.compare.data import data_words
from dltool.diagnostics.compare.read import Opened

SETTINGS = ("optimizer", "lr", "momentum", "weight_decay", "schedule", "precision", "clip_norm", "epochs_planned", "stopped")
ANSWERS = {"fit_status": "fit status", "first_bad_step": "first bad step", "steps_run": "steps run"}


def words_of(before: Opened, after: Opened) -> Iterator[ComparedWord]:
    """The answer of the command first, then settings, then names."""
    for key, name in ANSWERS.items():
        one, two = (_measured(side).get(key, ...) for side in (before, after))
        if one is not ... and two is not ... and one != two:
            yield ComparedWord(name=name, before=_said(one), after=_said(two))
    first, second = before.measured.get(Optimisation), after.measured.get(Optimisation)
    if first is not None and second is not None:
        for setting in SETTINGS:
            one, two = getattr(first, setting), getattr(second, setting)
            if one != two:
                yield ComparedWord(name=setting, before=_said(one), after=_said(two))
    yield from data_words(before.measured, after.measured)


def _measured(side: Opened) -> Mapping[str, Any]:
    return {} if side.report is None else side.report.measurements


def _said(value: object) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
