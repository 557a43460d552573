"""Findings about groups of samples that are copies of each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from math import log2, sqrt

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.scan import FINDINGS_A_RULE, Sample
from dltool.core.measured.scan_likeness import LikeGroup, SharedRowsPair
from dltool.rules.base import Rule, Threshold
from dltool.rules.data.flawed import EXAMPLES, members

SPREAD = Threshold(
    name="spread",
    default=3.0,
    unit="bits that the columns of a table spread its rows over, to the bits of its number of pairs of rows",
    source="columns depend on each other: iris, at 1.6, has an equal pair by nature, adult (UCI), at 2.4, has 24; diabetes, "
    "at 3.7, none",
)
"""Above it no two rows of a table are equal by chance."""


def of_group(
    rule: Rule, group: LikeGroup, message: str, *, kind: str, severity: Severity, advice: str, limit: dict[str, float]
) -> Finding:
    """A finding that names every member of a group."""
    first = group.samples[0].path
    return rule.finding(
        message,
        severity=severity,
        where=Where(phase="input", file=group.file, key=f"{first}#similar" if group.kind == "similar" else first),
        evidence={
            "kind": kind,
            "found_by": group.kind,
            "bits": group.bits,
            "labels": group.labels,
            "splits": group.splits,
            "samples": members(Sample(path=sample.path, row=sample.row) for sample in group.samples),
        },
        limit=limit,
        advice=(advice,),
    )


def of_shared_rows(rule: Rule, pair: SharedRowsPair, *, severity: Severity, advice: str) -> Finding:
    """A finding about rows of one table that are also in another."""
    return rule.finding(
        f"{pair.shared:,} of the {pair.table_rows:,} rows of {pair.path} are also in {pair.other}",
        severity=severity,
        where=Where(phase="input", file=pair.file, samples=pair.rows[:EXAMPLES] or None, key=f"{pair.path}#{pair.other}"),
        evidence={
            "kind": "shared-rows",
            "shared": pair.shared,
            "expected_by_chance": pair.expected,
            "other": pair.other,
            "splits": [split for split in (pair.split, pair.other_split) if split is not None],
            "samples": members(
                Sample(path=path, row=row)
                for path, rows in ((pair.path, pair.rows), (pair.other, pair.rows_of_other))
                for row in rows
            ),
        },
        limit={"shared_by_chance": by_chance(pair)},
        advice=(advice,),
    )


def by_chance(pair: SharedRowsPair) -> float:
    """Rows that two tables may share by chance: three standard deviations above what is expected."""
    return pair.expected + 3 * sqrt(pair.expected)


def are_copies(pair: SharedRowsPair, spread: float) -> bool:
    """Whether rows in two tables are equal because they were copied."""
    return not pair.shared <= by_chance(pair) or too_rich(pair.spread_bits, pair.table_rows * pair.other_rows, spread)


def too_rich(spread_bits: float | None, pairs: float, spread: float) -> bool:
    """Whether rows differ in so many ways that no two of ``pairs`` are equal by chance."""
    return spread_bits is not None and spread_bits >= spread * log2(max(pairs, 2))


def named(group: LikeGroup) -> str:
    """The first members, and how many more."""
    return listed([sample.path for sample in group.samples])


def listed(names: Sequence[str]) -> str:
    """Names as a sentence lists them: three, and how many more."""
    if len(names) > 4:
        return f"{', '.join(names[:3])} and {len(names) - 3:,} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def capped(rule: Rule, findings: Iterable[Finding]) -> Iterator[Finding]:
    """The first ``FINDINGS_A_RULE``; the others as one for each severity, which names all their members."""
    every = iter(findings)
    yield from islice(every, FINDINGS_A_RULE)
    more: dict[Severity, list[Finding]] = {}
    for finding in every:
        more.setdefault(finding.severity, []).append(finding)
    for severity, rest in more.items():
        samples = [sample for finding in rest for sample in _samples(finding)]
        first = listed([str(sample["path"]) for sample in samples[:2]])
        yield rule.finding(
            f"{len(rest):,} more groups, {severity}: the first is of {first}",
            severity=severity,
            where=Where(phase="input", key=f"more {rule.name}, {severity}"),
            evidence={"kind": "more", "groups": len(rest), "samples": samples},
            limit={"findings": FINDINGS_A_RULE},
            advice=rest[0].advice,
        )


def _samples(finding: Finding) -> list[dict[str, object]]:
    samples = finding.evidence["samples"]
    assert isinstance(samples, list)
    return samples
