"""DAT113 duplicate-sample."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.scan import Sample
from dltool.core.measured.scan_likeness import Duplicates, EqualRows, LikeGroup, NearDuplicates, RepeatingTable, SharedRows
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip, Threshold
from dltool.rules.data.copies import SPREAD, are_copies, capped, named, of_group, of_shared_rows, too_rich
from dltool.rules.data.flawed import EXAMPLES, members

DROP = "keep one of them, or none if what they show is not what their names say"


class DuplicateSample(Rule):
    """The same sample occurs more than once, or one picture stands in for many.

    What it measures: files with the same content (of pictures what is decoded, so that another wrapping does not hide it;
    with `--quick` the bytes); pictures whose perceptual hashes, of 64 bits, are at most 10 bits apart (6 in a set of a
    million) and less than half as far from each other as from any other picture; equal rows of tables. The same content
    under two labels, or under ten names and several labels ("photo no longer available"), is said to be so.

    Why it is bad: copies weigh more than they should, in the loss as in the evaluation. Of two labels for one sample at
    least one is wrong, and a placeholder teaches every class the same picture.

    How to fix: keep one of each group (`--manifest` leaves out what you decide on). Fetch what a placeholder stands for
    again.

    When it is wrong: samples repeated on purpose, to balance classes. Blank pictures, masks and label maps are not
    compared. Look-alikes are worth knowing, no more, unless their labels differ; in a set of look-alikes (frames of a
    video, products on white, aligned faces) they are only counted. Equal rows of a table of few distinct values are
    chance, and information.

    References: Barz & Denzler 2020, Do we train on test data?; Zauner 2010, Implementation and benchmarking of perceptual
    image hash functions; jetson-inference issue 124 (108,034 placeholders in ImageNet), openimages issue 9.
    """

    id = "DAT113"
    name = "duplicate-sample"
    severity = Severity.WARNING
    needs = ()
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="placeholder",
            default=10.0,
            unit="names of one content under several labels",
            source="openimages issue 9 and jetson-inference issue 124: thousands; honest copies come in twos and threes",
        ),
        Threshold(
            name="spoilt",
            default=0.01,
            unit="share of all files that are one placeholder, from which on it is an error",
            source="jetson-inference issue 124: 0.11 of ImageNet; openimages issue 9: 0.0075 was lived with",
        ),
        Threshold(
            name="alike",
            default=0.1,
            unit="share of pictures in a crowd of look-alikes, from which on that is told",
            source="benchmarks/near_duplicates.py: none of 600 photographs, 0.18 of pages of text",
        ),
        SPREAD,
    )
    explains: ClassVar[tuple[str, ...]] = ()

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        if Duplicates not in measured:
            return Skip("not measured: duplicates")
        return list(capped(self, self._findings(measured)))

    def _findings(self, measured: Measurements) -> Iterator[Finding]:
        exact = measured[Duplicates]
        near = measured.get(NearDuplicates)
        if near is not None and near.alike >= self.limits["alike"] * near.samples > 0:
            yield self._crowd(near)
        for group in exact.groups:
            if len(group.splits) < 2 or self._is_placeholder(group):
                yield self._exact(group, exact.samples)
        for table in () if EqualRows not in measured else measured[EqualRows].repeating:
            yield self._rows(table)
        for pair in () if SharedRows not in measured else measured[SharedRows].pairs:
            if pair.split == pair.other_split or None in {pair.split, pair.other_split}:
                copied = are_copies(pair, self.limits["spread"])
                yield of_shared_rows(self, pair, severity=Severity.WARNING if copied else Severity.INFO, advice=DROP)
        for group in () if near is None else near.groups:
            if len(group.splits) < 2:
                yield self._near(group)

    def _exact(self, group: LikeGroup, files: int) -> Finding:
        labels, count = len(group.labels), len(group.samples)
        severity, kind = Severity.WARNING, "copies"
        what = "are the same file" if group.kind == "same-bytes" else "have the same content"
        message = f"{named(group)} {what}"
        if self._is_placeholder(group):
            kind = "placeholder"
            message = f"one content stands in for {count:,} samples of {labels} labels: {named(group)}"
            severity = Severity.ERROR if count >= self.limits["spoilt"] * files else severity
        elif labels > 1:
            kind, message = "two-labels", f"{message}, under {labels} labels: {', '.join(group.labels[:5])}"
        return of_group(self, group, message, kind=kind, severity=severity, advice=DROP, limit={"copies": 1})

    def _is_placeholder(self, group: LikeGroup) -> bool:
        return len(group.labels) > 1 and len(group.samples) >= self.limits["placeholder"]

    def _near(self, group: LikeGroup) -> Finding:
        message = f"{named(group)} look the same ({group.bits} of 64 bits differ)"
        kind, severity = "look-alikes", Severity.INFO
        if len(group.labels) > 1:
            kind, severity = "two-labels", Severity.WARNING
            message += f", under {len(group.labels)} labels: {', '.join(group.labels[:5])}"
        return of_group(self, group, message, kind=kind, severity=severity, advice=DROP, limit={"bits": 10})

    def _rows(self, table: RepeatingTable) -> Finding:
        spread = self.limits["spread"]
        copied = too_rich(table.spread_bits, table.rows * (table.rows - 1) / 2, spread)
        disagreeing = [group for group in table.groups if len(group.labels) > 1]
        shown = (disagreeing or list(table.groups))[0].rows
        told = f", of which {_groups(len(disagreeing))} in the label" if disagreeing else ""
        rows = sorted(row for group in table.groups for row in group.rows)
        return self.finding(
            f"{table.repeated:,} of the {table.rows:,} rows of {table.path} equal another{told}",
            severity=Severity.WARNING if copied else Severity.INFO,
            where=Where(phase="input", file=table.file, samples=shown[:EXAMPLES], key=f"{table.path}#rows"),
            evidence={
                "kind": "two-labels" if disagreeing else "equal-rows",
                "repeated": table.repeated,
                "spread_bits": table.spread_bits,
                "first_groups": [group.rows for group in table.groups[:EXAMPLES]],
                "samples": members(Sample(path=table.path, row=row) for row in rows),
            },
            limit={"spread": spread},
            advice=("drop all but one of each, unless such rows can come about twice",),
        )

    def _crowd(self, near: NearDuplicates) -> Finding:
        return self.finding(
            f"{near.alike:,} of {near.samples:,} pictures look like several others (frames of a video, one layout, one "
            "anatomy): look-alikes among them are not told one by one",
            severity=Severity.INFO,
            where=Where(phase="input", key="look-alikes"),
            evidence={"kind": "crowd", "alike": near.alike, "pictures": near.samples},
            limit={"alike": self.limits["alike"]},
            advice=("split by what they come from (video, person, object), not by picture",),
        )


def _groups(count: int) -> str:
    return "1 group differs" if count == 1 else f"{count:,} groups differ"
