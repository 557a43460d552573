"""Labels that a cross-validated light model disbelieves, from a sample of the set that is read once more."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Iterator

from dltool.core.finding import Severity
from dltool.core.measurements import Section
from dltool.scanning.gather.labels import CLASS_SHARE, FEW_LABELS
from dltool.scanning.pool import PoolSettings
from dltool.scanning.record import Entry, Item

MOST_SAMPLES = 10_000
"""Files that are read again: comparing each with each takes some seconds."""

NO_LABELS = "no sample has a class as its label: --target names the column of a table, folders those of pictures"

TABLES = frozenset({"csv", "tsv", "jsonl", "parquet"})


class LabelDoubts:
    """Collects ``SuspectedLabels``: of pictures, or of the largest table, whichever has more samples.

    Args:
        pool: how they are read once more.
        stopped: whether to do without.
    """

    def __init__(self, pool: PoolSettings, stopped: Callable[[], bool]) -> None:
        self._pool, self._stopped = pool, stopped
        self._pictures: list[tuple[int, int, Item]] = []
        self._picture_count = 0
        self._table: tuple[int, Entry] | None = None

    def add(self, entry: Entry) -> None:
        """Keep the file if it is labelled, whole, and among those drawn."""
        item, found = entry.item, entry.found
        if any(flaw.rule == "corrupt-file" and flaw.severity is Severity.ERROR for flaw in found.flaws):
            return
        if found.image is not None and item.label is not None:
            self._picture_count += 1
            drawn = (-_draw(item.name), -item.index, item)
            if len(self._pictures) < MOST_SAMPLES:
                heapq.heappush(self._pictures, drawn)
            elif drawn[:2] > self._pictures[0][:2]:
                heapq.heapreplace(self._pictures, drawn)
        table = found.table
        if table is not None and table.target is not None and found.format in TABLES:
            few = len(table.labels) <= max(FEW_LABELS, CLASS_SHARE * table.rows)
            if table.labels and few and (self._table is None or table.rows > self._table[0]):
                self._table = (table.rows, entry)

    def sections(self) -> Iterator[Section]:
        """Reads the samples and fits the models; nothing where the scan was stopped."""
        if self._stopped():
            return
        from dltool.scanning.doubt.examine import doubted_pictures, doubted_rows, not_told

        if self._table is not None and self._table[0] >= self._picture_count:
            yield doubted_rows(self._table[1], self._pool, self._stopped)
        elif self._pictures:
            drawn = sorted((item for _, _, item in self._pictures), key=lambda item: item.index)
            yield doubted_pictures(drawn, self._pool, self._stopped)
        else:
            yield not_told(0, 0, NO_LABELS)


def _draw(name: str) -> int:
    """A number that has nothing to do with the order of the scan: the lowest are drawn."""
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest(), "big")
