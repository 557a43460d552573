"""CMP110 rule-not-judged."""

from __future__ import annotations

from collections.abc import Iterable

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.compare import RulesLost
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule

MOST_RULES = 8


class RuleNotJudged(Rule):
    """Rules that judged the run before say nothing of the one after.

    What it measures: the checks of both reports: rules that passed or failed before and were skipped or not asked after.
    It is a warning where such a rule had a finding before, which may still be there, and otherwise worth knowing.

    Why it is bad: a gate that does not look any more is green for ever.

    How to fix: see the reason of the skip; make both reports with the same `--select` and `--ignore`.

    When it is wrong: a rule that was left out on purpose, or that has nothing to judge any more because the layer or the
    data that it is about are gone.

    References: documentation of the checks in a report (docs/formats.md): skipped is not passed.
    """

    id = "CMP110"
    name = "rule-not-judged"
    severity = Severity.WARNING
    needs = (RulesLost,)

    def judge(self, measured: Measurements) -> Iterable[Finding]:
        lost = measured[RulesLost].rules
        for failed in (True, False):
            rules = {rule.rule: rule.reason for rule in lost if rule.failed is failed}
            if not rules:
                continue
            had = "had findings before and are" if failed else "passed before and are"
            if len(rules) == 1:
                had = had.replace("are", "is")
            yield self.finding(
                f"{', '.join(list(rules)[:MOST_RULES])}{_more(len(rules))} {had} not judged after",
                where=Where(key="checks" if failed else "checks.passed"),
                severity=Severity.WARNING if failed else Severity.INFO,
                cause="; ".join(dict.fromkeys(list(rules.values())[:MOST_RULES])),
                evidence={"rules": list(rules)},
            )


def _more(count: int) -> str:
    return f" and {count - MOST_RULES} more" if count > MOST_RULES else ""
