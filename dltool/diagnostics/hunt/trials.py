"""Repeats of the step that went bad, each with something changed, to see whether it still does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from dltool.diagnostics.hunt.blame import OutOfTriesError
from dltool.training.experiment import Batch
from dltool.training.patrol import Caught
from dltool.training.symptoms import Symptoms

GRADIENTS, UPDATE, BUFFERS, NONE = 1, 2, 3, 4


def level(symptoms: Symptoms) -> int:
    """How early in a step it went bad: 0 in the loss, then gradients, then the update, then buffers; 4 where it did not."""
    if symptoms.loss or symptoms.error:
        return 0
    if symptoms.gradients:
        return GRADIENTS
    if symptoms.parameters or symptoms.states:
        return UPDATE
    return BUFFERS if symptoms.buffers else NONE


class Trials:
    """At most ``most`` repeats of the step that was caught.

    A repeat is good when it gets past the point where the step went bad: a mended forward pass may well have gradients that
    are not finite.
    """

    def __init__(self, caught: Caught, most: int) -> None:
        self._caught = caught
        self._level = level(caught.symptoms)
        self.most = most
        self.done = 0

    def count(self) -> None:
        """One more repeat is about to be made.

        Raises:
            OutOfTriesError: there were enough.
        """
        if self.done == self.most:
            raise OutOfTriesError
        self.done += 1

    def is_bad(
        self,
        batches: Sequence[Batch] | None = None,
        *,
        edit: Callable[[], None] | None = None,
        context: AbstractContextManager[object] | None = None,
    ) -> bool:
        """Repeat the step after ``edit``, under ``context``, on its own batches where no others are given.

        Raises:
            OutOfTriesError: there were enough.
        """
        self.count()
        given = self._caught.batches if batches is None else batches
        taken = self._caught.walk.repeat(self._caught.moment, given, context=context, edit=edit)
        return level(taken.symptoms) <= self._level
