"""Whether validation is worse than training, beyond noise and by enough to matter."""

from __future__ import annotations

from dltool.core.measured.task import Task
from dltool.core.measured.training import Optimisation
from dltool.rules.fit_status.case import Answer, Case
from dltool.rules.fit_status.curve_tests import gap, rise_since_best


def validation_rose(case: Case) -> Answer | None:
    """Validation has climbed from its own lowest stretch, beyond noise and by a material share of the trivial loss.

    What the training loss itself climbed since then is taken off: a last epoch that spoils both is no overfitting. Not
    asked where early stopping ended the run: it has to climb a little before it is stopped.
    """
    curves = case.curves
    if curves.val is None or len(curves.val) < 4 or _stopped_early(case):
        return None
    rise, best = rise_since_best(curves.val, case.confidence)
    if not rise.lower > 0.0 or not rise.estimate >= case.limits["overfitting.rise"] * curves.scale:
        return None
    if not curves.train_loss < min(curves.val.last(3).values):
        return None
    at_best = min(zip(curves.train.at, curves.train.values, strict=True), key=lambda point: abs(point[0] - best))[1]
    if not rise.estimate - max(0.0, curves.train_loss - at_best) >= case.limits["overfitting.rise"] * curves.scale:
        return None
    return Answer(
        status="overfitting",
        reason=f"the validation loss has risen by {rise.estimate:.3g} since epoch {best}, while training went on falling",
        evidence={
            "best_epoch": best,
            "rise": rise.estimate,
            "rise_interval": (rise.lower, rise.upper),
            "recent_train_loss": curves.train_loss,
            "val_loss": curves.val.values[-1],
            "baseline_loss": curves.val_baseline,
        },
        advice=(f"stop at epoch {best}, where validation was best (train.early_stopping)", *regularising_advice(case)),
    )


def gap_is_wide(case: Case) -> Answer | None:
    """Validation lies above training beyond noise and by a material share of the trivial loss.

    What the trivial baseline itself loses from one split to the other is the luck of the split, and is taken off.
    """
    curves = case.curves
    if curves.val is None:
        return None
    between = gap(curves.train, curves.val, case.confidence)
    luck = max(0.0, (curves.val_baseline or 0.0) - (curves.baseline or 0.0))
    if not between.lower - luck > 0.0 or not between.estimate - luck >= case.limits["overfitting.gap"] * curves.scale:
        return None
    return Answer(
        status="overfitting",
        reason=f"the validation loss lies {between.estimate:.3g} above the training loss, beyond the noise of either",
        evidence={
            "gap": between.estimate,
            "gap_interval": (between.lower, between.upper),
            "gap_between_baselines": luck,
            "recent_train_loss": curves.train_loss,
            "val_loss": curves.val.values[-1],
            "baseline_loss": curves.val_baseline,
        },
        advice=regularising_advice(case),
    )


def _stopped_early(case: Case) -> bool:
    return Optimisation in case.measured and case.measured[Optimisation].stopped == "early-stopping"


def regularising_advice(case: Case) -> tuple[str, ...]:
    """What the field does against overfitting."""
    task, optimisation = case.measured.get(Task), case.measured.get(Optimisation)
    advice = ["gather more data"]
    advice.append("augment more strongly" if task is not None and task.augmented else "augment the training data")
    advice.append("raise the dropout rate" if task is not None and task.dropout else "add dropout before the last layers")
    decayed = optimisation is not None and (optimisation.l2 > 0.0 or optimisation.weight_decay > 0.0)
    advice.append("raise the L2 penalty" if decayed else "add an L2 penalty (regularize.l2: 1e-4)")
    return tuple(advice)
