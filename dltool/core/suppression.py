"""Findings that do not count: which were told to be passed over, by what, and why; and orders that have nothing to do.

There is one list for all of them, whoever gave the order: ``--ignore``, ``rules.ignore`` of a spec, a comment beside the
line, or a baseline.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from dltool.core.finding import Check, Finding, Where

Means = Literal["command-line", "spec", "comment", "baseline"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppression:
    """The order to pass a finding over, its reason, and the file and line that it is written at."""

    by: Means
    reason: str | None = None
    file: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppressed:
    """A finding that does not count, and why."""

    finding: Finding
    suppression: Suppression


@dataclass(frozen=True, slots=True, kw_only=True)
class Stale:
    """An order that nothing was found for: ``rule`` as it is named there, what is to be said of it, and ``count`` findings.

    Only rules that were judged are told of: one that was skipped might have found something.
    """

    rule: str
    suppression: Suppression
    message: str
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A comment ``# dltool: ignore[...]``: the rules it names (by id, name or family), and the lines it holds for.

    ``keys`` are those of the spec that begin on these lines; it holds for all that lies below them, too.
    """

    rules: tuple[str, ...]
    suppression: Suppression
    first_line: int
    last_line: int
    keys: frozenset[str] = frozenset()

    def covers(self, where: Where) -> bool:
        """Whether a finding at that place lies within."""
        same_file = where.file is not None and where.file == self.suppression.file
        if same_file and where.line is not None and self.first_line <= where.line <= self.last_line:
            return True
        of_spec = where.file is None or where.file.endswith((".yaml", ".yml"))  # else a key is the name of a sample
        return of_spec and where.key is not None and any(f"{where.key}.".startswith(f"{key}.") for key in self.keys)


def settled(checks: Iterable[Check], findings: Sequence[Finding], suppressed: Sequence[Suppressed]) -> tuple[Check, ...]:
    """Checks after the fact: a rule all of whose findings are passed over has passed, and says how many there are."""
    counting = {finding.rule for finding in findings}
    passed_over = Counter((each.finding.rule, each.suppression.by == "baseline") for each in suppressed)
    return tuple(_settled(check, passed_over) if check.rule not in counting else check for check in checks)


def _settled(check: Check, passed_over: Counter[tuple[str, bool]]) -> Check:
    if check.outcome == "skipped":
        return check
    kinds = (("known", passed_over[check.rule, True]), ("ignored", passed_over[check.rule, False]))
    told = ", ".join(f"{number} {kind}" for kind, number in kinds if number)
    return replace(check, outcome="passed", reason=told) if told else check
