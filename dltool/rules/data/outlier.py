"""DAT106 outlier."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.scan import Sample
from dltool.core.measured.scan_pictures import ImageSet, OddImages
from dltool.core.measured.scan_tables import ExtremeColumn, Extremes, ExtremeValue
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip, Threshold
from dltool.rules.data.flawed import EXAMPLES, members

PICTURES = {"dark-or-light": "brightness", "contrast": "contrast"}


class Outlier(Rule):
    """A value stands so far from all others that the tail of its column does not explain it.

    What it measures: by column of each table, values at least `score` robust standard deviations from the median that a
    gap parts from the rest, which is improbable under the tail that the rest shows (a power law at worst) or spans orders
    of magnitude. Pictures are compared by brightness and contrast; those `picture` from the median are information.

    Why it is bad: under a squared loss one such value outweighs all others, standardising squeezes them together, and
    in half precision it overflows: a NaN weeks later.

    How to fix: look at the row: a wrong unit, a shifted decimal point, a placeholder for "unknown". Correct it, clip it
    or leave it out.

    When it is wrong: data whose tail is heavier than a power law; a single rare event that truly happened. Heavy tails
    as such (incomes, populations, counts) have no gap and are not accused.

    References: Iglewicz & Hoaglin 1993, How to detect and handle outliers (modified z-score); Wheatley & Sornette 2015,
    Multiple outlier detection (arXiv 1507.08689).
    """

    id = "DAT106"
    name = "outlier"
    severity = Severity.WARNING
    needs = ()
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="score",
            default=10.0,
            unit="robust standard deviations (1.4826 times the median absolute deviation) from the median",
            source="three times the 3.5 of Iglewicz & Hoaglin 1993, which accuses every skewed column",
        ),
        Threshold(
            name="picture",
            default=8.0,
            unit="the same, of a picture's mean or standard deviation among all pictures",
            source="convention: photographs lie within 4, as brightness is bounded; only uniform sets reach 8",
        ),
    )
    explains: ClassVar[tuple[str, ...]] = ()

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        if Extremes not in measured and ImageSet not in measured:
            return Skip("not measured: extremes, images")
        columns = measured[Extremes].columns if Extremes in measured else ()
        pictures = measured[ImageSet].odd if ImageSet in measured else ()
        return [*self._columns(columns), *self._pictures(pictures)]

    def _columns(self, columns: Iterable[ExtremeColumn]) -> Iterator[Finding]:
        for column in columns:
            far = [each for each in column.extremes if not abs(each.score) < self.limits["score"]]
            if not far:
                continue
            rows = sorted(each.row for each in far)
            yield self.finding(
                f"{column.path}: {_told(column.column, far, column.median)}",
                where=Where(
                    phase="input",
                    samples=tuple(rows[:EXAMPLES]),
                    file=column.file,
                    key=f"{column.path}#{column.column}",
                ),
                evidence={
                    "kind": "value",
                    "column": column.column,
                    "median": column.median,
                    "values": far[:EXAMPLES],
                    "count": len(far),
                    "samples": members(Sample(path=column.path, row=row) for row in rows),
                },
                limit={"score": self.limits["score"]},
                advice=("look at these rows: correct them, clip the column, or leave them out (data.exclude)",),
            )

    def _pictures(self, odd: Iterable[OddImages]) -> Iterator[Finding]:
        for group in odd:
            if group.oddity not in PICTURES:
                continue
            scored = zip(group.paths, group.scores, strict=True)
            far = [(path, score) for path, score in scored if not abs(score) < self.limits["picture"]]
            if far:
                what = PICTURES[group.oddity]
                yield self.finding(
                    f"{_pictures(len(far))} far from the others in {what}: {far[0][0]} by {far[0][1]:+.1f} robust "
                    "standard deviations",
                    severity=Severity.INFO,
                    where=Where(phase="input", key=what),
                    evidence={
                        "kind": what,
                        "usual": group.usual,
                        "scores": [score for _, score in far],
                        "samples": members(Sample(path=path) for path, _ in far),
                    },
                    limit={"picture": self.limits["picture"]},
                    advice=("look at these pictures",),
                )


def _told(column: str, far: list[ExtremeValue], median: float | None) -> str:
    first = far[0]
    middle = "" if median is None else f" (the median is {median:.6g})"
    others = "" if len(far) == 1 else f", and {len(far) - 1} more values stand as far out"
    return f"column {column} is {first.value:.6g} in row {first.row}{middle}{others}"


def _pictures(count: int) -> str:
    return "1 picture is" if count == 1 else f"{count:,} pictures are"
