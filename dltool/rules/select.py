"""Which rules to ask, and asking them: selection by id, family prefix or name, thresholds, and the outcome of every rule."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dltool.core.errors import Problem, UserError, closest
from dltool.core.finding import Check, Finding
from dltool.core.measurements import History, Measurements
from dltool.rules.base import Rule, Skip
from dltool.rules.catalogue import RULES
from dltool.rules.fit_status.limits import LIMITS
from dltool.rules.fit_verdict import FitVerdict, verdict
from dltool.rules.rank import rank

EXACT = 100
"""How specific a whole id or name is; a prefix is as specific as it is long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The rules to ask, and for those that are left out on purpose the reason; limits by rule name."""

    rules: tuple[type[Rule], ...]
    ignored: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def judge(
    measured: Measurements,
    *,
    select: Sequence[str] = (),
    ignore: Mapping[str, str] | None = None,
    thresholds: Mapping[str, Any] | None = None,
    rules: Sequence[type[Rule]] = RULES,
) -> tuple[list[Finding], list[Check]]:
    """Ask every selected rule; findings come ranked (``rules.rank``), checks in the order of the catalogue.

    Args:
        measured: the sections of a run; the verdict on its fit is derived from them once, for all rules.
        select: ids, family prefixes (``GRD``, ``NAN1``) or names; all rules without.
        ignore: the same, with the reason for each; such a rule is a skipped check. The longest prefix wins, whether it
            selects or ignores, and a tie ignores.
        thresholds: ``<rule>.<threshold>`` (the rule by name or id) to value.
        rules: the catalogue.

    Raises:
        UserError: for selectors and thresholds that mean nothing, all of them at once.
    """
    selection = choose(select, ignore or {}, thresholds or {}, rules)
    measured = _concluded(measured, selection.limits)
    findings: list[Finding] = []
    checks: list[Check] = []
    for rule in selection.rules:
        found, check = _ask(rule, measured, selection)
        findings.extend(found)
        checks.append(check)
    return rank(findings, rules), checks


def choose(
    select: Sequence[str],
    ignore: Mapping[str, str],
    thresholds: Mapping[str, Any],
    rules: Sequence[type[Rule]] = RULES,
) -> Selection:
    """What ``judge`` was asked for, checked and resolved.

    Raises:
        UserError: for selectors and thresholds that mean nothing, all of them at once.
    """
    problems = [p for word in (*select, *ignore) if (p := _check_selector(word, rules)) is not None]
    limits = _read_thresholds(thresholds, rules, problems)
    if problems:
        raise UserError(*problems)
    chosen: list[type[Rule]] = []
    ignored: dict[str, str] = {}
    for rule in rules:
        wanted = max((_specificity(word, rule) for word in select), default=0)
        against, reason = max(((_specificity(w, rule), r) for w, r in ignore.items()), default=(-1, ""))
        if wanted < 0:
            continue
        chosen.append(rule)
        if against >= 0 and against >= wanted:
            ignored[rule.id] = reason or "ignored"
    return Selection(rules=tuple(chosen), ignored=ignored, limits=limits)


def _ask(rule: type[Rule], measured: Measurements, selection: Selection) -> tuple[list[Finding], Check]:
    if rule.id in selection.ignored:
        return [], Check(rule=rule.id, outcome="skipped", reason=selection.ignored[rule.id])
    missing = [section.key for section in rule.needs if section not in measured]
    if missing:
        return [], Check(rule=rule.id, outcome="skipped", reason=f"not measured: {', '.join(missing)}")
    answer = rule(selection.limits.get(rule.name)).judge(measured)
    if isinstance(answer, Skip):
        return [], Check(rule=rule.id, outcome="skipped", reason=answer.reason)
    found = list(answer)
    return found, Check(rule=rule.id, outcome="failed" if found else "passed")


def concluded(measured: Measurements, thresholds: Mapping[str, float]) -> Measurements:
    """``measured`` with the ``FitVerdict`` that the rules will share; unchanged without a ``History``.

    Raises:
        UserError: for thresholds that mean nothing.
    """
    return _concluded(measured, choose((), {}, thresholds).limits)


def _concluded(measured: Measurements, limits: Mapping[str, Mapping[str, float]]) -> Measurements:
    if History not in measured:
        return measured
    overrides = {f"{name}.{key}": value for name in LIMITS for key, value in limits.get(name, {}).items()}
    kept = [section for section in measured if not isinstance(section, FitVerdict)]
    return Measurements([*kept, verdict(measured, overrides)])


def _specificity(word: str, rule: type[Rule]) -> int:
    if word in {rule.id, rule.name}:
        return EXACT
    return len(word) if rule.id.startswith(word) else -1


def _check_selector(word: str, rules: Sequence[type[Rule]]) -> Problem | None:
    if word and any(_specificity(word, rule) >= 0 for rule in rules):
        return None
    known = [name for rule in rules for name in (rule.name, rule.id, rule.id[:3])]
    return Problem(
        message="no rule has this id, name or prefix",
        key="rule",
        value=repr(word),
        expected="an id (GRD103), a family (GRD) or a name",
        suggestion=closest(word, known) or closest(word.upper(), known),
    )


def _read_thresholds(
    thresholds: Mapping[str, Any], rules: Sequence[type[Rule]], problems: list[Problem]
) -> dict[str, dict[str, float]]:
    by_word = {word: rule for rule in rules for word in (rule.name, rule.id)}
    limits: dict[str, dict[str, float]] = {}
    for key, value in thresholds.items():
        word, _, name = key.partition(".")
        rule = by_word.get(word)
        names = [] if rule is None else [t.name for t in rule.thresholds]
        if rule is None or name not in names:
            known = [f"{r.name}.{t.name}" for r in rules for t in r.thresholds]
            problems.append(Problem(message="no rule has this threshold", key=key, suggestion=closest(key, known)))
        elif isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            problems.append(Problem(message="a threshold is a finite number", key=key, value=repr(value)))
        else:
            limits.setdefault(rule.name, {})[name] = float(value)
    return limits
