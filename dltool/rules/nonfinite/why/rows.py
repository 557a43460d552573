"""Softmax and its kin: they make probabilities of any finite row, and NaN of a row that has no finite maximum."""

from __future__ import annotations

from dltool.rules.nonfinite.why.case import Case
from dltool.rules.nonfinite.why.explanation import Explanation

SOFTMAXES = frozenset({"softmax", "log_softmax", "logsumexp", "logcumsumexp", "logaddexp", "scaled_dot_product_attention"})
MASKED_ROW = "a row is -Inf everywhere (fully masked), and"
KEEP_ONE = (
    "leave every row something to attend to: unmask one position of fully masked rows (padding), or multiply "
    "their result by 0 "
    "afterwards"
)
FINITE_MASK = (
    "mask with a large finite number, scores.masked_fill(mask, torch.finfo(scores.dtype).min), which gives such a "
    "row equal shares"
)
REPAIRED_LATE = "torch.nan_to_num after the softmax does not help: the gradient is NaN all the same"


def masked_row(case: Case) -> Explanation | None:
    """Attention that may look nowhere."""
    if case.kernel not in SOFTMAXES or not case.inputs or case.in_backward:
        return None
    given = case.inputs[0]
    if given.negative_inf and not given.positive_inf and not given.nan:
        cause = f"{MASKED_ROW} {case.function} of it is 0 / 0: no maximum is left to subtract"
        if given.shape[-2:] == (1, 1) and case.event.phase == "loss":
            alone = (
                "a batch of one has no negatives: drop_last=True of the DataLoader, another `data: {batch_size: ...}` in a "
                "spec, or leave such a batch out"
            )
            return Explanation("fully-masked-row", f"{cause}, for the one sample is compared with itself alone", (alone,))
        return Explanation("fully-masked-row", cause, (KEEP_ONE, FINITE_MASK, REPAIRED_LATE))
    return None


def infinite_score(case: Case) -> Explanation | None:
    """+Inf among the scores of a softmax."""
    if case.kernel not in SOFTMAXES or not case.inputs or not case.inputs[0].positive_inf or case.inputs[0].nan:
        return None
    cause = f"a score of +Inf reaches {case.function}: subtracting the maximum gives Inf - Inf"
    advice = "look for the overflow in the scores: scale them (1 / sqrt(d) in attention), or normalise queries and keys"
    return Explanation("infinite-score", cause, (advice,), too_large=True)


def masked_row_by_hand(case: Case) -> Explanation | None:
    """-Inf minus the -Inf that is its row's maximum or log-sum: a softmax written out, or the gradient of logsumexp."""
    if case.kernel != "sub" or case.pair != (-float("inf"), -float("inf")):
        return None
    if case.in_backward and case.function == "logaddexp":
        cause = "both arguments are -Inf, and the gradient of logaddexp takes -Inf - (-Inf)"
        start = "start from a large finite number instead of -inf: torch.full(shape, -1e30)"
        return Explanation("fully-masked-row", cause, (start,))
    if case.in_backward and case.function in SOFTMAXES:
        cause = f"{MASKED_ROW} the gradient of {case.function} takes -Inf - (-Inf)"
    elif len(case.inputs) == 2 and case.inputs[0].shape != case.inputs[1].shape:
        cause = f"{MASKED_ROW} subtracting its maximum, also -Inf, gives NaN"
    else:
        return None
    return Explanation("fully-masked-row", cause, (KEEP_ONE, FINITE_MASK))
