"""Rules as SARIF describes them (§3.49), from the pages that ``dltool explain`` shows."""

from __future__ import annotations

from typing import Any

from dltool.core.finding import Finding, Severity
from dltool.core.report import Report
from dltool.rules.base import Rule
from dltool.rules.catalogue import RULES
from dltool.rules.explain import markdown, page_of

LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def descriptors(report: Report) -> list[dict[str, Any]]:
    """Every rule that was asked or that found something, in the order of the catalogue; those it does not have come last."""
    aside = (each.finding for each in report.suppressed)
    found = {finding.rule: finding for finding in reversed((*report.findings, *aside))}
    wanted = dict.fromkeys([*(check.rule for check in report.checks), *found])
    known = {rule.id for rule in RULES}
    ours = [_descriptor(rule.load()) for rule in RULES if rule.id in wanted]
    return ours + [_bare(id_, found.get(id_)) for id_ in sorted(wanted) if id_ not in known]


def _descriptor(rule: type[Rule]) -> dict[str, Any]:
    page = page_of(rule)
    sections = dict(page.sections)
    text = "\n\n".join(f"{heading}: {said}" for heading, said in page.sections)
    return {
        "id": page.id,
        "name": page.name,
        "shortDescription": {"text": page.summary},
        "fullDescription": {"text": sections["Why it is bad"]},
        "help": {"text": text, "markdown": markdown(page)},
        "defaultConfiguration": {"level": LEVELS[Severity(page.severity)]},
        "properties": {"tags": [page.id[:3], "dltool"]},
    }


def _bare(id_: str, found: Finding | None) -> dict[str, Any]:
    """A rule of another version of dltool, whose report was read back."""
    return {"id": id_} if found is None else {"id": id_, "name": found.name}
