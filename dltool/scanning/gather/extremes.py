"""Values that stand apart from all others of their column; the thousand columns in which they are farthest are kept."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator

from dltool.core.file_names import printable
from dltool.core.measured.scan import FINDINGS_A_RULE
from dltool.core.measured.scan_tables import ExtremeColumn, Extremes, ExtremeValue
from dltool.core.measurements import Section
from dltool.scanning.gather.formats import FORMATS_OF_ROWS
from dltool.scanning.record import ColumnFacts, Entry, Extreme


class ExtremeColumns:
    """Collects ``Extremes``."""

    def __init__(self) -> None:
        self._kept: list[tuple[float, int, ExtremeColumn]] = []
        self._seen = 0

    def add(self, entry: Entry) -> None:
        """Keep the columns of one file that have such values, while there are not enough with farther ones."""
        if entry.found.table is None or entry.found.format not in FORMATS_OF_ROWS:
            return
        for facts in entry.found.table.columns:
            self._seen += 1
            if facts.extremes:
                farthest = max(map(_distance, facts.extremes))
                kept = (farthest, -self._seen, _column(entry, facts))
                push = heapq.heappush if len(self._kept) < FINDINGS_A_RULE else heapq.heappushpop
                push(self._kept, kept)

    def sections(self) -> Iterator[Section]:
        """``Extremes`` in the order of the scan; nothing where there were no columns."""
        if self._seen:
            ordered = sorted(self._kept, key=lambda kept: -kept[1])
            yield Extremes(columns=tuple(column for _, _, column in ordered), columns_seen=self._seen)


def _distance(extreme: Extreme | ExtremeValue) -> float:
    """A score that is no number is as far as can be."""
    return math.inf if math.isnan(extreme.score) else abs(extreme.score)


def _column(entry: Entry, facts: ColumnFacts) -> ExtremeColumn:
    values = (ExtremeValue(row=each.row, value=each.value, score=each.score) for each in facts.extremes)
    return ExtremeColumn(
        path=printable(entry.item.name),
        file=printable(entry.item.path),
        column=printable(facts.name),
        rows=facts.rows,
        median=facts.median,
        extremes=tuple(sorted(values, key=lambda each: (-_distance(each), each.row))),
    )
