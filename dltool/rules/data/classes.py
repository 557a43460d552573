"""Classes of scanned samples, as the rules on labels look at them."""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from dltool.core.measured.scan_classes import ClassCount, ClassTable

IGNORED = -100
"""What PyTorch's cross_entropy passes over by default (``ignore_index``)."""

CLASS_NAME = re.compile(r"(?:^|[^a-z])(?:labels?|class(?:es)?|cls|categor(?:y|ies))(?:[^a-z]|$)")
"""Names of columns that say that their numbers are classes, and no ratings, grades or counts."""

STRAY_SAMPLES, RARE_TIMES, FAR = 5, 10, 3
"""A stray label has fewer samples than this, the median class so many times as many; and it is so far from the others."""

TAIL = 5
"""Numbers that some samples have so many times as often as others are counts, which may run far out."""

TRAIN = ("train", "training")
NO_CLASSES = "the labels are nearly all different: values or texts, not classes"


@dataclass(frozen=True, slots=True)
class Block:
    """Whole-number labels: those that count classes without big gaps, and the odd ones out on either side of them."""

    classes: tuple[int, ...]
    below: tuple[int, ...]
    beyond: tuple[int, ...]

    @property
    def gaps(self) -> tuple[int, ...]:
        """Numbers between the lowest and the highest class that no sample has."""
        return tuple(sorted(set(range(self.classes[0], self.classes[-1] + 1)) - set(self.classes)))


def whole_numbers(table: ClassTable) -> tuple[int, ...]:
    """Labels that index outputs, ascending, ``ignore_index`` left out; none where names are only written as numbers.

    Folders named 1, 2, 3 are no such labels: readers number folders themselves, from 0.
    """
    if table.kind != "integers" or table.source == "folders":
        return ()
    return tuple(sorted({int(float(each.label)) for each in table.classes if each.samples} - {IGNORED}))


def are_classes(table: ClassTable) -> bool:
    """Whether something says so: the model, the column's name, or the manifest, which gives labels under one that does."""
    return table.outputs is not None or table.column is None or CLASS_NAME.search(table.column.lower()) is not None


def block_of(labels: Sequence[int]) -> Block:
    """Classes and odd ones out.

    Below stands a single negative number under classes from 0 or 1 (-1 to 9, but not -1, 0, 1, a scale). Beyond stands a
    single number at least ten after and at twice the highest class (0 to 20 and 255).

    Args:
        labels: ascending, at least one.
    """
    negative = tuple(label for label in labels if label < 0)
    rest = tuple(label for label in labels if label >= 0)
    counts = len(rest) >= 2 and rest[0] <= 1
    below = negative if counts and len(negative) == 1 and -negative[0] != rest[-1] else ()
    far = len(rest) >= 3 and counts and rest[-1] >= max(rest[-2] + 10, 2 * rest[-2]) and _is_dense(rest[:-1])
    beyond = rest[-1:] if far else ()
    classes = tuple(label for label in labels if label not in {*below, *beyond})
    return Block(classes=classes, below=below, beyond=beyond)


def block_in(table: ClassTable) -> Block:
    """``block_of`` a table's labels, where a handful of samples far from all others stand apart too (7 beside 0 to 2).

    Args:
        table: with at least one whole number (``whole_numbers``).
    """
    block = block_of(whole_numbers(table))
    counts = {label: sum(each.samples for each in labelled(table, (label,))) for label in block.classes}
    usual = statistics.median(counts.values())
    frequent = [label for label in block.classes if counts[label] >= STRAY_SAMPLES or counts[label] * RARE_TIMES > usual]
    tails_off = max(map(counts.__getitem__, frequent), default=0) > TAIL * min(map(counts.__getitem__, frequent), default=0)
    if len(frequent) < 2 or not _is_dense(frequent) or (tails_off and not are_classes(table)):
        return block
    below = tuple(label for label in block.classes if label <= frequent[0] - FAR)
    beyond = tuple(label for label in block.classes if label >= frequent[-1] + FAR)
    classes = tuple(label for label in block.classes if label not in {*below, *beyond})
    return Block(classes=classes, below=(*block.below, *below), beyond=(*beyond, *block.beyond))


def training_counts(table: ClassTable) -> list[tuple[str, int]]:
    """(class, samples) in the split that is trained on, or in all where there is none; stray labels left out."""
    split = train_split(table)
    labels = whole_numbers(table)
    stray: set[str] = set()
    if labels:
        block = block_in(table)
        stray = {each.label for each in labelled(table, (*block.below, *block.beyond, IGNORED))}
    return [
        (each.label, each.samples if split is None else each.splits.get(split, 0))
        for each in table.classes
        if each.label not in stray
    ]


def train_split(table: ClassTable) -> str | None:
    """The split that is trained on, by its name."""
    return next((split for split in table.splits if split.lower() in TRAIN), None)


def absence_probability(samples: int, of_class: int, batch_size: int) -> float:
    """How likely no sample of a class is among ``batch_size`` drawn without replacement: hypergeometric, exact.

    >>> [round(absence_probability(10, 2, b), 4) for b in (1, 5, 8, 9)]
    [0.8, 0.2222, 0.0222, 0.0]
    """
    if of_class + batch_size > samples:
        return 0.0
    probability = 1.0
    for drawn in range(min(batch_size, of_class)):  # symmetric in the two, so the shorter product will do
        probability *= (samples - max(batch_size, of_class) - drawn) / (samples - drawn)
    return probability


def labelled(table: ClassTable, labels: Sequence[int]) -> list[ClassCount]:
    """The classes of some whole numbers."""
    wanted = set(labels)
    return [each for each in table.classes if int(float(each.label)) in wanted]


def _is_dense(labels: Sequence[int]) -> bool:
    """Whether at most a third of the numbers is missing."""
    return 2 * (labels[-1] - labels[0] + 1) <= 3 * len(labels)
