"""Whether the net learnt anything from its inputs, compared with the best constant output."""

from __future__ import annotations

import math

from dltool.core.measured.task import Output
from dltool.core.measured.training import InputUse, Parameters
from dltool.core.statistics import NORMAL, Interval, mann_kendall_z
from dltool.rules.fit_status.case import Answer, Case
from dltool.rules.fit_status.curve_tests import fall, level
from dltool.rules.fit_status.curves import Curve


def ignores_input(case: Case) -> Answer | None:
    """The loss is the same with the inputs exchanged among samples and with all of them set to their mean.

    A net that has learnt nothing yet comes close to that, as its outputs are small; but they differ from sample to sample.
    """
    spread = case.measured[Output].spread_ratio if Output in case.measured else None
    if InputUse not in case.measured or (spread is not None and spread > case.limits["ignores-input.spread"]):
        return None
    use = case.measured[InputUse]
    tolerance = case.limits["ignores-input.tolerance"] * case.curves.scale
    changes = (use.difference_lower, use.difference_upper, use.zeroed_loss - use.loss)
    if not all(abs(change) <= tolerance for change in changes):
        return None
    return Answer(
        status="ignores-input",
        reason="the loss is the same when the inputs are exchanged among samples or replaced by their mean",
        evidence={
            "loss": use.loss,
            "shuffled_loss": use.shuffled_loss,
            "zeroed_loss": use.zeroed_loss,
            "difference_interval": (use.difference_lower, use.difference_upper),
            "spread_ratio": spread,
            "tolerance": tolerance,
        },
        advice=(
            "look for units that died or saturated between the input and the output: the signal stops there",
            "lower the learning rate and start from a fresh initialisation",
            "check that the forward pass really uses its argument",
        ),
    )


def no_better_than_trivial(case: Case) -> Answer | None:
    """The training loss is no lower than the best constant output's, and will not be soon."""
    curves = case.curves
    if curves.baseline is None or _beats(case, curves.train, curves.baseline, curves.baseline_blocks):
        return None
    now = level(curves.train, case.confidence, curves.baseline_blocks)
    coming = fall(curves.trend, curves.scale)
    points = len(curves.trend)
    falling = coming.significant and mann_kendall_z(curves.trend.tail(0.5, 6).values) < -NORMAL.inv_cdf(0.99)
    goal = curves.baseline - max(now.upper - now.estimate, case.limits["no-better-than-trivial.margin"] * curves.scale)
    needed = (now.estimate - goal) / -coming.slope if falling else math.inf
    evidence = _evidence(now, curves.baseline, coming.slope)
    if falling and needed <= case.limits["no-better-than-trivial.patience"] * points:
        return Answer(
            status="not-converged",
            reason=f"the loss is not clearly below the trivial baseline yet, but on its way ({now.estimate:.4g} now)",
            evidence=evidence | {f"more_{curves.trend.unit}s": max(points, round(2 * needed))},
            advice=("train longer, or raise the learning rate",),
        )
    if points < case.limits["inconclusive.epochs"] and not _all_frozen(case):
        return Answer(
            status="inconclusive",
            reason=f"too few {curves.trend.unit}s ({points}) to tell whether the loss will pass the trivial baseline",
            evidence=evidence,
            advice=(f"run at least {case.limits['inconclusive.epochs']:.0f} epochs",),
        )
    return Answer(
        status="no-better-than-trivial",
        reason=f"the training loss ({now.estimate:.4g}) is no better than a constant output's ({curves.baseline:.4g})",
        evidence=evidence,
        advice=(
            "overfit one batch first: a net that cannot is wired wrongly, one that can is trained wrongly",
            "try learning rates a factor of ten apart in both directions",
            "check that labels belong to their inputs and that the loss fits the output",
        ),
    )


def not_better_on_validation(case: Case) -> Answer | None:
    """Training passed the baseline, validation did not, and the gap is too small or too uncertain to be overfitting."""
    curves = case.curves
    blocks = curves.val_baseline_blocks
    if curves.val is None or curves.val_baseline is None or _beats(case, curves.val, curves.val_baseline, blocks):
        return None
    now = level(curves.val, case.confidence, blocks)
    evidence = _evidence(now, curves.val_baseline, None)
    seen_better = now.estimate < curves.val_baseline - case.limits["no-better-than-trivial.margin"] * curves.scale
    if seen_better or now.lower < curves.val_baseline - case.limits["overfitting.gap"] * curves.scale:
        return Answer(
            status="inconclusive",
            reason="the validation split is too small to tell its loss from a constant output's",
            evidence=evidence,
            advice=("enlarge the validation split, or repeat the run with other splits",),
        )
    return Answer(
        status="no-better-than-trivial",
        reason=f"the validation loss ({now.estimate:.4g}) is no better than a constant output's ({curves.val_baseline:.4g})",
        evidence=evidence,
        advice=("check that labels belong to their inputs", "look for features that carry more of the target"),
    )


def _beats(case: Case, curve: Curve, baseline: float, blocks: tuple[float, ...]) -> bool:
    now = level(curve, case.confidence, blocks)
    margin = case.limits["no-better-than-trivial.margin"] * case.curves.scale
    return now.upper < baseline and now.estimate < baseline - margin


def _all_frozen(case: Case) -> bool:
    parameters = case.measured.get(Parameters)
    return parameters is not None and not any(p.requires_grad for p in parameters.parameters)


def _evidence(now: Interval, baseline: float, slope: float | None) -> dict[str, object]:
    return {"loss": now.estimate, "interval": (now.lower, now.upper), "baseline_loss": baseline, "slope": slope}
