"""From labelled samples to ``SuspectedLabels``: read, cross-validate, doubt, and say where the model is no judge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dltool.core.file_names import printable
from dltool.core.measured.scan_classes import SuspectedLabel, SuspectedLabels
from dltool.scanning.doubt.confident import doubts
from dltool.scanning.doubt.features import unpacked
from dltool.scanning.doubt.models import MODELS, folds, held_out
from dltool.scanning.pool import Job, PoolSettings, inspect_all
from dltool.scanning.record import Entry, Item

INSPECTOR = "dltool.scanning.doubt.features:inspect_features"
LEAST_SAMPLES = 50
FOLDS = 10
LEAST_OF_CLASS = 5
"""Samples of a class below which a model cannot know it; such classes are left out."""

LEAST_SKILL = 0.5
"""Share of the errors of naming the largest class that the model must do without, to be listened to."""

LEAST_MARGIN = 0.5
"""By how much the suggested class must be more probable than the label (benchmarks/label_errors.py)."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sample is found."""

    path: str
    file: str
    row: int | None


def doubted_pictures(items: Sequence[Item], pool: PoolSettings, stopped: Callable[[], bool]) -> SuspectedLabels:
    """Doubts about pictures that are read again, reduced; those that cannot be are left out."""
    features, labels, places = [], [], []
    for item, numbers in _looked_at(items, pool, None, stopped):
        if numbers and item.label is not None:
            features.append(np.frombuffer(numbers, np.uint8) / 255.0)
            labels.append(printable(item.label))
            places.append(Place(printable(item.name), printable(item.path), None))
    return doubted(np.array(features), labels, places)


def doubted_rows(entry: Entry, pool: PoolSettings, stopped: Callable[[], bool]) -> SuspectedLabels:
    """Doubts about the rows of a table."""
    item, table = entry.item, entry.found.table
    assert table is not None
    packed = next((numbers for _, numbers in _looked_at([item], pool, table.target, stopped)), b"")
    if not packed:
        return not_told(0, 0, "no column but the target holds numbers or categories")
    features, labels, rows = unpacked(packed)
    places = [Place(printable(item.name), printable(item.path), row) for row in rows]
    return doubted(features, [printable(label) for label in labels], places)


def _looked_at(
    items: Sequence[Item], pool: PoolSettings, target: str | None, stopped: Callable[[], bool]
) -> Iterator[tuple[Item, bytes]]:
    """Each item with its numbers, empty where there are none; a large table may take its time, as for any look."""
    settings = replace(pool, inspect=replace(pool.inspect, target=target), inspector=INSPECTOR)
    for batch in inspect_all((Job(item, _size_bytes(item)) for item in items), settings, stopped):
        yield from ((done.job.item, done.found.numbers) for done in batch)


def _size_bytes(item: Item) -> int:
    if item.size_bytes is not None:
        return item.size_bytes
    with suppress(OSError):
        return Path(item.path).stat().st_size
    return 0


def doubted(features: NDArray[np.float64], names: Sequence[str], places: Sequence[Place]) -> SuspectedLabels:
    """Cross-validate both models, and doubt the labels by the mean of what they say (better than either on all sets tried).

    Args:
        features: (n, d).
        names: n labels.
        places: n places.
    """
    counts = Counter(names)
    known = sorted(label for label, count in counts.items() if count >= LEAST_OF_CLASS)
    kept = [i for i, name in enumerate(names) if counts[name] >= LEAST_OF_CLASS]
    if len(known) < 2 or len(kept) < LEAST_SAMPLES:
        return not_told(len(kept), len(known), f"{len(kept)} samples of {len(known)} classes are too few to learn from")
    number = {label: i for i, label in enumerate(known)}
    labels = np.array([number[names[i]] for i in kept])
    fold_of = folds(labels, FOLDS)
    guess = np.mean([held_out(model, features[kept], labels, fold_of) for model in MODELS.values()], axis=0)
    accuracy = float((guess.argmax(axis=1) == labels).mean())
    majority = float(np.bincount(labels).max() / len(labels))
    skilled = accuracy - majority >= LEAST_SKILL * (1.0 - majority)
    found = doubts(guess, labels)
    suspects = [
        SuspectedLabel(
            path=places[kept[i]].path,
            file=places[kept[i]].file,
            row=places[kept[i]].row,
            label=known[labels[i]],
            suggested=known[other],
            probability=float(guess[i, labels[i]]),
            suggested_probability=float(guess[i, other]),
        )
        for i, other in zip(found.samples.tolist(), found.suggested.tolist(), strict=True)
        if guess[i, other] - guess[i, labels[i]] >= LEAST_MARGIN
    ]
    return SuspectedLabels(
        samples=len(kept),
        classes=len(known),
        folds=FOLDS,
        model=" and ".join(MODELS),
        accuracy_ratio=accuracy,
        majority_ratio=majority,
        suspects=tuple(suspects) if skilled else (),
        reason_not_told=None if skilled else f"the light model is right in only {accuracy:.0%} of the cases",
    )


def not_told(samples: int, classes: int, reason: str) -> SuspectedLabels:
    """Nobody is doubted, and why."""
    return SuspectedLabels(
        samples=samples,
        classes=classes,
        folds=FOLDS,
        model="none",
        accuracy_ratio=None,
        majority_ratio=None,
        reason_not_told=reason,
    )
