"""Samples by class and split, from folders, a manifest or the target column of tables."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from dltool.core.file_names import printable
from dltool.core.measured.scan import Sample
from dltool.core.measured.scan_classes import ClassCount, ClassTable, LabelKind, LabelSource
from dltool.core.measurements import Section
from dltool.scanning.gather.formats import is_sample
from dltool.scanning.record import Entry

MOST_LABELS = 100_000
"""More than there are words in most vocabularies: beyond, labels are values or texts."""

FEW_LABELS = 20
"""So many different labels may be classes however few samples there are."""

MOSTLY_DIFFERENT = 0.5
"""Distinct names over samples, above which they are no classes: half of them stand alone."""

CLASS_SHARE = 0.05
"""The same for whole numbers, which may as well be years or counts: of a class there are twenty samples on average."""

EXAMPLES = 5
MOST_EXAMPLES = 1000
ALL_EXAMPLES = 10_000
RARE_SHARE = 0.2
"""A label that has so few samples, of those that the largest class has (or five), may be a stray: they are named."""

STRAY_SHARE = 0.05
"""So many of the samples may have words for labels where all others are whole numbers, and be the odd ones."""

INTEGER = re.compile(r"\s*[+-]?\d+(?:\.0*)?\s*")
NOT_A_NUMBER = frozenset({"", "nan", "none", "null", "na", "n/a", "inf", "-inf", "+inf", "infinity", "-infinity"})


class Labels:
    """Collects ``ClassTable``.

    Args:
        source: where ``Item.label`` comes from.
        outputs: classes that the model tells apart, where that is known.
        batch_size: samples of a batch, where that is known.
    """

    def __init__(
        self, source: LabelSource = "folders", *, outputs: int | None = None, batch_size: int | None = None
    ) -> None:
        self._of_files = _Tally(source)
        self._of_rows = _Tally("column")
        self._outputs = outputs
        self._batch_size = batch_size

    def add(self, entry: Entry) -> None:
        """Count the label of a file, or those of its rows."""
        item, table = entry.item, entry.found.table
        split = "" if item.split is None else printable(item.split)
        if table is not None and table.target is not None:
            self._of_rows.column = table.target
            rows = dict(table.label_rows)
            for label, count in table.labels:
                self._of_rows.add(printable(label), split, count, item.name, rows.get(label, ()))
        elif item.label is not None and is_sample(entry):
            self._of_files.add(printable(item.label), split, 1, item.name, None)

    def sections(self) -> Iterator[Section]:
        """A ``ClassTable`` of whichever source labels more samples; nothing where nothing is labelled."""
        tally = max(self._of_rows, self._of_files, key=lambda tally: tally.samples)
        if tally.samples:
            yield tally.table(self._outputs, self._batch_size)


class _Tally:
    """Labels of one source."""

    def __init__(self, source: LabelSource) -> None:
        self.source = source
        self.column: str | None = None
        self.samples = 0
        self._counts: dict[str, Counter[str]] = {}
        self._splits: Counter[str] = Counter()
        self._examples: dict[str, list[Sample]] = {}
        self._overflowed = False

    def add(self, label: str, split: str, count: int, name: str, rows: Sequence[int] | None) -> None:
        """``count`` samples; ``rows`` of the file are these, as far as they are known, None where it is the sample."""
        self.samples += count
        self._splits[split] += count
        if self._overflowed:
            return
        self._counts.setdefault(label, Counter())[split] += count
        examples = self._examples.setdefault(label, [])
        if len(examples) < self._most_examples():
            path = printable(name)
            examples += [Sample(path=path)] if rows is None else [Sample(path=path, row=row) for row in rows]
        if len(self._counts) > MOST_LABELS:
            self._overflowed = True
            self._examples.clear()

    def _most_examples(self) -> int:
        """Of one label: fewer where there are many, so that all together stay few."""
        return max(EXAMPLES + 1, min(MOST_EXAMPLES, ALL_EXAMPLES // len(self._counts)))

    def table(self, outputs: int | None, batch_size: int | None) -> ClassTable:
        kind, labels = _sorted(self._counts)
        odd = sorted(set(self._counts) - set(labels))
        most = {"names": MOSTLY_DIFFERENT, "integers": CLASS_SHARE, "numbers": 0.0}[kind] * self.samples
        differ = self._overflowed or (self.source != "folders" and len(labels) > max(FEW_LABELS, most))
        rare = max(EXAMPLES, RARE_SHARE * max(counts.total() for counts in self._counts.values()))
        splits = {} if set(self._splits) == {""} else dict(self._splits)
        return ClassTable(
            source=self.source,
            column=self.column,
            kind=kind,
            samples=self.samples,
            distinct=len(labels),
            classes=() if differ else tuple(self._class(label, splits, rare) for label in labels),
            splits=splits,
            nearly_all_differ=differ,
            not_numbers=tuple(self._class(label, splits, rare) for label in odd),
            outputs=outputs,
            batch_size=batch_size,
        )

    def _class(self, label: str, splits: Mapping[str, int], rare: float) -> ClassCount:
        counts, examples = self._counts[label], self._examples.get(label, [])
        return ClassCount(
            label=label,
            samples=counts.total(),
            splits={split: counts[split] for split in splits},
            examples=tuple(examples) if len(examples) == counts.total() <= rare else (),
        )


def _sorted(labels: Mapping[str, Counter[str]]) -> tuple[LabelKind, list[str]]:
    """Kind and order of labels; words, for missing values and other ones, stand apart where all others are numbers."""
    real = [label for label in labels if label.strip().lower() not in NOT_A_NUMBER]
    whole = [label for label in real if INTEGER.fullmatch(label)]
    if 1 < len(whole) < len(real):
        counts = {label: labels[label].total() for label in real}
        if sum(counts.values()) - sum(counts[label] for label in whole) <= STRAY_SHARE * sum(counts.values()):
            real = whole
    if real and all(INTEGER.fullmatch(label) for label in real):
        return "integers", sorted(real, key=lambda label: (int(float(label)), label))
    if real and all(_finite(label) for label in real):
        return "numbers", sorted(real, key=lambda label: (float(label), label))
    return "names", sorted(labels)


def _finite(label: str) -> bool:
    try:
        return math.isfinite(float(label))
    except ValueError:
        return False
