"""The report as lines of JSON, so that a reader can take findings one by one."""

from __future__ import annotations

import json
from typing import Any

from dltool.core.report import Report
from dltool.reporters.visible import well_formed


class JsonlReporter:
    """First the report without its findings, then each finding, as in the JSON report but for two keys.

    Every line has ``type`` ("report" or "finding"), and the first one ``findings_count``, by which a reader knows a
    file that was cut off. Lines are ASCII: no encoding can spoil them, and nothing but the newline ends one.
    """

    def render(self, report: Report) -> str:
        """One JSON object a line, the findings in the order of the report."""
        data = report.to_dict()
        findings = data.pop("findings")
        lines = [{"type": "report", **data, "findings_count": len(findings)}]
        lines += [{"type": "finding", **finding} for finding in findings]
        return "".join(_line(line) for line in lines)


def _line(data: dict[str, Any]) -> str:
    return json.dumps(well_formed(data), allow_nan=False) + "\n"
