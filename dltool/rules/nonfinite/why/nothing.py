"""Statistics of too little: a mean over nothing, a loss whose targets are all ignored, the variance of one value."""

from __future__ import annotations

import math

from dltool.core.measured.non_finite import TensorFacts
from dltool.rules.nonfinite.why.case import Case, bad_values, numel
from dltool.rules.nonfinite.why.explanation import Explanation
from dltool.rules.nonfinite.why.words import counted, number

SPREADS = frozenset({"var", "std", "var_mean", "std_mean"})
NORMS_OF_A_BATCH = frozenset({"batch_norm", "instance_norm"})
NOTHING = (
    "leave the step or the term out when nothing is selected: `if mask.any()` in code, or divide by "
    "mask.sum().clamp_min(1) instead of taking the mean"
)


def empty_reduction(case: Case) -> Explanation | None:
    """A mean (or median, or averaged loss) of a tensor without elements."""
    empty = next((given for given in case.event.inputs if numel(given) == 0), None)
    output = case.event.output
    if empty is None or output is None or not output.nan:
        return None
    cause = f"{case.function} over no elements is 0 / 0: its input has the shape {_shape(empty)}"
    return Explanation("empty-reduction", cause, (NOTHING, "look why the selection (mask, index, crop) came out empty here"))


def every_target_ignored(case: Case) -> Explanation | None:
    """A classification loss whose mean runs over no target."""
    ignored = case.argument("ignore_index")
    if case.kernel != "nll_loss" or ignored is None:
        return None
    if not case.from_finite:
        return _infinite_weight(case)
    targets = next((given for given in case.event.inputs if given.dtype in {"int64", "uint8"}), None)
    if targets is not None and targets.minimum == targets.maximum == ignored:
        cause = (
            f"every target is the ignored one ({number(ignored)}): the mean over the {numel(targets)} targets "
            "that are left, "
            "none, is 0 / 0"
        )
        keep = (
            "make sure that every batch keeps a target (truncation and padding may have eaten them), or skip the batch: "
            "`if (target != ignore_index).any()`"
        )
        total = "or sum and divide yourself: F.cross_entropy(..., reduction='sum') / kept.sum().clamp_min(1)"
        return Explanation("all-targets-ignored", cause, (keep, total))
    weights = case.inputs[1] if len(case.inputs) > 1 else None
    if weights is not None and weights.zeros:
        cause = "the class weights of all targets in the batch add up to 0: the weighted mean is 0 / 0"
        return Explanation(
            "class-weights-of-zero", cause, ("give every class that occurs a weight above 0 (`weight:` of the loss)",)
        )
    return None


def _infinite_weight(case: Case) -> Explanation | None:
    """Inf × 0 or Inf / Inf of class weights."""
    weights = case.inputs[1] if len(case.inputs) > 1 else None
    if weights is None or not weights.positive_inf or bad_values(case.inputs[0]):
        return None
    cause = (
        f"{weights.positive_inf} of {numel(weights)} class weights is Inf, as 1 / count gives for a class without samples"
    )
    return Explanation("class-weight-of-inf", cause, ("count at least 1 of each class: total / counts.clamp_min(1)",))


def infinite_positive_weight(case: Case) -> Explanation | None:
    """The pos_weight of a label that never occurs."""
    given = case.event.inputs[-1] if len(case.event.inputs) > 2 else None
    if case.kernel != "binary_cross_entropy_with_logits" or case.in_backward or given is None or not given.positive_inf:
        return None
    if any(bad_values(other) for other in case.event.inputs[:2]) or given.nan:
        return None
    cause = (
        f"{given.positive_inf} of {numel(given)} values of pos_weight (or weight) is Inf, as negatives / positives gives "
        "for a label without positives: Inf × 0 is NaN"
    )
    count = "count at least 1 positive of each label: negatives / positives.clamp_min(1)"
    return Explanation("class-weight-of-inf", cause, (count,))


def variance_of_one(case: Case) -> Explanation | None:
    """A variance over so few values that nothing is left to divide by."""
    if case.kernel in NORMS_OF_A_BATCH:
        return _batch_of_one(case)
    if case.kernel not in SPREADS or not case.inputs:
        return None
    correction = case.argument("correction")
    correction = 1.0 if correction is None else correction
    over = _reduced(case.inputs[0], case.event.arguments.get("dim"))
    if not over <= correction:
        return None
    cause = (
        f"the {case.function} of {counted(over, 'value')} divides by {over} - {number(correction)}: "
        "with Bessel's correction one value has no variance"
    )
    dims = case.event.arguments.get("dim")
    if isinstance(dims, list | tuple) and dims and not {0, -len(case.inputs[0].shape)} & set(dims):
        size = "the dimension has size 1, and there is nothing to normalise: leave it out there, or take another dimension"
        return Explanation("variance-of-one", cause, (size,))
    if case.event.phase == "optimizer" and numel(case.inputs[0]) == 1:
        alone = "a one-element parameter has no std: leave such gradients as they are, `if g.numel() > 1`"
        return Explanation("variance-of-one", cause, (alone, f"or divide by g.abs() there, not by its {case.function}"))
    biased = f"take the biased estimate, torch.{case.function}(..., correction=0)"
    return Explanation("variance-of-one", cause, (biased, f"{_more_samples()}, or skip a batch of one"))


def _batch_of_one(case: Case) -> Explanation | None:
    shape = case.inputs[0].shape if case.inputs else ()
    if len(shape) < 2 or numel(case.inputs[0]) != shape[1] or case.event.arguments.get("training") is False:
        return None
    cause = (
        f"{case.function} over one value per channel (shape {_shape(case.inputs[0])}): its running variance divides by 1 - 1"
    )
    return Explanation("variance-of-one", cause, (_more_samples(), "use layer_norm or group_norm, which need no batch"))


def _more_samples() -> str:
    return (
        "let no batch hold a single sample: another `data: {batch_size: ...}` in a spec, drop_last=True of the "
        "DataLoader in code"
    )


def _reduced(given: TensorFacts, dim: object) -> int:
    dims = [dim] if isinstance(dim, int) else list(dim) if isinstance(dim, list | tuple) else []
    return math.prod(given.shape[d] for d in dims) if dims else numel(given)


def _shape(given: TensorFacts) -> str:
    return f"({', '.join(map(str, given.shape))})"
