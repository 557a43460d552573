"""Faults of whole layers and solvers: a normalisation with an eps of 0, a negative running variance, a singular matrix."""

from __future__ import annotations

from dltool.rules.nonfinite.why.case import Case, magnitude, numel
from dltool.rules.nonfinite.why.dtypes import RANGES, rounds_to_zero
from dltool.rules.nonfinite.why.explanation import Explanation
from dltool.rules.nonfinite.why.words import number

NORMALISATIONS = frozenset({"layer_norm", "group_norm", "batch_norm", "instance_norm", "rms_norm"})
SOLVERS = frozenset(
    {"inv", "solve", "lu_solve", "cholesky", "cholesky_solve", "slogdet", "det", "pinv", "lstsq", "triangular_solve"}
)
DETERMINANTS = frozenset({"slogdet", "det"})


def normalised_without_eps(case: Case) -> Explanation | None:
    """Equal values have a variance of 0; without eps that is 0 / 0."""
    eps = case.argument("eps")
    if case.function == "rms_norm" and case.kernel == "rsqrt" and case.operands == (0.0,):
        eps = 0.0  # a function of several operators: its eps went into the sum before the root
    elif case.kernel not in NORMALISATIONS or eps is None or not case.from_finite or not case.inputs:
        return None
    if not (eps == 0 or rounds_to_zero(eps, "float32")):
        return None
    is_rms = "rms_norm" in {case.kernel, case.function}
    if magnitude(case.inputs[0]) ** 2 > RANGES["float32"].largest:
        return None
    what = "values that are all 0" if is_rms else "values that are all equal, with a variance of 0"
    cause = f"{case.function} of {what} is 0 / 0, because its eps is {number(eps)}"
    spec = "rms_norm" if is_rms else case.kernel
    return Explanation("eps-of-zero", cause, (f"give it an eps: `{spec}: {{eps: 1e-5}}` in a spec, eps=1e-5 in code",))


def negative_running_variance(case: Case) -> Explanation | None:
    """Batch norm in eval mode with a running variance that cannot be one."""
    eps = case.argument("eps") or 0.0
    if case.kernel != "batch_norm" or case.event.arguments.get("training") or len(case.inputs) < 3:
        return None
    lowest = case.inputs[-1].minimum
    if lowest is None or not lowest + eps < 0:
        return None
    cause = f"the running variance goes down to {number(lowest)}, and the square root of a negative number is NaN"
    reset = "reset it (reset_running_stats()) and train on, or load the right checkpoint"
    return Explanation("negative-running-variance", cause, (reset,))


def singular_matrix(case: Case) -> Explanation | None:
    """A factorisation or solution of a matrix that has no inverse."""
    if case.kernel not in SOLVERS or not case.from_finite:
        return None
    cause = f"{case.function} of finite numbers is not finite, as for a matrix that is singular or nearly so"
    ridge = "add a small multiple of the identity first: A + 1e-6 * torch.eye(n)"
    squares = "or solve the least-squares problem: torch.linalg.lstsq, torch.linalg.pinv"
    return Explanation("singular-matrix", cause, (ridge,) if case.kernel in DETERMINANTS else (ridge, squares))


def negative_determinant(case: Case) -> Explanation | None:
    """The logarithm of a determinant below 0, which torch answers with NaN."""
    if case.function != "logdet" or case.in_backward or case.event.output is None or not case.event.output.nan:
        return None
    cause = "the determinant is negative, and its logarithm NaN: the matrix mirrors"
    return Explanation("outside-domain", cause, ("take torch.linalg.slogdet, which gives the sign and log |det| apart",))


def unit_without_norm(case: Case) -> Explanation | None:
    """Weight normalisation of a unit whose weights are all 0."""
    if case.kernel != "weight_norm_interface" or len(case.inputs) < 2 or not case.from_finite:
        return None
    weight, length = case.inputs[:2]
    row = numel(weight) // max(numel(length), 1)
    if not weight.zeros >= row > 0:
        return None
    cause = f"weight_norm divides a unit's weights by their norm, and where all {row} of them are 0 that is 0 / 0"
    start = "start no unit of a weight-normalised layer at 0, and do not prune it to 0: set its weight_g to 0 instead"
    return Explanation("divisor-of-zero", cause, (start,))


def no_alignment(case: Case) -> Explanation | None:
    """CTC of a target that does not fit into its input."""
    if "ctc_loss" not in case.kernel or case.in_backward or not case.gave_inf or not case.from_finite:
        return None
    cause = (
        "ctc_loss is Inf because no alignment exists: the target, with a blank between equal labels, is longer than "
        "the input"
    )
    skip = (
        "`loss: {ctc: {zero_infinity: true}}` in a spec, nn.CTCLoss(zero_infinity=True) in code, or drop targets "
        "that are too long"
    )
    return Explanation("no-alignment", cause, (skip,))
