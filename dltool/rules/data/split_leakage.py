"""DAT114 split-leakage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.scan_likeness import Duplicates, LikeGroup, NearDuplicates, SharedRows
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip, Threshold
from dltool.rules.data.copies import SPREAD, are_copies, capped, named, of_group, of_shared_rows

REMOVE = "remove it from all splits but one, best from the training split"
BY_SOURCE = "split by what they come from (video, person, object), not by picture"


class SplitLeakage(Rule):
    """A sample of one split is also in another.

    What it measures: files with the same content, look-alikes and equal rows, as duplicate-sample does, whose members
    belong to two splits or more.

    Why it is bad: what is measured on the validation or test split is then partly memory, and too good by as much.

    How to fix: remove the copies from the training split, so that results stay comparable, and split by what samples come
    from (video, person, document), not by sample.

    When it is wrong: an error is only what cannot be chance. Look-alikes across splits are a warning; in a set of nothing
    but look-alikes they are counted and worth knowing. Rows of tables of few distinct values, which coincide within a split
    too, are information.

    References: Barz & Denzler 2020, Do we train on test data? (3.3 % of CIFAR-10's test set); Kapoor & Narayanan 2023,
    Leakage and the reproducibility crisis; Good 1953, The population frequencies of species.
    """

    id = "DAT114"
    name = "split-leakage"
    severity = Severity.ERROR
    needs = ()
    thresholds: ClassVar[tuple[Threshold, ...]] = (SPREAD,)
    explains: ClassVar[tuple[str, ...]] = ()

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        if Duplicates not in measured:
            return Skip("not measured: duplicates")
        return list(capped(self, self._findings(measured)))

    def _findings(self, measured: Measurements) -> Iterator[Finding]:
        near = measured.get(NearDuplicates)
        for group in measured[Duplicates].groups:
            if len(group.splits) > 1:
                yield self._shared(group, "the same content", Severity.ERROR)
        for pair in () if SharedRows not in measured else measured[SharedRows].pairs:
            if pair.split != pair.other_split and None not in {pair.split, pair.other_split}:
                copied = are_copies(pair, self.limits["spread"])
                yield of_shared_rows(self, pair, severity=Severity.ERROR if copied else Severity.INFO, advice=REMOVE)
        for group in () if near is None else near.groups:
            if len(group.splits) > 1:
                yield self._shared(group, f"look-alikes ({group.bits} of 64 bits differ)", Severity.WARNING)
        if near is not None and near.alike_across_splits:
            yield self._crowd(near)

    def _shared(self, group: LikeGroup, what: str, severity: Severity) -> Finding:
        message = f"{' and '.join(group.splits)} share {what}: {named(group)}"
        if len(group.labels) > 1:
            message += f", under {len(group.labels)} labels: {', '.join(group.labels[:5])}"
        kind = "look-alikes" if group.kind == "similar" else "copies"
        return of_group(self, group, message, kind=kind, severity=severity, advice=REMOVE, limit={"splits": 1})

    def _crowd(self, near: NearDuplicates) -> Finding:
        return self.finding(
            f"{near.alike_across_splits:,} of {near.samples:,} pictures look like ones of another split, as they look like "
            "several of their own",
            severity=Severity.INFO,
            where=Where(phase="input", key="look-alikes"),
            evidence={"kind": "crowd", "alike_across_splits": near.alike_across_splits, "pictures": near.samples},
            limit={"alike_across_splits": 0},
            advice=(BY_SOURCE,),
        )
