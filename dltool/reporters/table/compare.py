"""Two results side by side: what they are, which findings came and went, and what stands between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from dltool.core.measured.compare import (
    Changes,
    ComparedFinding,
    ComparedFindings,
    ComparedSamples,
    ComparedSides,
    ComparedWords,
    Doubts,
    Side,
)
from dltool.reporters.numbers import plural
from dltool.reporters.table.page import Page
from dltool.reporters.table.style import GOOD_STYLE, QUIET_STYLE, SEVERITY_STYLE, facts, heading, indented, said

MOST_FINDINGS = 12
MOST_SAMPLES = 8


def compare_sides(page: Page) -> Iterator[RenderableType]:
    """Before and after: file, command, target and circumstances."""
    sides = page.measured.get(ComparedSides)
    if sides is None:
        return
    yield heading("Compared", page.width, page.sign)
    words = page.measured.get(ComparedWords)
    rows = [("before", _side(sides.before, page)), ("after", _side(sides.after, page))]
    if sides.before.spec_sha256 != sides.after.spec_sha256 and None not in (
        sides.before.spec_sha256,
        sides.after.spec_sha256,
    ):
        rows.append(("spec", said("not the same")))
    arrow = page.sign.arrow
    rows += [(word.name, said(f"{word.before} {arrow} {word.after}")) for word in (() if words is None else words.words)]
    yield facts(rows)
    yield ""


def _side(side: Side, page: Page) -> Text:
    about = [side.path, side.command, None if side.target is None else side.target]
    if side.kind != "baseline":
        about += [
            None if side.command == "scan" else f"seed {side.seed}",
            side.device,
            side.torch and f"torch {side.torch}",
            f"{side.seconds or 0:.1f} s",
        ]
    return said(page.sign.dot.join([f"{side.kind} {about[0]}", *(str(part) for part in about[1:] if part)]))


def compare_findings(page: Page) -> Iterator[RenderableType]:
    """New, gone and kept findings in a line each; the new ones are told in full further down."""
    compared = page.measured.get(ComparedFindings)
    if compared is None:
        return
    kinds = {"new": compared.new, "gone": compared.gone, "kept": compared.kept, "not judged": compared.unjudged}
    told = ", ".join(f"{sum(_count(each, kind) for each in found):,} {kind}" for kind, found in kinds.items() if found)
    yield heading("Findings before and after", page.width, page.sign, told or "none on either side")
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style=QUIET_STYLE)
    for title in ("", "finding", "where", "before", "after"):
        table.add_column(title, overflow="fold", no_wrap=title in {"", "before", "after"})
    for kind, found in kinds.items():
        limit = len(found) if page.verbose else MOST_FINDINGS
        for each in found[:limit]:
            table.add_row(*_row(kind, each, compared.graver))
        if len(found) > limit:
            table.add_row("", said(f"and {len(found) - limit:,} more {kind}", QUIET_STYLE), "", "", "")
    if table.row_count:
        yield indented(table)
    yield ""
    yield from _samples(page)


def _count(each: ComparedFinding, kind: str) -> int:
    return abs(each.after - each.before) if kind in {"new", "gone"} else each.before


def _row(kind: str, each: ComparedFinding, graver: Sequence[ComparedFinding]) -> list[Text]:
    style = {"new": "bold red", "gone": GOOD_STYLE, "kept": QUIET_STYLE, "not judged": "bold yellow"}[kind]
    label = "graver" if each in graver else kind
    sides = [
        Text("-", QUIET_STYLE) if severity is None else said(_counted(number, severity.value), SEVERITY_STYLE[severity])
        for number, severity in ((each.before, each.severity_before), (each.after, each.severity_after))
    ]
    return [
        said(label, "bold red" if label == "graver" else style),
        said(f"{each.name} {each.rule}"),
        said(each.where),
        *sides,
    ]


def _counted(number: int, severity: str) -> str:
    return severity if number == 1 else f"{number:,} {severity}"


def _samples(page: Page) -> Iterator[RenderableType]:
    samples = page.measured.get(ComparedSamples)
    if samples is None:
        return
    told = f"{samples.new_count:,} new, {samples.gone_count:,} gone, {samples.kept_count:,} as before"
    yield heading("Bad samples", page.width, page.sign, told)
    limit = len(samples.new) if page.verbose else MOST_SAMPLES
    for kind, some, count in (("new", samples.new, samples.new_count), ("gone", samples.gone, samples.gone_count)):
        for each in some[:limit]:
            place = each.path if each.row is None else f"{each.path} row {each.row:,}"
            yield indented(said(f"{kind}  {place}  {each.name}"))
        if count > limit and some:
            yield indented(said(f"{kind}  and {count - min(limit, len(some)):,} more", QUIET_STYLE))
    yield ""


def compare_doubts(page: Page) -> Iterator[RenderableType]:
    """What was not compared, and what else differs: never left out."""
    doubts = page.measured.get(Doubts)
    if doubts is None or not doubts.doubts:
        return
    yield heading("Not compared, or only with care", page.width, page.sign)
    yield facts((doubt.what, said(doubt.reason, "yellow" if doubt.weakens else "")) for doubt in doubts.doubts)
    yield ""


def compare_answer(page: Page) -> Iterator[RenderableType]:
    """One sentence: no difference, nothing worse, or how much is."""
    found, changes = page.measured.get(ComparedFindings), page.measured.get(Changes)
    if found is None or changes is None:
        return
    verdicts = [change.verdict for change in changes.changes]
    moved = sum(verdict in {"worse", "changed"} for verdict in verdicts)
    better = sum(verdict == "better" for verdict in verdicts)
    equal = all(verdict == "equal" for verdict in verdicts)
    came = bool(found.new or found.gone or found.graver or found.unjudged)
    words = page.measured.get(ComparedWords)
    if equal and not came and not (words and words.words):
        about = f" in {plural(len(verdicts), 'measurement')} and all findings" if verdicts else " in the findings"
        yield said(f"{page.sign.good} no difference{about}", GOOD_STYLE)
    elif not moved and not found.new and not found.graver:
        beside = f", {better:,} better" if better else ""
        within = sum(verdict in {"equal", "within-noise"} for verdict in verdicts)
        yield said(
            f"{page.sign.good} nothing got worse: {within:,} of {len(verdicts):,} measurements within their noise{beside}",
            GOOD_STYLE,
        )
    else:
        parts = [f"{moved:,} of {plural(len(verdicts), 'measurement')} beyond their noise"] if moved else []
        parts += [plural(len(found.new), "new finding")] if found.new else []
        parts += [plural(len(found.graver), "graver finding")] if found.graver else []
        yield said(", ".join(parts), "bold")
    yield ""
