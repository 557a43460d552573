"""What the targets of a spec have to be, by its first loss."""

from __future__ import annotations

from dataclasses import replace

from dltool.data.forms import Wanted
from dltool.specs.schema.base import Target
from dltool.specs.schema.losses import AnyLoss, CrossEntropy, Ctc, Loss, MultilabelMargin, Nll, Terms
from dltool.specs.schema.spec import Spec


def wanted(spec: Spec) -> Wanted:
    """The form that the loss compares with, and what the data section says of it."""
    loss = _first_loss(spec.loss)
    asked = Wanted(
        loss=None if loss is None else loss.kind, task=spec.data.task, one_hot=spec.data.one_hot, classes=spec.data.classes
    )
    match loss:
        case CrossEntropy(ignore_index=ignored) | Nll(ignore_index=ignored) | Ctc(blank=ignored):
            return replace(asked, ignored=ignored)
        case MultilabelMargin():
            return replace(asked, ignored=-1)
        case _:
            return asked


def _first_loss(loss: AnyLoss | None) -> Loss | None:
    """The loss that says what targets must look like: the only one, or the first term of several; None for user code."""
    if isinstance(loss, Terms):
        terms = (term.loss for term in loss.terms.values() if not isinstance(term.loss, Target))
        return next(terms, None)
    return None if isinstance(loss, Target) else loss
