"""OPT101 learning-rate-too-high."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.lr_find import SuggestedLr
from dltool.core.measured.non_finite import NonFinite
from dltool.core.measured.training import Optimisation, StepGain, StepGains
from dltool.core.measurements import Measurements
from dltool.rules.activations.calls import died_on_the_way
from dltool.rules.base import Rule, Skip, Threshold
from dltool.rules.fit_verdict import FitVerdict
from dltool.rules.learnt import failed
from dltool.rules.updates.gains import downhill, overshot
from dltool.rules.updates.tried_rate import Tried, tried_rate


class LearningRateTooHigh(Rule):
    """Steps jump over the valley that they should walk down, and the run fails.

    What it measures: each step looked at is tried on its own batch: what the slope promised (gradient times step) against
    what the loss did. A step that goes downhill and yet raises the loss of its own batch overshot. The rule fires when at
    least `overshoot` of the downhill steps, among the first `early` or in the whole run, did so, or when a single one threw
    the net: it raised the loss by `thrown` times what it was, or was at the start if that is more. Where all units of a
    layer died on the way, any overshoot that was seen will do. In every case the run must have ended badly: non-finite,
    diverged, oscillating, on a plateau, no better than a constant, or blind to its input. Where rates were searched for
    (lr-find) the target's own was tried beside them: one above the range that trains is too high when training with it
    diverged, and very likely so (a warning) when it gained less than `learnt` of what the best rate gained.

    Why it is bad: beyond twice the inverse of the curvature every step makes things worse; units die and do not come back.

    How to fix: a rate ten times lower; a warmup; clipping; normalised inputs and targets, which lower the curvature.

    When it is wrong: large rates train well at the edge of stability, overshooting now and then: a run that learns is never
    accused. With momentum, steps that go uphill on purpose do not count.

    References: Conn, Gould & Toint 2000, Trust-region methods, section 6.1 (gain ratio); LeCun et al. 1998, Efficient
    BackProp, section 5; Cohen et al. 2021, Gradient descent on neural networks typically occurs at the edge of stability.
    """

    id = "OPT101"
    name = "learning-rate-too-high"
    severity = Severity.ERROR
    needs = ()
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="overshoot",
            default=0.25,
            unit="share of downhill steps that raised the loss of their own batch",
            source="Conn, Gould & Toint 2000, section 6.1: such a step is rejected; a quarter is far from chance",
        ),
        Threshold(
            name="early",
            default=10.0,
            unit="first downhill steps looked at, judged on their own as well",
            source="a rate that is too high does its damage at once; later the gradient may be gone",
        ),
        Threshold(
            name="thrown",
            default=1.0,
            unit="rise of the loss in one downhill step, over the loss before it or at the start, whichever is more",
            source="convention: the loss doubles; one such step can leave every unit dead (Lewkowycz et al. 2020, catapult)",
        ),
        Threshold(
            name="learnt",
            default=0.02,
            unit="gain of a trial at this rate over the gain of the best rate",
            source="convention: next to nothing, where a lower rate trains",
        ),
    )
    explains: ClassVar[tuple[str, ...]] = (
        "learning-rate-out-of-range",  # the same rate, judged before anything ran
        "exploding-gradient",
        "vanishing-gradient",
        "dead-relu",
        "saturated-activation",
        "collapsed-representation",
        "non-finite-parameter",
        "non-finite-buffer",
        "non-finite-forward",
        "non-finite-loss",
        "non-finite-backward",
        "non-finite-update",
        "parameter-not-updated",
        "oscillating-loss",
        "underfitting",
        "diverged",
        "plateau",
        "no-better-than-trivial",
        "ignores-input",
    )

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        if SuggestedLr in measured:
            return self._judge_trial(tried_rate(measured))
        if StepGains not in measured:
            return Skip("not measured: step_gains")
        steps = downhill(measured[StepGains])
        if not steps:
            return Skip("no step that was looked at went downhill")
        blown_up = NonFinite in measured and bool(measured[NonFinite].events)
        if not (failed(measured) or (blown_up and FitVerdict not in measured)):
            return ()
        early = steps[: max(1, int(self.limits["early"]))]
        share = max(_share(early), _share(steps))
        thrown = next((step for step in steps if overshot(step) and self._threw(step, steps[0].loss_before)), None)
        run = measured.get(Optimisation)
        rate = "" if run is None else f" at a rate of {run.lr:g}"
        if share >= self.limits["overshoot"] or (share > 0.0 and died_on_the_way(measured)):
            first = next(step for step in steps if overshot(step))
            told = f"{share:.0%} of the downhill steps raised the loss of their own batch{rate}"
        elif thrown is not None:
            first = thrown
            reached = f"{first.loss_before:.3g} to {first.loss_before + first.actual_change:.3g}{rate}"
            told = f"step {first.step} went downhill and threw the loss of its own batch from {reached}"
        else:
            return ()
        return [self._finding(told, first, share, steps, run)]

    def _judge_trial(self, tried: Tried | None) -> Iterable[Finding] | Skip:
        if tried is None:
            return Skip("no rate was found to compare this one with")
        diverged = tried.own.ended == "diverged"
        idle = not tried.own.scheduled and not tried.gain_ratio >= self.limits["learnt"]
        if tried.own.lr <= tried.high or not (diverged or idle):
            return ()
        return [tried.blame(self, tried.told, severity=None if diverged else Severity.WARNING)]

    def _threw(self, step: StepGain, start: float) -> bool:
        return not step.actual_change < self.limits["thrown"] * max(abs(start), abs(step.loss_before))

    def _finding(
        self, told: str, first: StepGain, share: float, steps: Sequence[StepGain], run: Optimisation | None
    ) -> Finding:
        return self.finding(
            told,
            where=Where(phase="optimizer", step=first.step),
            cause="the step is longer than the curvature of the loss allows",
            evidence={
                "overshoot_ratio": share,
                "steps_looked_at": len(steps),
                "first_overshoot_step": first.step,
                "predicted_change": first.predicted_change,
                "actual_change": first.actual_change,
                "lr": None if run is None else run.lr,
            },
            limit={"overshoot": self.limits["overshoot"], "thrown": self.limits["thrown"]},
            advice=(
                "lower the learning rate tenfold" + ("" if run is None else f", to {run.lr / 10.0:g}"),
                "warm the rate up over the first steps (schedule: warmup)",
                "normalise inputs and targets, which flattens the valley",
            ),
        )


def _share(steps: Sequence[StepGain]) -> float:
    return sum(overshot(step) for step in steps) / len(steps)
