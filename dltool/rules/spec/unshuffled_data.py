"""SPC123 unshuffled-data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.design import Architecture, Plan, Samples
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip, Threshold
from dltool.rules.spec.change import put
from dltool.rules.spec.graph import RECURRENT


class UnshuffledData(Rule):
    """Samples lie class by class, and are taken in that order: each batch shows one class alone.

    What it measures: `shuffle: false` over a source that is sorted by its target, with batches no larger than a class.

    Why it is bad: every run of batches teaches the net to name one class, whatever comes in, and the next run the next
    one. Batch norm sees the statistics of one class at a time.

    How to fix: `shuffle: true` (the default), or shuffle the samples once where they are stored.

    When it is wrong: full batches have no order, and samples that are stored shuffled need no more of it: neither is
    reported. Numbers that rise with time are sorted by nature; for regression the finding is information, and sequences
    are not judged.

    References: Bengio 2012, Practical recommendations for gradient-based training, section 2.1 (order of the examples);
    PyTorch documentation, "DataLoader" (shuffle).
    """

    id = "SPC123"
    name = "unshuffled-data"
    severity = Severity.WARNING
    needs = (Plan, Samples)
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="batches",
            default=1.0,
            unit="samples of a class, on average, over those of a batch",
            source="arithmetic: from 1 on most batches of sorted samples hold one class, or two neighbours",
        ),
    )
    explains: ClassVar[tuple[str, ...]] = (
        "batch-mixing",
        "oscillating-loss",
        "learning-rate-too-high",
        "underfitting",
        "not-converged",
        "plateau",
        "no-better-than-trivial",
    )

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        plan, samples = measured[Plan], measured[Samples]
        if plan.shuffle is not False or plan.full_batch:
            return () if plan.shuffle is not None or plan.full_batch else Skip("whether samples are shuffled is not known")
        if samples.sorted_by_target is None or plan.batch_size is None or samples.train_samples is None:
            return Skip("the order of the samples, their number or the size of batches is not known")
        if not samples.sorted_by_target:
            return ()
        layers = measured[Architecture].layers if Architecture in measured else ()
        numbers = samples.target_kind not in {"class-index", "one-hot"}
        if numbers and (len(samples.input_shape or ()) == 2 or any(layer.kind in RECURRENT for layer in layers)):
            return ()
        if not numbers and (samples.classes or 0) < 2:
            return ()
        runs = samples.train_samples / plan.batch_size / (1 if numbers else samples.classes or 1)
        if runs < self.limits["batches"]:
            return ()
        what = "in the order of their targets" if numbers else "class by class"
        return [
            self.finding(
                f"the samples lie {what} and are not shuffled: "
                f"{'batches differ in their targets' if numbers else 'each batch shows one class alone'}",
                where=Where(phase="input", key=plan.keys.get("shuffle")),
                severity=Severity.INFO if numbers else None,
                cause="shuffle: false over a sorted source",
                evidence={
                    "batch_size": plan.batch_size,
                    "train_samples": samples.train_samples,
                    "classes": samples.classes,
                    "source_key": samples.source_key,
                    **put(plan.keys.get("shuffle"), value=True),
                },
                limit=dict(self.limits),
                advice=("shuffle: true",),
            )
        ]
