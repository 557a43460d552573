"""A finding in plain words, for formats that take text: labelled lines, each on one line."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from dltool.core.finding import Finding
from dltool.core.report import Report
from dltool.reporters.place import places
from dltool.reporters.table.words import worded
from dltool.reporters.visible import visible


def causes_of(report: Report) -> dict[str, Finding]:
    """Findings by fingerprint, to look up ``caused_by``: a known cause explains a new symptom."""
    aside = {each.finding.fingerprint: each.finding for each in report.suppressed}
    return aside | {finding.fingerprint: finding for finding in report.findings}


def reasons(finding: Finding, causes: Mapping[str, Finding]) -> Iterator[tuple[str, str]]:
    """What explains a finding and what cures it, as label and text."""
    cause = causes.get(finding.caused_by or "")
    if cause is not None:
        yield "because of", visible(f"{cause.name} ({cause.rule})")
    if finding.cause is not None:
        yield "cause", visible(finding.cause)
    for index, advice in enumerate(finding.advice):
        yield "fix" if index == 0 else "or", visible(advice)


def numbers_of(finding: Finding) -> Iterator[tuple[str, str]]:
    """Evidence and limit, each in one sentence, without what does not apply."""
    for label, values in (("evidence", finding.evidence), ("limit", finding.limit)):
        known = _known(values)
        if known:
            yield label, visible(", ".join(f"{key.replace('_', ' ')} {worded(item)}" for key, item in known.items()))


def _known(value: Any) -> Any:
    """Plain data without nulls and empty lists, at any depth."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, Mapping):
        kept = {key: _known(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item is not None and item not in ([], {})}
    return [_known(item) for item in value] if isinstance(value, list | tuple) else value


def place_of(finding: Finding) -> str:
    """Everything that is known of the place."""
    return visible(", ".join(places(finding.where)))


def paragraph(finding: Finding, causes: Mapping[str, Finding]) -> str:
    """The finding in full: severity and message, then its place, reasons and numbers, indented by two."""
    lines = [f"{finding.severity}: {visible(finding.message)}"]
    where = place_of(finding)
    rows = ([("where", where)] if where else []) + [*reasons(finding, causes), *numbers_of(finding)]
    return "\n".join([*lines, *(f"  {label}: {text}" for label, text in rows)])
