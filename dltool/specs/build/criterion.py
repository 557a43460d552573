"""The criterion of an experiment: one loss of the spec, or several named terms added up."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from dltool.specs.build.loss_counts import count
from dltool.specs.build.loss_functions import MAKERS
from dltool.specs.misfit import MisfitError
from dltool.specs.schema.losses import Loss
from dltool.training.experiment import Nested


class SpecTerm:
    """One loss of the spec."""

    def __init__(self, loss: Loss, *, channels_last: bool = False) -> None:
        self.kind = loss.kind
        self.reduction = loss.reduction
        self.from_logits: bool = getattr(loss, "from_logits", True)
        self._args: Any = loss
        self._channels_last = channels_last
        self._function = MAKERS[loss.kind](loss, channels_last)

    def value(self, output: Nested, target: Nested) -> Tensor:
        """The reduced loss; a MisfitError where output and target do not go together."""
        return self._function(_tensor(output, "output"), _tensor(target, "target"), self.reduction)

    def per_sample(self, output: Nested, target: Nested) -> Tensor | None:
        """Shape (N,), with the loss under mean reduction as its mean: NaN where that is a mean over nothing."""
        target = _tensor(target, "target")
        values = self._function(_tensor(output, "output"), target, "none")
        samples, count = len(target), self._count(target)
        return values.reshape(samples, -1 if samples else 0).sum(1) * (samples / count if count else math.nan)

    def count(self, target: Nested) -> float | None:
        """What the mean divides by; None for a sum."""
        return None if self.reduction == "sum" else self._count(target)

    def _count(self, target: Tensor) -> float:
        return count(self.kind, self._args, target, channels_last=self._channels_last)


class UserTerm:
    """A callable of the user's: ``(output, target) -> scalar``, taken to be a mean over samples."""

    kind = "custom"

    def __init__(self, function: Callable[[Nested, Nested], Tensor]) -> None:
        self.function = function

    def value(self, output: Nested, target: Nested) -> Tensor:
        """What the callable returns; a MisfitError where that is no scalar."""
        value: Any = self.function(output, target)
        if not isinstance(value, Tensor) or value.numel() != 1 or value.is_complex():
            found = f"{value.dtype}, shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise MisfitError("the loss must be one number in a tensor", value=found, expected="a real scalar")
        return value.reshape(())

    def per_sample(self, _output: Nested, _target: Nested) -> Tensor | None:
        """None: what a callable does to a batch is its own affair."""
        return None

    def count(self, target: Nested) -> float | None:
        """The samples of the batch."""
        return float(batch_length(target))


class SumCriterion:
    """Named terms, each times its weight, added up (``training.experiment.Criterion`` and ``CountsTerms``)."""

    def __init__(self, name: str, terms: Mapping[str, tuple[SpecTerm | UserTerm, float]]) -> None:
        self.name = name
        self.parts = {term: part for term, (part, _) in terms.items()}
        self.terms: Mapping[str, float] = {term: weight for term, (_, weight) in terms.items()}

    def __call__(self, output: Nested, target: Nested) -> Tensor:
        """The scalar that is trained on."""
        weights = self.terms
        values = [v if weights[term] == 1.0 else v * weights[term] for term, v in self.term_values(output, target).items()]
        return values[0] if len(values) == 1 else torch.stack(values).sum()

    def term_values(self, output: Nested, target: Nested) -> Mapping[str, Tensor]:
        """Each term before its weight."""
        return {term: part.value(output, target) for term, part in self.parts.items()}

    def per_sample(self, output: Nested, target: Nested) -> Tensor | None:
        """Shape (N,), or None where a term is the user's own."""
        total: Tensor | None = None
        for term, part in self.parts.items():
            values = part.per_sample(output, target)
            if values is None:
                return None
            total = values * self.terms[term] if total is None else total + values * self.terms[term]
        return total

    def term_counts(self, target: Nested) -> Mapping[str, float | None]:
        """What each term's mean divides by; None for a sum."""
        return {term: part.count(target) for term, part in self.parts.items()}


def batch_length(nested: Nested) -> int:
    """Samples in a batch: the first dimension of the first tensor in it."""
    if isinstance(nested, Tensor):
        return nested.shape[0] if nested.dim() else 1
    inner = list(nested.values()) if isinstance(nested, Mapping) else list(nested)
    return batch_length(inner[0])


def _tensor(value: Nested, what: str) -> Tensor:
    if not isinstance(value, Tensor):
        raise MisfitError(f"this loss needs a tensor as {what}", value=type(value).__name__, expected="a loss of your own")
    return value
