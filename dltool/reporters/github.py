"""Workflow commands of GitHub Actions: annotations at the lines of a pull request."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping

from dltool.core.finding import Finding, Severity
from dltool.core.report import Report
from dltool.reporters.outcome import counted, findings_told, rules_passed
from dltool.reporters.place import Ground, file_of, line_of
from dltool.reporters.prose import causes_of, reasons
from dltool.reporters.set_aside import lines_told
from dltool.reporters.visible import shortened, visible

COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}

SHOWN_OF_A_KIND = 10
"""GitHub shows that many errors, warnings and notices of a step, and drops others (docs.github.com, "Workflow commands")."""

LINES_ASIDE = 100
"""Of what is known, ignored or ignored in vain: it goes into the log alone."""

LONGEST = 4000
"""The runner cuts messages at 4,096 characters (actions/runner, ExecutionContext)."""


class GithubReporter:
    """At most ten commands of each severity, the gravest root causes first, and then a line that says how many there are."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground

    def render(self, report: Report) -> str:
        """One command a line; the last lines are plain text for the log."""
        causes = causes_of(report)
        shown: Counter[Severity] = Counter()
        lines = []
        for finding in report.findings:
            shown[finding.severity] += 1
            if shown[finding.severity] <= SHOWN_OF_A_KIND:
                lines.append(self._command(finding, report, causes))
        return "".join(f"{line}\n" for line in (*lines, *_told(report, shown)))

    def _command(self, finding: Finding, report: Report, causes: Mapping[str, Finding]) -> str:
        file, line = file_of(finding, report), line_of(finding)
        properties = {
            "file": None if file is None else _named(self.ground.shown(file)),
            "line": None if line is None else str(line),
            "title": visible(f"{finding.name} ({finding.rule})"),
        }
        text = [visible(finding.message), *(f"{label}: {said}" for label, said in reasons(finding, causes))]
        given = ",".join(f"{key}={escaped_property(value)}" for key, value in properties.items() if value is not None)
        return f"::{COMMANDS[finding.severity]} {given}::{escaped(shortened(chr(10).join(text), LONGEST))}"


def escaped(text: str) -> str:
    """What follows the second ``::``, as the runner's ActionCommand reads it back."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escaped_property(text: str) -> str:
    """The value of a property."""
    return escaped(text).replace(":", "%3A").replace(",", "%2C")


def _named(file: str) -> str:
    """A file name as it is, line ends included; only what would reach a terminal, or no log at all, is spelt out."""
    return re.sub(r"[^\r\n]+", lambda match: visible(match[0]), file)


def _told(report: Report, found: Counter[Severity]) -> Iterator[str]:
    left_out = [counted(s, found[s] - SHOWN_OF_A_KIND) for s in reversed(Severity) if found[s] > SHOWN_OF_A_KIND]
    interrupted = "interrupted; " if report.run.interrupted else ""
    # The runner obeys its older commands, ##[name], wherever they stand in a line of text.
    what = visible(f"dltool {report.command} {report.target}").replace("##[", "#\\x23[")
    yield f"{what}: {interrupted}{findings_told(report)}; {rules_passed(report, skipped=True)}"
    yield from (visible(line).replace("##[", "#\\x23[") for line in lines_told(report)[:LINES_ASIDE])
    if left_out:
        yield f"not annotated, as GitHub shows {SHOWN_OF_A_KIND} of a kind: {', '.join(left_out)}; --format json has all"
