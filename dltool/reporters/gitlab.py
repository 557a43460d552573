"""Code Quality of GitLab (docs.gitlab.com/ci/testing/code_quality): a list of findings, shown in a merge request."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import Any

from dltool.core.finding import Finding, Severity
from dltool.core.report import Report
from dltool.reporters.place import Ground, file_of, line_of
from dltool.reporters.visible import visible, well_formed

SEVERITIES = {Severity.ERROR: "critical", Severity.WARNING: "major", Severity.INFO: "info"}


class GitlabReporter:
    """One JSON array; an empty one says that all is well."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground

    def render(self, report: Report) -> str:
        """An entry for each finding, in the order of the report."""
        seen: Counter[str] = Counter()
        entries = []
        for finding in report.findings:
            fingerprint = finding.fingerprint
            entries.append(self._entry(finding, report, _unique(fingerprint, seen[fingerprint])))
            seen[fingerprint] += 1
        return json.dumps(well_formed(entries), indent=2, ensure_ascii=False) + "\n"

    def _entry(self, finding: Finding, report: Report, fingerprint: str) -> dict[str, Any]:
        return {
            "description": visible(finding.message),
            "check_name": finding.name,
            "fingerprint": fingerprint,
            "severity": SEVERITIES[finding.severity],
            "location": {
                "path": self.ground.shown(file_of(finding, report) or report.target),
                "lines": {"begin": line_of(finding) or 1},
            },
        }


def _unique(fingerprint: str, earlier: int) -> str:
    """GitLab drops an entry whose fingerprint it has seen in the report; the first keeps the one of the other formats."""
    return fingerprint if earlier == 0 else hashlib.sha256(f"{fingerprint} {earlier}".encode()).hexdigest()[:16]
