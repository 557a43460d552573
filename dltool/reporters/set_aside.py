"""In words: findings that do not count, and orders that nothing was found for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dltool.core.finding import Finding
from dltool.core.report import Report
from dltool.core.suppression import Suppressed, Suppression
from dltool.reporters.numbers import plural

PLACES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Group:
    """Findings of one rule that one order sets aside."""

    suppression: Suppression
    findings: tuple[Finding, ...]

    @property
    def word(self) -> str:
        """``known`` or ``ignored``."""
        return "known" if self.suppression.by == "baseline" else "ignored"

    def told(self) -> str:
        """Rule, how many, where, and why."""
        first = self.findings[0]
        number = f", {len(self.findings):,} findings" if len(self.findings) > 1 else ""
        places = [place for place in dict.fromkeys(_place(finding) for finding in self.findings) if place]
        more = f" and {len(places) - PLACES_SHOWN:,} more" if len(places) > PLACES_SHOWN else ""
        at = f" at {', '.join(places[:PLACES_SHOWN])}{more}" if places else ""
        return f"{first.name} ({first.rule}){number}{at}: {self._why()}"

    def _why(self) -> str:
        order = self.suppression
        if order.by == "baseline":
            return f"in {order.file}" if order.file else "in the baseline"
        if order.by == "command-line":
            return order.reason or "ignored on the command line"
        written = "" if order.file is None else f" ({order.file}{'' if order.line is None else f':{order.line}'})"
        return f"{order.reason or 'no reason given'}{written}"


def groups_of(report: Report) -> list[Group]:
    """What is set aside, by order and rule, in the order of the report: ignored first, then known."""
    found: dict[tuple[Suppression, str], list[Finding]] = {}
    for each in sorted(report.suppressed, key=_is_known):
        found.setdefault((each.suppression, each.finding.rule), []).append(each.finding)
    return [Group(suppression, tuple(findings)) for (suppression, _), findings in found.items()]


def set_aside_told(report: Report) -> str:
    """``2 known, 1 ignored``; nothing where nothing is."""
    known = sum(map(_is_known, report.suppressed))
    kinds = ((known, "known"), (len(report.suppressed) - known, "ignored"))
    return ", ".join(f"{number:,} {kind}" for number, kind in kinds if number)


def stale_told(report: Report) -> Iterator[str]:
    """One sentence for each order in vain, and one for all that a baseline knows and that is gone."""
    for stale in report.stale:
        order = stale.suppression
        if order.by != "baseline":
            place = "" if order.file is None else f"{order.file}{'' if order.line is None else f':{order.line}'}: "
            yield f"{place}{stale.rule} {stale.message}"
    gone = [stale for stale in report.stale if stale.suppression.by == "baseline"]
    if gone:
        number = sum(stale.count for stale in gone)
        known = number + sum(map(_is_known, report.suppressed))
        names = ", ".join(dict.fromkeys(stale.rule for stale in gone))
        yield (
            f"{gone[0].suppression.file}: {number:,} of {plural(known, 'known finding')} no longer "
            f"{'occurs' if number == 1 else 'occur'} ({names}); refresh it with --write-baseline"
        )


def lines_told(report: Report) -> list[str]:
    """Everything that is set aside or in vain, a line each."""
    return [*(f"{group.word}: {group.told()}" for group in groups_of(report)), *stale_told(report)]


def _is_known(suppressed: Suppressed) -> bool:
    return suppressed.suppression.by == "baseline"


def _place(finding: Finding) -> str:
    where = finding.where
    if where.file is not None and where.line is not None:
        return f"{where.file}:{where.line}"
    return where.parameter or where.module or where.key or where.file or ""
