"""DAT117 shuffled-labels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.training import Baseline, History, LabelSignal
from dltool.core.measurements import Measurements
from dltool.core.statistics import NORMAL, bootstrap_mean
from dltool.rules.base import Rule, Skip, Threshold
from dltool.rules.fit_verdict import FitVerdict


class ShuffledLabels(Rule):
    """The labels have nothing to do with the inputs.

    What it measures: whether near neighbours in input space share a label more often than chance (z is standard
    normal if they do not), and whether the net memorises: training loss well below the trivial baseline, validation
    loss never below it.

    Why it is bad: there is nothing to learn; the net stores the samples one by one.

    How to fix: look at a handful of samples with their labels; check every sort, shuffle, join and index between the
    two files.

    When it is wrong: a task whose classes are spread so finely that neighbours differ (parity), on too few samples to
    generalise. A validation loss that was ever below the baseline, by more than the noise of its samples, acquits.

    References: Zhang et al. 2017, Understanding deep learning requires rethinking generalization (random labels are
    fitted); Henze 1988, A multivariate two-sample test based on the number of nearest neighbor type coincidences.
    """

    id = "DAT117"
    name = "shuffled-labels"
    severity = Severity.ERROR
    needs = (LabelSignal, History, Baseline, FitVerdict)
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="z",
            default=2.326,
            unit="standard deviations above chance",
            source="one-sided 1 % point of the normal distribution",
        ),
        Threshold(
            name="samples",
            default=100.0,
            unit="samples whose neighbours were looked at",
            source="convention: below it an agreement halfway between chance and certainty may go unseen",
        ),
        Threshold(
            name="memorised",
            default=0.2,
            unit="share of the trivial loss removed from the training loss",
            source="convention: clearly more than a net can gain from the class frequencies of its batches",
        ),
        Threshold(
            name="learnt",
            default=0.02,
            unit="share of the trivial loss that validation must once have removed to acquit",
            source="convention: twice the margin of no-better-than-trivial",
        ),
    )
    explains: ClassVar[tuple[str, ...]] = (
        "overfitting",
        "underfitting",
        "not-converged",
        "plateau",
        "no-better-than-trivial",
        "ignores-input",
    )

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        signal, trivial = measured[LabelSignal], measured[Baseline].val_loss
        validated = [e.val_loss for e in measured[History].epochs if e.val_loss is not None]
        explained = measured[FitVerdict].explained_ratio
        if signal.samples < self.limits["samples"]:
            return Skip(f"{signal.samples} samples are too few to see whether neighbours share labels")
        if trivial is None or not validated or explained is None:
            return Skip("without a validation loss and a trivial baseline memorising cannot be told from learning")
        if signal.z >= self.limits["z"] or explained < self.limits["memorised"]:
            return ()
        best = min(validated)
        if best < trivial - self.limits["learnt"] * abs(trivial) and self._beyond_noise(measured):
            return ()
        return [
            self.finding(
                f"neighbours share a label no more often than chance ({signal.agreement_ratio:.1%} against "
                f"{signal.chance_ratio:.1%}), and validation was never better than a constant",
                where=Where(phase="input"),
                cause="labels and inputs were put in different orders, or the labels are random",
                evidence={
                    "z": signal.z,
                    "agreement_ratio": signal.agreement_ratio,
                    "chance_ratio": signal.chance_ratio,
                    "samples": signal.samples,
                    "explained_ratio": explained,
                    "best_val_loss": best,
                    "baseline_val_loss": trivial,
                },
                limit=dict(self.limits),
                advice=(
                    "look at a handful of samples with their labels",
                    "check every sort, shuffle and join between inputs and labels",
                ),
            )
        ]

    def _beyond_noise(self, measured: Measurements) -> bool:
        """Whether the best epoch beat the baseline on the same blocks of samples; the lowest of many lies low by chance."""
        constant = measured[Baseline].val_blocks
        history = measured[History]
        epochs = [e for e in history.epochs if e.val_loss is not None]
        best = min(epochs, key=lambda e: e.val_loss or 0.0)
        if len(constant) < 2 or len(best.val_blocks) != len(constant):
            return True
        gains = [c - b for c, b in zip(constant, best.val_blocks, strict=True)]
        weights = history.val_block_weights if len(history.val_block_weights) == len(gains) else None
        gain = bootstrap_mean(gains, weights)
        return gain.estimate > NORMAL.inv_cdf(1.0 - (1.0 - NORMAL.cdf(self.limits["z"])) / len(epochs)) * gain.error
