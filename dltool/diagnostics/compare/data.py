"""Two scans of data: samples lost, bad ones new or gone, shares of the classes, drift of the columns."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from statistics import NormalDist

from dltool.core.finding import Severity
from dltool.core.measured.compare import Change, ComparedSample, ComparedSamples, ComparedWord
from dltool.core.measured.scan import BadSamples, SamplesScanned
from dltool.core.measured.scan_classes import ClassTable
from dltool.core.measured.scan_tables import Feature, FeatureTable
from dltool.core.measurements import Measurements
from dltool.diagnostics.compare.change import Quantity, change_of

NAMED = 1000
SAMPLES_FACTOR = 1.1
"""A convention: a tenth of the samples is a lot to lose, and less is what cleaning up takes."""
STABILITY_INDEX = 0.2
"""Population stability index above which a distribution counts as shifted (Siddiqi 2006, "Credit risk scorecards")."""
QUANTILE = 0.999
MEAN_SHIFT = 0.2
"""Of a standard deviation: a small effect (Cohen 1988, "Statistical power analysis")."""
SPREAD_FACTOR = 1.5
MISSING_RATIO = 0.05
FEW = 10
"""A class of fewer samples may be absent by chance."""
Z = 4.0
"""Standard errors: of a thousand columns none is off by chance (one in 16,000)."""


def data_changes(before: Measurements, after: Measurements) -> Iterator[Change]:
    """Samples, classes and columns, in this order."""
    first, second = before.get(SamplesScanned), after.get(SamplesScanned)
    if first is not None and second is not None:
        what = Quantity(group="data", name="samples_scanned", key="samples_scanned", scale="ratio", better="higher")
        counts = float(first.samples), float(second.samples)
        yield from _one(change_of(what, *counts, noise=SAMPLES_FACTOR, basis="a convention: a tenth"))
    classes, others = before.get(ClassTable), after.get(ClassTable)
    if classes is not None and others is not None:
        yield from _classes(classes, others)
    table, other = before.get(FeatureTable), after.get(FeatureTable)
    if table is not None and other is not None:
        by_name = {feature.name: feature for feature in other.features}
        for feature in table.features:
            if feature.name in by_name:
                yield from _column(feature, by_name[feature.name])


def data_words(before: Measurements, after: Measurements) -> Iterator[ComparedWord]:
    """Columns and classes that only one side has."""
    for what, names_of in (("columns", _columns), ("classes", _labels)):
        first, second = names_of(before), names_of(after)
        if first is not None and second is not None and set(first) != set(second):
            yield ComparedWord(name=what, before=_only(first, second), after=_only(second, first))


def compared_samples(before: Measurements, after: Measurements) -> ComparedSamples | None:
    """Bad samples that are new or gone; None where a side has no list of them."""
    first, second = before.get(BadSamples), after.get(BadSamples)
    if first is None or second is None:
        return None
    sides = [{(s.path, s.row, s.name): s.severity for s in each.samples} for each in (first, second)]
    new = [_sample(key, severity) for key, severity in sides[1].items() if key not in sides[0]]
    gone = [_sample(key, severity) for key, severity in sides[0].items() if key not in sides[1]]
    return ComparedSamples(
        new_count=len(new),
        gone_count=len(gone),
        kept_count=len(sides[1]) - len(new),
        new=tuple(new[:NAMED]),
        gone=tuple(gone[:NAMED]),
        new_by_rule=Counter(sample.name for sample in new),
    )


def _sample(key: tuple[str, int | None, str], severity: Severity) -> ComparedSample:
    return ComparedSample(path=key[0], row=key[1], name=key[2], severity=severity)


def _classes(before: ClassTable, after: ClassTable) -> Iterator[Change]:
    counts = [{each.label: each.samples for each in table.classes} for table in (before, after)]
    labels = list(dict.fromkeys((*counts[0], *counts[1])))
    if len(labels) < 2 or before.nearly_all_differ or after.nearly_all_differ:
        return
    pairs = [(counts[0].get(label, 0), counts[1].get(label, 0)) for label in labels]
    if not sum(a for a, _ in pairs) or not sum(b for _, b in pairs):
        return
    what = Quantity(group="data", name="class shares, stability index", key="classes")
    noise = max(STABILITY_INDEX, chance_index(pairs))
    basis = "0.2 by convention, or what chance gives once in a thousand"
    yield from _one(change_of(what, 0.0, stability_index(pairs), noise=noise, basis=basis))
    for label, (a, b) in zip(labels, pairs, strict=True):
        if a >= FEW and not b:
            lost = Quantity(group="data", name="samples of a class", key="classes.samples", place=label, better="higher")
            yield from _one(change_of(lost, float(a), 0.0, noise=1.0, basis="a class that was there is not any more"))


def stability_index(pairs: Sequence[tuple[int, int]]) -> float:
    """Population stability index Σ (q − p) ln(q / p) of counts, each with half a sample more, so that none is 0."""
    totals = [sum(pair[side] for pair in pairs) + len(pairs) / 2 for side in (0, 1)]
    shares = [((a + 0.5) / totals[0], (b + 0.5) / totals[1]) for a, b in pairs]
    return math.fsum((q - p) * math.log(q / p) for p, q in shares)


def chance_index(pairs: Sequence[tuple[int, int]]) -> float:
    """What the index exceeds once in a thousand where both sides are drawn from one distribution.

    It is then (1/n + 1/m) χ² with one degree of freedom less than classes (Yurdakul 2018, "Statistical properties of
    population stability index"); the quantile by Wilson & Hilferty 1931.
    """
    freedom = len(pairs) - 1
    spread = 2 / (9 * freedom)
    quantile = freedom * (1 - spread + NormalDist().inv_cdf(QUANTILE) * math.sqrt(spread)) ** 3
    return float(quantile) * sum(1 / max(1, sum(pair[side] for pair in pairs)) for side in (0, 1))


def _column(before: Feature, after: Feature) -> Iterator[Change]:
    """Mean, spread and missing values of one column."""
    rows = [max(1, each.rows - each.missing) for each in (before, after)]
    if before.mean is not None and after.mean is not None and before.std is not None and after.std is not None:
        error = math.hypot(before.std / math.sqrt(rows[0]), after.std / math.sqrt(rows[1]))
        noise = max(MEAN_SHIFT * max(before.std, after.std), Z * error) if math.isfinite(error) else 0.0
        what = Quantity(group="data", name="mean", key="features.mean", place=before.name, better="neither")
        basis = "0.2 standard deviations, and 4 standard errors"
        yield from _one(change_of(what, before.mean, after.mean, noise=noise, basis=basis))
        factor = max(SPREAD_FACTOR, math.exp(Z * math.sqrt(sum(1 / max(1, 2 * (n - 1)) for n in rows))))
        what = Quantity(group="data", name="std", key="features.std", place=before.name, scale="ratio", better="neither")
        yield from _one(change_of(what, before.std, after.std, noise=factor, basis="a factor of 1.5, and 4 standard errors"))
    shares = [each.missing / max(1, each.rows) for each in (before, after)]
    rate = sum(each.missing for each in (before, after)) / max(1, before.rows + after.rows)
    error = math.sqrt(rate * (1 - rate) * sum(1 / max(1, each.rows) for each in (before, after)))
    what = Quantity(group="data", name="missing values", key="features.missing", place=before.name)
    noise = max(MISSING_RATIO, Z * error)
    yield from _one(change_of(what, *shares, noise=noise, basis="a share of 0.05, and 4 standard errors"))


def _columns(measured: Measurements) -> list[str] | None:
    table = measured.get(FeatureTable)
    return None if table is None else [feature.name for feature in table.features]


def _labels(measured: Measurements) -> list[str] | None:
    table = measured.get(ClassTable)
    return None if table is None or table.nearly_all_differ else [each.label for each in table.classes]


def _only(these: Iterable[str], those: Iterable[str]) -> str:
    """The names that the other side lacks, the first five."""
    others = set(those)
    names = [name for name in these if name not in others]
    more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
    return f"only here: {', '.join(names[:5])}{more}" if names else "no others"


def _one(change: Change | None) -> Iterator[Change]:
    if change is not None:
        yield change
