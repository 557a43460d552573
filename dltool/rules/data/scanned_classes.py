"""What a scan's count of classes says of classes that are missing: in the labels, in a split, or in batches."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.scan_classes import ClassTable
from dltool.rules.base import Rule
from dltool.rules.data.classes import absence_probability, are_classes, block_in, train_split, training_counts, whole_numbers
from dltool.rules.data.columns import listed
from dltool.rules.data.flawed import members

STRATIFY = ("stratify the split, so that every class is in every part of it",)


def gaps(rule: Rule, table: ClassTable) -> Iterator[Finding]:
    """Numbers that no sample has, between those that some have; with a model, of all its outputs."""
    labels = whole_numbers(table)
    if not labels:
        return
    block = block_in(table)
    missing: tuple[int, ...] = block.gaps
    if table.outputs is not None:
        missing = tuple(sorted(set(range(table.outputs)) - set(labels)))
    elif len(missing) * 2 > len(block.classes):  # numbers with so many gaps are names: a few classes out of a catalogue
        return
    if missing:
        total = table.outputs or len(block.classes) + len(missing)
        yield rule.finding(
            f"no sample belongs to {len(missing)} of {total} classes: {listed([str(label) for label in missing])}",
            severity=None if are_classes(table) else Severity.INFO,
            where=Where(phase="input", key="classes"),
            evidence={"kind": "gap", "missing": missing, "classes": total},
            limit={"samples_per_class": 1},
            advice=("gather samples of these classes, or renumber the labels and give the last layer fewer outputs",),
        )


def unseen_in_training(rule: Rule, table: ClassTable) -> Iterator[Finding]:
    """Classes that another split has and the one for training lacks; and the other way round, which matters less."""
    train = train_split(table)
    if train is None:
        return
    for split in table.splits:
        here = {each.label: each.splits.get(split, 0) for each in table.classes}
        there = {each.label: each.splits.get(train, 0) for each in table.classes}
        lacking = [label for label, count in here.items() if count and not there[label]]
        unchecked = [label for label, count in there.items() if count and not here[label]]
        if lacking:
            samples = [sample for each in table.classes if each.label in lacking for sample in each.examples]
            yield rule.finding(
                f"split {train} has no sample of {_classes(lacking)} that split {split} has: {listed(lacking)}",
                where=Where(phase="input", key=f"{split} only"),
                evidence={"kind": "split", "split": split, "missing": lacking, "samples": members(samples)},
                limit={"samples_per_class": 1},
                advice=STRATIFY,
            )
        if unchecked and any(here.values()):
            yield rule.finding(
                f"split {split} has no sample of {_classes(unchecked)} that split {train} has: {listed(unchecked)}",
                severity=Severity.INFO,
                where=Where(phase="input", key=f"{split} lacks"),
                evidence={"kind": "split", "split": split, "missing": unchecked},
                limit={"samples_per_class": 1},
                advice=STRATIFY,
            )


def tiny(rule: Rule, table: ClassTable, limits: Mapping[str, float]) -> Iterator[Finding]:
    """Classes with a handful of samples where others have many."""
    counts = {label: count for label, count in training_counts(table) if count > 0}
    if len(counts) < 2:
        return
    usual = statistics.median(counts.values())
    few = [label for label, count in counts.items() if count < limits["tiny"] and count * limits["times"] <= usual]
    if few:
        samples = [sample for each in table.classes if each.label in few for sample in each.examples]
        yield rule.finding(
            f"fewer than {limits['tiny']:.0f} samples in {_classes(few)}, where half of the classes have {usual:,.0f} "
            f"or more: {listed(few)}",
            where=Where(phase="input", key="tiny classes"),
            evidence={
                "kind": "tiny",
                "classes": {label: counts[label] for label in few},
                "median": usual,
                "samples": members(samples),
            },
            limit=dict(limits),
            advice=("gather samples of these classes, or take them together; look whether their names are misspelt",),
        )


def absent_from_batches(rule: Rule, table: ClassTable, limits: Mapping[str, float]) -> Iterator[Finding]:
    """Classes that most batches do without, although batches are large enough to show every class of average size."""
    counts = {label: count for label, count in training_counts(table) if count > 0}
    total, batch = sum(counts.values()), table.batch_size
    if batch is None or len(counts) < 2:
        return
    usual = absence_probability(total, total // len(counts), batch)
    absent = {label: absence_probability(total, count, batch) for label, count in counts.items()}
    rare = {label: chance for label, chance in absent.items() if chance >= limits["absent"]}
    if rare and usual <= limits["usual"]:
        worst = max(rare, key=lambda label: rare[label])
        yield rule.finding(
            f"batches of {batch:,} lack class {worst} in {rare[worst]:.1%} of the cases; absent "
            f"from {limits['absent']:.0%} or more of them: {listed(list(rare))}",
            severity=Severity.INFO,
            where=Where(phase="input", key="classes in batches"),
            evidence={"kind": "batch", "batch_size": batch, "absent_ratio": rare, "usual_ratio": usual},
            limit=dict(limits),
            advice=("sample the rare classes more often (WeightedRandomSampler)", "take larger batches"),
        )


def _classes(labels: list[str]) -> str:
    return "1 class" if len(labels) == 1 else f"{len(labels)} classes"
