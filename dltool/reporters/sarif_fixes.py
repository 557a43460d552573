"""Corrected lines as SARIF's fixes (§3.55): whole lines deleted, others inserted in their place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dltool.core.finding import Finding
from dltool.reporters.visible import visible


def fixes(finding: Finding, artifact: Mapping[str, Any]) -> dict[str, Any]:
    """``{"fixes": [...]}`` for a finding that has a correction of the file ``artifact``, else nothing."""
    replacements = list(_replacements(finding))
    if not replacements:
        return {}
    description = {"description": {"text": visible(finding.advice[0])}} if finding.advice else {}
    change = {"artifactLocation": dict(artifact), "replacements": replacements}
    return {"fixes": [{**description, "artifactChanges": [change]}]}


def _replacements(finding: Finding) -> Iterator[dict[str, Any]]:
    hunks = finding.evidence.get("correction")
    for hunk in hunks if isinstance(hunks, list | tuple) else ():
        line, found, new = (hunk.get(key) for key in ("line", "found", "corrected"))
        if isinstance(line, int) and isinstance(found, list | tuple) and isinstance(new, list | tuple):
            region = {"startLine": line, "startColumn": 1, "endLine": line + len(found), "endColumn": 1}
            inserted = {"insertedContent": {"text": "".join(f"{text}\n" for text in new)}} if new else {}
            yield {"deletedRegion": region, **inserted}
