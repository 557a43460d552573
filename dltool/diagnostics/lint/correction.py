"""The lines of a spec that a finding is about, and those that belong in their place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from dltool.core.codec import encode
from dltool.core.finding import Finding
from dltool.specs.edit import changes_of, corrected, hunks


def with_lines(finding: Finding, file: str, text: str) -> Finding:
    """A finding with ``written``, its line of the spec ``file``, and the ``correction`` that its ``change`` comes to.

    Both are evidence. There is no correction where the change has no place of its own in this file's ``text``.
    """
    if finding.where.file != file or finding.where.line is None or not text:
        return finding
    lines = text.splitlines()
    evidence: dict[str, object] = dict(finding.evidence)
    if finding.where.line <= len(lines):
        evidence["written"] = lines[finding.where.line - 1].strip()
    suggested = finding.evidence.get("change")
    if isinstance(suggested, list | tuple) and all(isinstance(each, Mapping) for each in suggested):
        new = corrected(file, text, changes_of(suggested))
        if new is not None and new != text:
            evidence["correction"] = [encode(hunk) for hunk in hunks(text, new)]
    return replace(finding, evidence=evidence)
