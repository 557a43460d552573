"""The criterion that a spec names, or the one that its data ask for, and the kind of task that it makes."""

from __future__ import annotations

from collections.abc import Callable, Collection

import torch
from torch import Tensor

from dltool.core.measured.task import TaskKind
from dltool.specs.build.criterion import SpecTerm, SumCriterion, UserTerm
from dltool.specs.build.imports import construct
from dltool.specs.misfit import MisfitError
from dltool.specs.schema.base import Target
from dltool.specs.schema.losses import BceWithLogits, CrossEntropy, Loss, Mse, Terms
from dltool.training.experiment import Nested

KINDS: dict[str, TaskKind] = {
    **dict.fromkeys(("cross_entropy", "nll", "hinge", "multi_margin"), "classification"),
    **dict.fromkeys(("bce", "bce_with_logits", "soft_margin"), "binary"),
    **dict.fromkeys(
        ("mse", "l1", "smooth_l1", "huber", "log_cosh", "poisson_nll", "gaussian_nll"),
        "regression",
    ),
}
BOUNDARIES = {"bce": 0.5}
"""Where an output of its own kind parts the two classes; 0 for all that score in logits."""


def build_criterion(spec: Loss | Terms | Target, allowed: Collection[str], *, channels_last: bool = False) -> SumCriterion:
    """The criterion; ``channels_last`` where the model returns a sequence of scores (N, T, C).

    Raises:
        MisfitError: code that may not run, or that is no loss.
    """
    if not isinstance(spec, Terms):
        term = _term(spec, allowed, channels_last=channels_last)
        return SumCriterion(term.kind, {term.kind: (term, 1.0)})
    terms = {
        name: (_term(entry.loss, allowed, channels_last=channels_last), entry.weight) for name, entry in spec.terms.items()
    }
    return SumCriterion(" + ".join(part.kind for part, _ in terms.values()), terms)


def _term(spec: Loss | Target, allowed: Collection[str], *, channels_last: bool) -> SpecTerm | UserTerm:
    if isinstance(spec, Loss):
        return SpecTerm(spec, channels_last=channels_last)
    made = construct(spec, allowed)
    if not callable(made):
        raise MisfitError(
            "a loss must be callable: (output, target) -> scalar", value=type(made).__name__, below=("_target_",)
        )
    return UserTerm(made)


def default_loss(target: Nested, output: Nested, classes: int | None = None) -> Loss:
    """Cross-entropy for integer targets (binary for a single output and no more than two ``classes``), MSE for floats."""
    if not isinstance(target, Tensor) or not isinstance(output, Tensor):
        found = f"output {type(output).__name__}, target {type(target).__name__}"
        raise MisfitError("without a loss of your own, output and target must be tensors", value=found)
    if target.is_floating_point():
        return Mse()
    single = output.dim() <= 1 or (output.shape[1] == 1 and output.numel() == target.numel())
    return BceWithLogits() if single and (classes or 2) <= 2 else CrossEntropy()


def task_kind(criterion: SumCriterion, output: Nested, target: Nested) -> TaskKind:
    """What the first term is for; several yes-or-no outputs a sample, and whatever else, are "other"."""
    first = next(iter(criterion.parts.values()))
    kind = KINDS.get(first.kind)
    if kind == "binary" and isinstance(target, Tensor) and target.numel() != target.shape[0]:
        return "other"
    if kind is not None:
        return kind
    if first.kind != UserTerm.kind or not isinstance(target, Tensor) or not isinstance(output, Tensor):
        return "other"
    if not target.is_floating_point() and target.dtype != torch.bool and output.dim() == target.dim() + 1:
        return "classification"
    return "regression" if target.is_floating_point() and output.shape == target.shape else "other"


def boundary(criterion: SumCriterion) -> float:
    """The output above which a single unit says yes."""
    first = next(iter(criterion.parts.values()))
    logits = not isinstance(first, SpecTerm) or first.from_logits
    return 0.0 if logits else BOUNDARIES.get(first.kind, 0.0)


def checked(run: Callable[[], Tensor]) -> None:
    """Let a loss try one batch; labels out of range are for the data's rules to tell.

    Raises:
        MisfitError: output and target do not go together.
    """
    try:
        value = run()
    except MisfitError:
        raise
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        if any(part in str(error) for part in ("out of bounds", "out of range", "out-of-range")):
            return
        raise MisfitError(f"the loss cannot take output and target: {str(error).splitlines()[0]}") from error
    if value.numel() != 1:
        raise MisfitError("the loss must be one number", value=tuple(value.shape))
