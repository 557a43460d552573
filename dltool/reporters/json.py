"""The report as JSON, exactly as published (``dltool schema --report``)."""

from __future__ import annotations

from dltool.core import codec
from dltool.core.report import Report


class JsonReporter:
    """JSON, two spaces deep, keys in their documented order, non-finite numbers as strings."""

    def render(self, report: Report) -> str:
        """One JSON object and a newline."""
        return codec.dumps(report.to_dict(), indent=2) + "\n"
