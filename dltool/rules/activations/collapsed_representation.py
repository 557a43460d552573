"""ACT103 collapsed-representation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.task import Output
from dltool.core.measured.training import Optimisation, Parameters
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip, Threshold
from dltool.rules.fit_verdict import FitVerdict
from dltool.rules.learnt import learnt

SHRUNK = 0.1
ADVICE = (
    "look for dead or saturated layers: the signal stops there",
    "lower the learning rate and start from a fresh initialisation",
)
LIGHTER = "lower the weight decay and the L1 and L2 penalties, tenfold to begin with"


class CollapsedRepresentation(Rule):
    """The net returns the same output for every sample.

    What it measures: how much the output varies from sample to sample, relative to its size, in eval mode.

    Why it is bad: an output that does not vary says nothing about the input, whatever its loss.

    How to fix: find where the signal stops (dead or saturated layers, a bottleneck of constant units), lower the learning
    rate, start again from a fresh initialisation.

    When it is wrong: a target that hardly varies around a large mean has outputs that hardly vary either; a run that learnt
    well is therefore never accused.

    References: Karpathy 2019, A recipe for training neural networks ("input-independent baseline").
    """

    id = "ACT103"
    name = "collapsed-representation"
    severity = Severity.WARNING
    needs = (Output,)
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="spread",
            default=1e-4,
            unit="standard deviation of the outputs over samples, over their root mean square",
            source="float32 sums of a thousand terms differ by 1e-5; benchmarks/untrained.py: fresh nets spread by 0.05",
        ),
    )
    explains: ClassVar[tuple[str, ...]] = ("underfitting", "plateau", "no-better-than-trivial", "ignores-input")

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        spread = measured[Output].spread_ratio
        if spread is None:
            return Skip("the spread of the output was not measured")
        if FitVerdict in measured and measured[FitVerdict].status == "diverged":
            return Skip("the run diverged, and its outputs say nothing of what it learnt")
        if spread > self.limits["spread"] or learnt(measured):
            return ()
        shrunk = _shrunk_by_penalties(measured)
        return [
            self.finding(
                "the output is the same for every sample"
                if spread == 0.0
                else f"the output varies by only {spread:.1e} of its size from sample to sample",
                where=Where(phase="forward", module=measured[Output].final_module),
                cause=None if shrunk is None else f"the penalties shrank some weights to {shrunk:.1%} of what they were",
                evidence={"spread_ratio": spread, "shrunk_ratio": shrunk},
                limit={"spread": self.limits["spread"]},
                advice=(*((LIGHTER,) if shrunk is not None else ()), *ADVICE),
            )
        ]


def _shrunk_by_penalties(measured: Measurements) -> float | None:
    """The last norm over the first of the weight that shrank most, where penalties shrank it tenfold or more."""
    run = measured.get(Optimisation)
    if run is None or Parameters not in measured or not max(run.weight_decay, run.l1, run.l2) > 0.0:
        return None
    norms = [p.weight_norm for p in measured[Parameters].parameters if p.role == "weight" and p.weight_norm is not None]
    least = min((norm.last / norm.first for norm in norms if norm.first > 0.0), default=1.0)
    return least if least <= SHRUNK else None
