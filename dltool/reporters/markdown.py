"""A page of Markdown (GitHub's and GitLab's) for a comment on a pull request, or for the summary of a job."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from dltool.core.finding import Finding, Severity
from dltool.core.report import Report
from dltool.reporters.markdown_text import code, prose
from dltool.reporters.outcome import findings_told, nothing_judged, rules_passed
from dltool.reporters.place import Ground, shown_line
from dltool.reporters.prose import causes_of, numbers_of, place_of, reasons
from dltool.reporters.set_aside import lines_told
from dltool.reporters.visible import shortened

COMMENT_BYTES = 65_000
"""A comment on GitHub holds 65,536 characters, one on GitLab a million."""

MOST_ROWS = 100
MOST_DETAILS = 20
MOST_ASIDE = 100
ROW_LENGTH = 300
DETAIL_LENGTH = 1_000
MOST_NAMES = 6
ROOM_FOR_THE_END = 2_000

SIGNS = {Severity.ERROR: "✖", Severity.WARNING: "▲", Severity.INFO: "●"}

ANSWERS = {
    "samples_scanned": "samples scanned",
    "steps_run": "steps run",
    "first_bad_step": "first bad step",
    "suggested_lr": "suggested learning rate",
}
"""What a command answers besides findings, by the key of its measurement."""


class MarkdownReporter:
    """Verdict, table of findings, details of the first ones, and what was skipped; never longer than ``limit_bytes``.

    The limit holds from 16 kB on. What does not fit is counted, and the most probable root causes come first.
    """

    def __init__(self, ground: Ground, *, limit_bytes: int = COMMENT_BYTES) -> None:
        self.ground = ground
        self.limit_bytes = limit_bytes

    def render(self, report: Report) -> str:
        """The page."""
        room = self.limit_bytes - ROOM_FOR_THE_END
        page = [*_head(report), ""]
        end = ["", rules_passed(report, skipped=True).capitalize() + "." if report.checks else "", ""]
        room -= _size([*page, *end])
        rows = [] if not report.findings else _fitting(self._rows(report), 1 + MOST_ROWS, room * 2 // 3)
        room -= _size(rows)
        details = _fitting(_details(report), MOST_DETAILS, room * 2 // 3)
        room -= _size(details)
        aside = _fitting(_aside(report), MOST_ASIDE, room * 2 // 3)
        room -= _size(aside)
        skipped = _fitting(_skipped(report), len(report.checks), room)
        rows += _left_out(report, shown=max(0, len(rows) - 1))
        page += [*rows, *_folded("Details", details), *end[:2]]
        page += [*_folded("Known and ignored", aside), *_folded("Skipped rules", skipped)]
        return "\n".join(page).rstrip() + "\n"

    def _rows(self, report: Report) -> Iterator[str]:
        yield "| | finding | where | what |\n|---|---|---|---|"
        for finding in report.findings:
            cells = (
                f"{SIGNS[finding.severity]} {finding.severity}",
                f"{prose(shortened(finding.name, ROW_LENGTH))} ({prose(shortened(finding.rule, ROW_LENGTH))})",
                code(shortened(shown_line(finding, report, self.ground), ROW_LENGTH), in_table=True),
                prose(shortened(finding.message, ROW_LENGTH)),
            )
            yield f"| {' | '.join(cells)} |"


def _head(report: Report) -> Iterator[str]:
    worst = report.worst()
    good = worst is None and not nothing_judged(report) and not report.run.interrupted
    sign = "✔" if good else SIGNS[worst or Severity.WARNING]
    interrupted = "interrupted; " if report.run.interrupted else ""
    yield f"## {sign} dltool {prose(report.command)}: {interrupted}{findings_told(report)}"
    yield ""
    facts = [code(shortened(report.target, ROW_LENGTH))]
    facts += [
        f"{label} {prose(shortened(str(report.measurements[key]), ROW_LENGTH))}"
        for key, label in ANSWERS.items()
        if report.measurements.get(key) is not None
    ]
    yield ", ".join(fact for fact in facts if fact)
    fit = report.measurements.get("fit")
    if isinstance(fit, Mapping):
        reason = prose(shortened(str(fit.get("reason") or ""), DETAIL_LENGTH))
        yield f"\n**Fit: {prose(str(fit.get('status') or 'unknown'))}.** {reason}"


def _left_out(report: Report, *, shown: int) -> list[str]:
    rest = Counter(finding.name for finding in report.findings[shown:])
    if not rest:
        return []
    names = [f"{number:,} {prose(shortened(name, 40))}" for name, number in rest.most_common(MOST_NAMES)]
    others = ["others"] if len(rest) > MOST_NAMES else []
    return ["", f"{rest.total():,} more findings are not shown ({', '.join(names + others)}); `--format json` has all."]


def _details(report: Report) -> Iterator[str]:
    causes = causes_of(report)
    for finding in report.findings:
        title = f"#### {SIGNS[finding.severity]} {prose(shortened(f'{finding.name} ({finding.rule})', ROW_LENGTH))}\n"
        yield "\n".join([title, *(f"- **{label}:** {prose(text)}" for label, text in _facts(finding, causes)), ""])


def _facts(finding: Finding, causes: Mapping[str, Finding]) -> Iterator[tuple[str, str]]:
    yield "what", shortened(finding.message, DETAIL_LENGTH)
    where = place_of(finding)
    if where:
        yield "where", shortened(where, DETAIL_LENGTH)
    for label, text in (*reasons(finding, causes), *numbers_of(finding)):
        yield label, shortened(text, DETAIL_LENGTH)


def _aside(report: Report) -> Iterator[str]:
    return (f"- {prose(shortened(line, DETAIL_LENGTH))}" for line in lines_told(report))


def _skipped(report: Report) -> Iterator[str]:
    for check in report.checks:
        if check.outcome == "skipped":
            yield f"- {prose(shortened(check.rule, ROW_LENGTH))}: {prose(shortened(check.reason or '', ROW_LENGTH))}"


def _folded(title: str, lines: list[str]) -> list[str]:
    """Lines behind a title to click; blank lines make them Markdown again inside of the HTML."""
    return ["", f"<details><summary>{title}</summary>", "", *lines, "", "</details>"] if lines else []


def _fitting(lines: Iterator[str], most: int, room_bytes: int) -> list[str]:
    """The first lines, as many as there may be and as fit."""
    taken: list[str] = []
    for line in lines:
        room_bytes -= _size([line])
        if len(taken) >= most or room_bytes < 0:
            break
        taken.append(line)
    return taken


def _size(lines: list[str]) -> int:
    return sum(len(line.encode("utf-8", "surrogatepass")) + 1 for line in lines)
