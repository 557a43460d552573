"""From findings to samples: which are bad, and which of those a clean set does without."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from dltool.core.finding import Finding, Severity
from dltool.core.measured.scan import BadSample

OF_SAMPLES = frozenset(
    {
        "corrupt-file",
        "format-mismatch",
        "unsafe-file",
        "non-finite-value",
        "constant-image",
        "shape-mismatch",
        "suspected-label-error",
        "label-out-of-range",
    }
)
"""Rules whose findings speak against each sample that they name."""

OF_GROUPS = frozenset({"duplicate-sample", "split-leakage"})
"""Rules that name copies: one may stay, of leaked ones that outside the training split."""

NONE_STAYS = frozenset({"two-labels", "placeholder"})
"""Kinds of groups of which no member is right beyond doubt."""

TRAINING = frozenset({"train", "training", "trainset"})


def bad_samples(findings: Iterable[Finding]) -> list[BadSample]:
    """Every sample that a finding names, once for each rule, with the gravest severity."""
    found: dict[tuple[str, int | None, str], Severity] = {}
    for finding in findings:
        for path, row in samples_of(finding):
            key = (path, row, finding.name)
            before = found.get(key)
            if before is None or before.rank < finding.severity.rank:
                found[key] = finding.severity
    return [BadSample(path=path, row=row, name=name, severity=severity) for (path, row, name), severity in found.items()]


def in_order(bad: Iterable[BadSample], lines: Mapping[str, int] | None = None) -> list[BadSample]:
    """In the order of the scan: as files are walked, or by the ``lines`` of the manifest that named them."""

    def place(sample: BadSample) -> tuple[int, list[str], int, str]:
        line = 0 if lines is None else lines.get(sample.path, len(lines))
        return line, sample.path.split("/"), -1 if sample.row is None else sample.row, sample.name

    return sorted(bad, key=place)


def left_out(findings: Iterable[Finding]) -> dict[str, frozenset[int] | None]:
    """What a clean set does without, by path: None for the whole file, otherwise its bad rows.

    Findings of severity info leave everything in, as do those about a set or a column as a whole.
    """
    whole: set[str] = set()
    rows: dict[str, set[int]] = {}
    for finding in findings:
        if finding.severity is Severity.INFO:
            continue
        for path, row in _against(finding):
            if row is None:
                whole.add(path)
            else:
                rows.setdefault(path, set()).add(row)
    out: dict[str, frozenset[int] | None] = {path: frozenset(some) for path, some in rows.items()}
    return out | dict.fromkeys(whole)


def samples_of(finding: Finding) -> Iterator[tuple[str, int | None]]:
    """(path, row) of all samples that a finding names."""
    named = finding.evidence.get("samples")
    for sample in named if isinstance(named, Sequence) else ():
        if isinstance(sample, Mapping) and isinstance(sample.get("path"), str):
            yield sample["path"], sample.get("row")


def _against(finding: Finding) -> Iterator[tuple[str, int | None]]:
    samples = list(samples_of(finding))
    if finding.name in OF_SAMPLES:
        yield from samples
    elif finding.name == "outlier":
        yield from ((path, row) for path, row in samples if row is not None)
    elif finding.name in OF_GROUPS:
        kept = None if finding.evidence.get("kind") in NONE_STAYS else _best(samples, leaked=finding.name == "split-leakage")
        yield from (sample for sample in samples if sample != kept)


def _best(samples: Sequence[tuple[str, int | None]], *, leaked: bool) -> tuple[str, int | None] | None:
    """The copy that stays: the first, of leaked ones the first that is not trained on."""
    untrained = (sample for sample in samples if not TRAINING & set(sample[0].lower().split("/")[:-1]))
    first = samples[0] if samples else None
    return next(untrained, first) if leaked else first
