"""All samples of one part of a dataset, summed up in the form in which a scan knows a file of many rows."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from typing import Any

import numpy as np

from dltool.core.finding import Severity
from dltool.core.measured.scan_pictures import ConstantImage
from dltool.diagnostics.scan.dataset.leaf_column import MOST_ROWS, LeafColumn
from dltool.diagnostics.scan.dataset.leaves import Leaf, is_input, label_of, leaves_of
from dltool.diagnostics.scan.dataset.reading import Raised, Read
from dltool.scanning.digest import digest_of
from dltool.scanning.gather.labels import CLASS_SHARE, FEW_LABELS
from dltool.scanning.gather.names import holds_masks
from dltool.scanning.record import Flaw, Inspection, RowGroup, TableFacts

FORMAT = "dataset"
STRUCTURE = "(parts)"
MOST_EXAMPLES = 16
MOST_GROUPS = 1000
ROWS_TOLD = 1000
MOST_LABELS = 10_000
PICTURE_VALUES = 16
"""Two dimensions and so many numbers: fewer are equal by chance."""


class Survey:
    """Sees every sample of one part once."""

    def __init__(self, path: str, file: str) -> None:
        self.path, self.file = path, file
        self.samples = 0
        self.columns: dict[str, LeafColumn] = {}
        self.structure = LeafColumn(STRUCTURE)
        self.examples: dict[tuple[str, ...], Any] = {}
        """A sample of each form, by the types and shapes of its parts."""
        self.constant: list[ConstantImage] = []
        self.pictures: Counter[tuple[str, str]] = Counter()
        self.read_bytes = 0
        self._raised: dict[tuple[str, str, str | None], list[int]] = {}
        self._said: dict[tuple[str, str, str | None], Raised] = {}
        self._hashes, self._rows, self._label_codes = array("Q"), array("q"), array("q")
        self._labels: Counter[str] = Counter()
        self._label_code: dict[str, int] = {}
        self._target: str | None = None
        self._classes = True

    def add(self, read: Read) -> None:
        """One sample, or what was raised in its place."""
        self.samples += 1
        if read.raised is not None:
            key = (read.raised.kind, re.sub(r"\d+", "#", read.raised.said), read.raised.place)
            self._raised.setdefault(key, []).append(read.row)
            self._said.setdefault(key, read.raised)
            return
        leaves = leaves_of(read.value)
        form = tuple(f"{leaf.name}: {leaf.signature}" for leaf in leaves)
        if len(self.examples) < MOST_EXAMPLES:
            self.examples.setdefault(form, read.value)
        self.structure.add(Leaf("", None, f"<{', '.join(leaf.name for leaf in leaves)}>"), read.row)
        for leaf in leaves:
            column = self.columns.get(leaf.name)
            if column is None:
                column = self.columns[leaf.name] = LeafColumn(leaf.name)
            column.add(leaf, read.row)
            self.read_bytes += 0 if leaf.array is None else leaf.array.nbytes
        label = label_of(leaves)
        blank = self._note_constant(leaves, read.row)
        self._note_content([leaf for leaf in leaves if leaf is not label], self._note_label(label), read.row, blank=blank)

    def inspection(self, remarks: list[tuple[str, str]]) -> Inspection:
        """Everything, as a scan knows a table: a row is a sample."""
        columns = [
            facts
            for name, column in self.columns.items()
            for facts in column.facts(_dtype(column), is_target=name == self._target)
        ]
        groups, count = self._equal()
        flaws = [*self._raised_flaws(), *(Flaw(
            rule="corrupt-file", kind=kind, severity=Severity.WARNING, detail=detail) for kind, detail in remarks
        )]  # fmt: skip
        flaws += [flaw for column in self.columns.values() for flaw in column.flaws(column.name)]
        table = TableFacts(
            rows=self.samples,
            columns=tuple(columns),
            target=self._target,
            labels=self._counted(),
            equal_rows=groups,
            equal_row_count=count,
            row_hashes=self._row_hashes(),
        )
        return Inspection(format=FORMAT, size_bytes=self.read_bytes, flaws=tuple(flaws), table=table)

    @property
    def raised_rows(self) -> set[int]:
        """Samples that could not be read."""
        return {row for rows in self._raised.values() for row in rows}

    @property
    def classes(self) -> list[str]:
        """Labels that are classes: few, or whole numbers with many samples each."""
        few = len(self._labels) <= max(FEW_LABELS, CLASS_SHARE * self.samples)
        return [label for label, _ in self._counted()] if few else []

    def _raised_flaws(self) -> list[Flaw]:
        found = []
        for key, rows in self._raised.items():
            raised = self._said[key]
            place = "" if raised.place is None else f" ({raised.place})"
            if raised.how in {"raises", "memory"} and raised.kind != "memory":
                who = (
                    f"sample {rows[0]} raises" if len(rows) == 1 else f"{len(rows):,} samples raise, the first at {rows[0]},"
                )
                detail = f"{who} {raised.kind}: {raised.said}{place}"
            else:
                more = "" if len(rows) == 1 else f" (and {len(rows) - 1:,} more)"
                detail = f"sample {rows[0]}{more} {raised.said}{place}"
            found.append(
                Flaw(
                    rule="corrupt-file",
                    kind=raised.how,
                    severity=Severity.ERROR,
                    detail=detail,
                    row=rows[0],
                    rows=tuple(rows[:MOST_ROWS]),
                    count=len(rows),
                )
            )
        return found

    def _note_label(self, label: Leaf | None) -> int:
        """Its code; -1 for none."""
        if label is None:
            return -1
        self._target = label.name
        if label.array is None:
            text = label.word
        else:
            value = label.array.reshape(-1)[0].item()
            self._classes = self._classes and label.array.dtype.kind in "iub"
            text = str(int(value)) if isinstance(value, bool | int) else str(value)
        if len(self._label_code) <= MOST_LABELS or text in self._label_code:
            self._labels[text] += 1
        return self._label_code.setdefault(text, len(self._label_code))

    def _counted(self) -> tuple[tuple[str, int], ...]:
        if not self._classes or len(self._label_code) > MOST_LABELS:
            return ()
        return tuple(sorted(self._labels.items(), key=lambda pair: (-pair[1], pair[0])))

    def _note_constant(self, leaves: list[Leaf], row: int) -> bool:
        """Whether all that the sample gives to a model are pictures of one value."""
        given = [leaf.array for leaf in leaves if is_input(leaf) and leaf.array is not None]
        pictures = [each for each in given if each.ndim >= 2 and each.size >= PICTURE_VALUES]
        if not pictures or len(pictures) < len(given):
            return False
        first = pictures[0]
        height, width = (
            (first.shape[0], first.shape[1]) if first.ndim == 2 or first.shape[-1] in {1, 3, 4} else first.shape[-2:]
        )
        self.pictures[str(first.dtype), f"{width}x{height}"] += 1
        if not all(each.min() == each.max() for each in pictures):
            return False
        scale = 255.0 if first.dtype == np.uint8 else 1.0
        self.constant.append(
            ConstantImage(
                path=self.path,
                file=self.file,
                row=row,
                width=int(width),
                height=int(height),
                brightness=float(first.flat[0]) / scale,
                span=0.0,
                mask=any(holds_masks(f"{leaf.name}/0.png") for leaf in leaves[:1]),
            )
        )
        return True

    def _note_content(self, leaves: list[Leaf], label: int, row: int, *, blank: bool) -> None:
        if blank or not leaves:
            return
        parts = [part for leaf in leaves for part in _bytes_of(leaf)]
        self._hashes.append(int(digest_of(b"\x1f".join(parts)).partition(":")[2][:16], 16))
        self._rows.append(row)
        self._label_codes.append(label)

    def _equal(self) -> tuple[tuple[RowGroup, ...], int]:
        hashes = np.frombuffer(self._hashes, np.uint64) if len(self._hashes) else np.empty(0, np.uint64)
        if not len(hashes):
            return (), 0
        order = np.argsort(hashes, kind="stable")
        starts = np.flatnonzero(np.r_[True, hashes[order][1:] != hashes[order][:-1]])
        ends = np.r_[starts[1:], len(order)]
        names = list(self._label_code)
        several = [order[start:end] for start, end in zip(starts, ends, strict=True) if end - start > 1]
        groups = []
        for members in sorted(several, key=lambda at: self._rows[int(at[0])])[:MOST_GROUPS]:
            labels = sorted({names[self._label_codes[at]] for at in members.tolist() if self._label_codes[at] >= 0})
            rows = tuple(self._rows[at] for at in members[:ROWS_TOLD].tolist())
            told = tuple(labels) if self._classes and len(labels) > 1 else ()
            groups.append(RowGroup(rows=rows, count=len(members), labels=told))
        return tuple(groups), sum(map(len, several))

    def _row_hashes(self) -> bytes:
        """In the order of rows where each has one, so that shared rows can be named."""
        hashes = np.frombuffer(self._hashes, np.uint64) if len(self._hashes) else np.empty(0, np.uint64)
        return (hashes if len(hashes) == self.samples else np.unique(hashes)).astype("<u8").tobytes()


def _bytes_of(leaf: Leaf) -> tuple[bytes, bytes]:
    head = f"{leaf.name}\x1e{leaf.signature}".encode("utf-8", "surrogatepass")
    if leaf.array is None:
        return head, leaf.word.encode("utf-8", "surrogatepass")
    return head, np.ascontiguousarray(leaf.array).tobytes()


def _dtype(column: LeafColumn) -> str:
    usual = max(column.rows_of, key=lambda form: len(column.rows_of[form]))
    return usual.partition(" ")[0]
