"""DAT101 non-finite-value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.scan_classes import ClassTable
from dltool.core.measured.scan_flaws import FlawedFile, ScanFlaws
from dltool.core.measured.task import DataFacts, DataProblemRows
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip
from dltool.rules.data.flawed import EXAMPLES, members, of_files
from dltool.rules.data.probed import of_probe

REPAIR = "repair the source or drop these rows (data.exclude)"


class NonFiniteValue(Rule):
    """The data holds NaN or infinite values.

    What it measures: inputs and targets of every split, before training; empty cells of a table count as NaN. In a
    scan: every number of every file, file by file and column by column (empty cells of inputs are a warning there:
    what reads the file may fill them), and labels that are no numbers where all others are. With `--probe`: samples for
    which the model, or a small net where there is none, gives NaN or Inf.

    Why it is bad: one such value makes the loss NaN, and after one step every weight.

    How to fix: repair the source, drop the rows (`data.exclude`), or fill them in with something that is fitted on
    the training split.

    When it is wrong: never: no loss of the catalogue accepts them. A reader of your own may fill them in.

    References: Lones 2021, How to avoid machine learning pitfalls, section 2; Little & Rubin 2019, Statistical
    analysis with missing data.
    """

    id = "DAT101"
    name = "non-finite-value"
    severity = Severity.ERROR
    needs = ()
    explains: ClassVar[tuple[str, ...]] = (
        "non-finite-input",
        "non-finite-forward",
        "non-finite-loss",
        "non-finite-backward",
        "non-finite-update",
        "diverged",
    )

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        if ScanFlaws in measured:
            return [*of_files(self, measured, {}, REPAIR), *self._labels(measured), *of_probe(self, measured)]
        if DataFacts not in measured:
            return Skip("not measured: data")
        facts = measured[DataFacts]
        groups = (*facts.non_finite_inputs, *facts.non_finite_targets)
        if not groups:
            return ()
        total = sum(group.count for group in groups)
        return [
            self.finding(
                f"{total} rows hold NaN or infinite values: " + "; ".join(map(_told, groups[:3])),
                where=Where(phase="input", samples=groups[0].rows),
                evidence={"inputs": facts.non_finite_inputs, "targets": facts.non_finite_targets},
                limit={"non_finite_values": 0},
                advice=(REPAIR,),
            )
        ]

    def _labels(self, measured: Measurements) -> Iterator[Finding]:
        labels = measured.get(ClassTable)
        if labels is None or any(_tells(flawed, labels.column) for flawed in measured[ScanFlaws].files):
            return
        for odd in labels.not_numbers:
            yield self.finding(
                f"{odd.samples:,} samples have the label {odd.label!r}, where all others are numbers",
                where=Where(
                    phase="input",
                    samples=tuple(each.row for each in odd.examples[:EXAMPLES] if each.row is not None) or None,
                    key=f"label {odd.label}",
                ),
                evidence={
                    "label": odd.label,
                    "count": odd.samples,
                    "column": labels.column,
                    "samples": members(odd.examples),
                },
                limit={"non_finite_values": 0},
                advice=(REPAIR,),
            )


def _tells(flawed: FlawedFile, column: str | None) -> bool:
    """Whether the odd labels of a column are told with its values."""
    if column is None or flawed.column != column:
        return False
    return any(flaw.kind in {"mixed-types", "nan", "inf"} for flaw in flawed.flaws)


def _told(group: DataProblemRows) -> str:
    column = "" if group.column is None else f" column {group.column},"
    return f"{group.split},{column} rows {', '.join(map(str, group.rows[:5]))}" + (" ..." if group.count > 5 else "")
