"""OPT102 learning-rate-too-low."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.lr_find import SuggestedLr
from dltool.core.measured.training import Optimisation, Parameters, StepGains
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip, Threshold
from dltool.rules.fit_verdict import FitVerdict
from dltool.rules.updates.gains import downhill, gentle
from dltool.rules.updates.tried_rate import Tried, tried_rate

UNFINISHED = ("not-converged", "underfitting", "no-better-than-trivial")


class LearningRateTooLow(Rule):
    """Every step does just what its slope promises, and hardly moves the weights: far longer steps would do.

    What it measures: the gain ratio of the steps that were looked at (what the loss did over what the slope promised) and
    the update ratio ‖Δw‖/‖w‖ of every weight. It fires when nearly all gains are near 1, even the fastest weight moves less
    than `update_ratio` a step, and the run ended unfinished: still falling, underfitting or no better than a constant. Where
    rates were searched for (lr-find), it fires when the target's own gained less than `learnt` of what the best rate gained,
    and is so low that the whole planned run would move the weights less than that short trial at the lowest usable rate.

    Why it is bad: the run would need ten or a hundred times as many steps.

    How to fix: raise the learning rate tenfold, and again, for as long as training stays stable.

    When it is wrong: fine-tuning a pretrained net moves little on purpose; a run that learnt is not accused. Where only the
    first layers stand still, see vanishing-gradient.

    References: Conn, Gould & Toint 2000, section 6.1 (a gain near 1 lets the step grow); Karpathy, CS231n: Neural networks
    part 3 (updates of 1e-3 of the weights a step are healthy); TheDeepChecker (Ben Braiek & Khomh 2023): below 1e-4 is slow.
    """

    id = "OPT102"
    name = "learning-rate-too-low"
    severity = Severity.WARNING
    needs = ()
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="update_ratio",
            default=1e-4,
            unit="‖Δw‖/‖w‖ of one step, median over the run, of the fastest weight",
            source="TheDeepChecker (Ben Braiek & Khomh 2023): log10 below -4 is too slow; CS231n: -3 is healthy",
        ),
        Threshold(
            name="gentle",
            default=0.9,
            unit="share of downhill steps with a gain ratio between 0.75 and 1.25, or too short to see",
            source="Conn, Gould & Toint 2000, section 6.1: above 0.75 the step is very successful and may grow",
        ),
        Threshold(
            name="learnt",
            default=0.1,
            unit="gain of a trial at this rate over the gain of the best rate",
            source="convention: a tenth; the length of the run has to confirm it",
        ),
    )
    explains: ClassVar[tuple[str, ...]] = (
        "learning-rate-out-of-range",  # the same rate, judged before anything ran
        "parameter-not-updated",
        "underfitting",
        "not-converged",
        "no-better-than-trivial",
        "plateau",
    )

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        if SuggestedLr in measured:
            return self._judge_trial(tried_rate(measured))
        missing = [section.key for section in (StepGains, Parameters, FitVerdict) if section not in measured]
        if missing:
            return Skip(f"not measured: {', '.join(missing)}")
        steps = downhill(measured[StepGains])
        ratios = [
            p.update_ratio.median
            for p in measured[Parameters].parameters
            if p.role in {"weight", "embedding"} and p.in_optimizer and p.update_ratio is not None
        ]
        if not steps or not ratios:
            return Skip("no downhill step or no weight update was seen")
        share = sum(gentle(step, 0.75, 1.25) for step in steps) / len(steps)
        fastest = max(ratios)
        if measured[FitVerdict].status not in UNFINISHED or not fastest > 0.0:
            return ()
        if fastest >= self.limits["update_ratio"] or share < self.limits["gentle"]:
            return ()
        run = measured.get(Optimisation)
        return [
            self.finding(
                f"even the fastest weight moves by only {fastest:.1e} of its size a step, and {share:.0%} of the steps "
                "did what their slope promised",
                where=Where(phase="optimizer"),
                evidence={
                    "fastest_update_ratio": fastest,
                    "median_update_ratio": statistics.median(ratios),
                    "gentle_ratio": share,
                    "steps_looked_at": len(steps),
                    "lr": None if run is None else run.lr,
                },
                limit={"update_ratio": self.limits["update_ratio"], "gentle": self.limits["gentle"]},
                advice=(
                    "raise the learning rate tenfold" + ("" if run is None else f", to {run.lr * 10.0:g}"),
                    "raise it tenfold again, for as long as training stays stable",
                ),
            )
        ]

    def _judge_trial(self, tried: Tried | None) -> Iterable[Finding] | Skip:
        if tried is None:
            return Skip("no rate was found to compare this one with")
        reach = tried.own.lr * tried.own.planned_ratio
        if tried.own.ended == "diverged" or not reach < tried.low or tried.gain_ratio >= self.limits["learnt"]:
            return ()
        return [tried.blame(self, f"{tried.told}; the planned run is too short to make up for it")]
