"""What the rules on a comparison share: changes of one group beyond their noise, a finding for each quantity."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.compare import Change, Changes, Doubts, Verdict
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip, Threshold

MOST_PLACES = 8


def noises(source: str) -> Threshold:
    """How many times its noise a quantity has to move; the noise itself is measured (``source``)."""
    return Threshold(name="noises", default=1.0, unit="change over the noise that was measured for it", source=source)


class Regressed(Rule):
    """Base: judges the changes of its ``group``; a subclass is its page."""

    needs = (Changes, Doubts)
    group: ClassVar[str]
    verdicts: ClassVar[tuple[Verdict, ...]] = ("worse",)

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        mine = [change for change in measured[Changes].changes if change.group == self.group]
        if not mine:
            return Skip("not measured on both sides")
        limit = self.limits["noises"]
        by_key: dict[str, list[Change]] = {}
        for change in mine:
            if change.verdict in self.verdicts and not change.noises <= limit:
                by_key.setdefault(self.key_of(change), []).append(change)
        return [self._told(key, changes, measured[Doubts]) for key, changes in by_key.items()]

    def key_of(self, change: Change) -> str:
        """Changes of one key make one finding."""
        return change.key

    def severity_of(self, worst: Change, doubts: Doubts) -> Severity:
        """An error is a warning where the sides differ in more than what was changed on purpose."""
        del worst
        return Severity.WARNING if self.severity is Severity.ERROR and doubts.weakening else self.severity

    def _told(self, key: str, changes: Sequence[Change], doubts: Doubts) -> Finding:
        worst = max(changes, key=lambda change: change.noises)
        places = [change.place for change in changes if change.place is not None]
        return self.finding(
            _message(worst, [change for change in changes if change is not worst]),
            where=Where(key=key),
            severity=self.severity_of(worst, doubts),
            cause=f"not certain: the sides differ in {', '.join(doubts.weakening)}" if doubts.weakening else None,
            evidence={
                "before": worst.before,
                "after": worst.after,
                "change": worst.change,
                "noise": worst.noise,
                "noises": worst.noises,
                **({"places": places[:MOST_PLACES], "place_count": len(places)} if places else {}),
                "others": [change.name for change in changes if change is not worst and change.place is None],
            },
            limit={"noises": self.limits["noises"]},
        )


def _message(worst: Change, others: Sequence[Change]) -> str:
    place = "" if worst.place is None else f" of {worst.place}"
    far = "more than noise explains" if worst.noises == math.inf else f"{worst.noises:.1f} times its noise"
    more = ""
    if others and worst.place is None:
        more = f" (like {' and '.join(change.name for change in others[:MOST_PLACES])})"
    elif others:
        more = f" (and {len(others)} more like it)"
    return f"{worst.name}{place}: {_said(worst.before)} before, {_said(worst.after)} after, {far}{more}"


def _said(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"
