"""The values of scanned tables column by column, and the samples class by class."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from dltool.core.measured.scan_classes import ClassCount, ClassTable, SuspectedLabels
from dltool.core.measured.scan_tables import Feature, FeatureTable
from dltool.reporters.numbers import count, percent, plural, significant
from dltool.reporters.table.page import Page
from dltool.reporters.table.scan import plain_table
from dltool.reporters.table.style import QUIET_STYLE, facts, heading, indented, said
from dltool.rules.data.classes import absence_probability, train_split

ROWS = 24
WIDE = 110
SPLITS_SHOWN = 4
NARROW_NAME, WIDE_NAME = 15, 36
BAD_STYLE = "bold red"


def scan_features(page: Page) -> Iterator[RenderableType]:
    """A row for each column: its range, its middle, and what is missing."""
    section = page.measured.get(FeatureTable)
    if section is None or not section.features:
        return
    wide = page.width >= WIDE
    shown = section.features if page.verbose else section.features[:ROWS]
    aside = f"{plural(section.rows, 'row')} in {plural(section.tables, 'table')}"
    if len(shown) < len(section.features) + section.left_out:
        aside += f", {len(shown)} of {count(len(section.features) + section.left_out)} shown"
    yield heading("Columns", page.width, page.sign, aside)
    titles = ["column", "dtype", "min", "max", "mean", "std", "missing", "distinct"]
    table = plain_table([*titles[:6], "median", "NaN", "Inf", *titles[6:]] if wide else titles, left=2, gap=2 if wide else 1)
    for feature in shown:
        table.add_row(*_feature(feature, page, wide=wide))
    yield indented(table)
    yield ""


def _feature(feature: Feature, page: Page, *, wide: bool) -> list[Text]:
    mark = " (target)" if feature.target else ""
    name = said(_cut(feature.name, page, (WIDE_NAME if wide else NARROW_NAME) - len(mark)) + mark)
    dtype = feature.dtypes[0] if len(feature.dtypes) == 1 else "mixed"
    numbers = [feature.minimum, feature.maximum, feature.mean, feature.std]
    cells = [name, said(dtype[:12]), *(said("" if n is None else significant(n)) for n in numbers)]
    infinite = feature.positive_inf + feature.negative_inf
    distinct = said("" if feature.distinct is None else count(feature.distinct), BAD_STYLE if feature.constant else "")
    if wide:
        median = said("" if feature.median is None else significant(feature.median))
        return [*cells, median, _count(feature.nan), _count(infinite), _count(feature.missing), distinct]
    return [*cells, _count(feature.missing + feature.nan + infinite), distinct]


def _count(number: int) -> Text:
    return said(count(number), BAD_STYLE) if number else said("")


def scan_classes(page: Page) -> Iterator[RenderableType]:
    """A row for each class, of many the largest and the smallest, and what a constant answer would score."""
    section = page.measured.get(ClassTable)
    if section is None or not section.classes:
        return
    classes = [each for each in section.classes if each.samples]
    if not page.verbose and len(classes) > ROWS:
        ordered = sorted(classes, key=lambda each: -each.samples)
        classes = [*ordered[: ROWS // 2], *ordered[-ROWS // 2 :]]
    aside = f"{plural(section.samples, 'sample')}, from {section.source}"
    if len(classes) < len(section.classes):
        aside = f"the largest and the smallest of {count(len(section.classes))}"
    yield heading("Classes", page.width, page.sign, aside)
    splits = list(section.splits)[:SPLITS_SHOWN] if len(section.splits) > 1 else []
    batches = ["absent"] if section.batch_size is not None else []
    table = plain_table(["class", "samples", "share", *(split or "(none)" for split in splits), *batches, ""])
    table.columns[-1].justify = "left"  # the bars
    most = max(each.samples for each in section.classes)
    for each in classes:
        table.add_row(*_class(each, section, page, splits, most))
    yield indented(table)
    yield facts(_sums(section, most))
    yield ""


def _class(each: ClassCount, section: ClassTable, page: Page, splits: list[str], most: int) -> list[Text]:
    name = said(_cut(each.label or '""', page, WIDE_NAME if page.width >= WIDE else NARROW_NAME))
    cells = [name, said(count(each.samples)), said(percent(each.samples / section.samples))]
    cells += [said(count(each.splits.get(split, 0)), "" if each.splits.get(split) else BAD_STYLE) for split in splits]
    if section.batch_size is not None:
        split = train_split(section)
        of_class = each.samples if split is None else each.splits.get(split, 0)
        total = section.samples if split is None else section.splits[split]
        cells.append(said(percent(absence_probability(total, of_class, section.batch_size))))
    width = 24 if page.width >= WIDE else 10
    bar = ("█" if page.look.unicode else "#") * math.ceil(width * each.samples / most)
    return [*cells, said(bar.ljust(width), "cyan")]


def _sums(section: ClassTable, most: int) -> Iterator[tuple[str, Text]]:
    yield "baseline", said(f"always naming the largest class is right in {percent(most / section.samples)} of the cases")
    if section.batch_size is not None:
        yield "absent", said(f"how often a batch of {section.batch_size:,} has no sample of the class", QUIET_STYLE)
    for odd in section.not_numbers:
        yield "odd", said(f"{plural(odd.samples, 'sample')} labelled {odd.label!r}", BAD_STYLE)


def scan_labels(page: Page) -> Iterator[RenderableType]:
    """How far the model can be trusted that doubted labels."""
    section = page.measured.get(SuspectedLabels)
    if section is None:
        return
    yield heading("Labels against a light model", page.width, page.sign, plural(section.samples, "sample"))
    rows = [("model", said(f"{section.model}, {section.folds} folds"))]
    if section.accuracy_ratio is not None and section.majority_ratio is not None:
        told = f"right in {percent(section.accuracy_ratio)} of held-out samples; the largest class has "
        rows.append(("accuracy", said(told + percent(section.majority_ratio))))
    told = section.reason_not_told or f"{plural(len(section.suspects), 'label')} disbelieved"
    rows.append(("outcome", said(told)))
    yield facts(rows)
    yield ""


def _cut(name: str, page: Page, room: int) -> str:
    mark = "…" if page.look.unicode else ".."
    return name if len(name) <= room else name[: room - len(mark)] + mark
