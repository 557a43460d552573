"""A table as its blocks come in: statistics of every column, equal rows, labels; columns are shared among threads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dltool.scanning.record import Flaw, TableFacts
from dltool.scanning.tables.ahead import threads
from dltool.scanning.tables.block import Block, Cells
from dltool.scanning.tables.column import Column
from dltool.scanning.tables.labels import Labels
from dltool.scanning.tables.likely import rows_in, taken, telling_columns
from dltool.scanning.tables.rows import EqualRows, add_cells, column_key, word_hash
from dltool.scanning.tables.sample import Sample

MOST_SHARED_ROWS = 1 << 21
"""Of longer blocks, one column at a time is held."""
MOST_COLUMNS = 4096
"""Columns that are told of, and those with flaws beyond; all are looked at."""
MOST_FLAWS = 1000
ORDERED_HASHES = 1_000_000
"""Up to so many rows their hashes are given in the order of rows, which names the rows of two tables that are equal."""
INDEX_NAMES = frozenset({"", "unnamed: 0", "index", "idx", "id", "row", "row_id", "rowid", "rownames", "row_names"})
KEPT_TOGETHER = 1 << 18
"""Rows whose hashes are worked on at once, so that what is in between stays small where blocks are large."""
WORTH_THREADS = 1 << 18
"""Cells of a block from which on threads pay for themselves."""


class Table:
    """Statistics of a table.

    Args:
        names: of its columns, in order; they may repeat.
        target: the column of labels, where there is one of that name.
        want_row_hashes: whether ``TableFacts.row_hashes`` is filled.
        dtypes: of the columns, for formats that declare them.
        compare_rows: whether equal rows are looked for.
        may_look_again: whether ``compare`` will be given the rows that ``likely_equal`` names, which saves hashing all
            columns of all rows. ``content`` is not known then.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        target: str | None = None,
        want_row_hashes: bool = False,
        dtypes: Sequence[str] | None = None,
        compare_rows: bool = True,
        may_look_again: bool = False,
    ) -> None:
        seen: Counter[str] = Counter()
        self.columns: list[Column] = []
        for name in names:
            self.columns.append(Column(name, column_key(name, seen[name]), is_target=name == target and not seen[name]))
            seen[name] += 1
        for column, dtype in zip(self.columns, dtypes or (), strict=False):
            column.dtype = dtype
        self.rows = 0
        self._target = next((column for column in self.columns if column.is_target), None)
        self._labels = None if self._target is None else Labels(self._target.key)
        compare_rows = compare_rows and any(not column.is_target for column in self.columns)
        self._equal = EqualRows() if compare_rows else None
        self._may_look_again = may_look_again and compare_rows and not want_row_hashes
        self._likely: EqualRows | None = None
        self._compared: Sequence[int] = ()
        self._has_begun = False
        self._want_row_hashes = want_row_hashes
        self._sample = Sample(len(self.columns))
        self._threads: ThreadPoolExecutor | None = None
        self._known: dict[str, int] = {}

    def begin(self, block: Block) -> None:
        """Choose the columns by which rows are compared from the first rows; ``add`` does so with the first block."""
        self._has_begun = True
        self._leave_out_index(block)
        self._compared = self._comparable()
        if self._may_look_again:
            keys = {at: self.columns[at].key for at in self._compared}
            hashes = {at: self._hashes(block.columns[at]) for at in self._compared}
            telling = telling_columns(block, hashes, keys)
            if telling is not None:
                self._compared, self._likely = telling, EqualRows()

    def add(self, block: Block) -> None:
        """Rows after all so far."""
        if not block.count:
            return
        if not self._has_begun:
            self.begin(block)
        self.rows = max(self.rows, int(block.row_indices(np.array([block.count - 1]))[0]) + 1)
        drawn = self._sample.draw(block.first_row, block.count, block.kept)
        sums = self._share(block, drawn)
        labels = None
        if self._target is not None and self._labels is not None:
            cells = block.columns[self.columns.index(self._target)]
            self._labels.add(cells, block)
            labels = self._label_sums(cells, block.count) if self._equal is not None and self._likely is None else None
        if self._likely is not None or self._equal is not None:
            self._keep(sums, labels, block)
        self._sample.thin_out([column.numbers.sample for column in self.columns])

    def likely_equal(self) -> NDArray[np.int64] | None:
        """Rows that look equal to others, ascending, to be given again; None where there are none."""
        rows = None if self._likely is None else self._likely.repeated_rows()
        return rows if rows is not None and len(rows) else None

    def compare(self, block: Block, rows: NDArray[np.int64]) -> None:
        """Compare those of a block's rows as a whole that are among ``rows``, all that ``likely_equal`` named."""
        at = rows_in(block, rows)
        if self._equal is None or not len(at):
            return
        sums = np.zeros(len(at), np.uint64)
        for number in self._comparable():
            cells = block.columns[number]
            add_cells(sums, taken(cells, at), self._hashes(cells), self.columns[number].key)
        labels = None
        if self._target is not None:
            labels = self._label_sums(taken(block.columns[self.columns.index(self._target)], at), len(at))
        self._equal.add(sums, labels, block.row_indices(at))

    def finish(self) -> tuple[TableFacts, list[Flaw], str | None]:
        """Facts, flaws of values, and a content that equal tables share (None where rows were not compared)."""
        if self._threads is not None:
            self._threads.shutdown()
        flaws = [flaw for column in self.columns for flaw in column.flaws()]
        facts = [column.facts(self.rows) for column in self.columns[:MOST_COLUMNS]]
        table = TableFacts(
            rows=self.rows,
            columns=tuple(facts),
            target=None if self._target is None else self._target.name,
            labels=() if self._labels is None else self._labels.counted(),
            label_rows=() if self._labels is None else self._labels.located(),
        )
        if self._equal is None:
            return table, flaws[:MOST_FLAWS], None
        groups, count = self._equal.groups(None if self._labels is None else self._labels.names())
        hashes = self._equal.hashes(in_order=self.rows <= ORDERED_HASHES) if self._want_row_hashes else b""
        table = replace(table, equal_rows=groups, equal_row_count=count, row_hashes=hashes)
        return table, flaws[:MOST_FLAWS], self._equal.content if self.rows and self._likely is None else None

    def _comparable(self) -> Sequence[int]:
        if self._equal is None:
            return ()
        return [at for at, column in enumerate(self.columns) if column.in_row_hash and not column.is_target]

    def _share(self, block: Block, drawn: NDArray[np.intp]) -> NDArray[np.uint64]:
        """Add the block's columns, in threads where there is much to do; the sums of row hashes."""
        number = min(threads(), len(self.columns))
        if number < 2 or block.count * len(self.columns) < WORTH_THREADS or block.count > MOST_SHARED_ROWS:
            return self._add_columns(range(len(self.columns)), block, drawn)
        if self._threads is None:
            self._threads = ThreadPoolExecutor(number)
        parts = [range(start, len(self.columns), number) for start in range(number)]
        running = [self._threads.submit(self._add_columns, part, block, drawn) for part in parts]
        sums = running[0].result()
        for future in running[1:]:
            sums += future.result()
        return sums

    def _add_columns(self, part: range, block: Block, drawn: NDArray[np.intp]) -> NDArray[np.uint64]:
        sums = np.zeros(block.count, np.uint64)
        for at in part:
            column, cells = self.columns[at], block.columns[at]
            hashes = self._hashes(cells)
            column.add(cells, block, drawn, hashes)
            if at in self._compared:
                add_cells(sums, cells, hashes, column.key)
        return sums

    def _keep(self, sums: NDArray[np.uint64], labels: NDArray[np.uint64] | None, block: Block) -> None:
        equal = self._equal if self._likely is None else self._likely
        for start in range(0, block.count if equal is not None else 0, KEPT_TOGETHER):
            part = slice(start, start + KEPT_TOGETHER)
            rows = block.first_row + start if block.kept is None else block.kept[part]
            equal.add(sums[part], None if labels is None else labels[part], rows)  # type: ignore[union-attr]

    def _label_sums(self, cells: Cells, count: int) -> NDArray[np.uint64]:
        sums = np.zeros(count, np.uint64)
        if self._target is not None:
            add_cells(sums, cells, self._hashes(cells), self._target.key)
        return sums

    def _hashes(self, cells: Cells) -> NDArray[np.uint64]:
        if len(cells.words) > MANY_WORDS:
            return np.array([word_hash(word) for word in cells.words], np.uint64)
        known = self._known
        if len(known) > MOST_KNOWN:
            known.clear()
        found = []
        for word in cells.words:
            value = known.get(word)
            if value is None:
                value = word_hash(word)
                if len(word) <= LONGEST_KNOWN:
                    known[word] = value
            found.append(value)
        return np.array(found, np.uint64)

    def _leave_out_index(self, block: Block) -> None:
        """A first column that counts the rows makes every row another, so it takes no part in comparing them."""
        column, cells = self.columns[0], block.columns[0]
        values = cells.numbers
        if column.name.strip().lower() not in INDEX_NAMES or len(self.columns) < 2 or values is None or column.is_target:
            return
        if cells.absent is None and block.count > 1 and bool(np.all(np.diff(values.astype(np.float64)) == 1.0)):
            column.in_row_hash = False


MOST_KNOWN = 1 << 16
"""Words whose hashes are remembered."""
LONGEST_KNOWN = 256
MANY_WORDS = 1 << 12
"""So many in one block are texts rather than classes: it is not likely that they come again."""
