"""Which rules to ask, and asking them: selection by id, family prefix or name, thresholds, and the outcome of every rule."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dltool.core.errors import Problem, UserError, closest
from dltool.core.finding import Check, Finding
from dltool.core.measurements import Measurements
from dltool.core.suppression import Stale, Suppressed, Suppression
from dltool.rules.base import Skip
from dltool.rules.catalogue import RULES, Entry, every_rule
from dltool.rules.rank import rank

EXACT = 100
"""How specific a whole id or name is; a prefix is as specific as it is long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The rules to ask, and by id the word that ignores one on purpose; limits by rule name."""

    rules: tuple[Entry, ...]
    ignored: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What the rules say: findings that count, ranked; the outcome of every rule; what is ignored, and what in vain."""

    findings: tuple[Finding, ...]
    checks: tuple[Check, ...]
    suppressed: tuple[Suppressed, ...] = ()
    stale: tuple[Stale, ...] = ()


def judge(
    measured: Measurements,
    *,
    select: Sequence[str] = (),
    ignore: Mapping[str, str] | None = None,
    thresholds: Mapping[str, Any] | None = None,
) -> tuple[list[Finding], list[Check]]:
    """``judge_all`` for those to whom what is ignored is no matter; ``ignore`` has the reason for each."""
    orders = {word: Suppression(by="spec", reason=reason) for word, reason in (ignore or {}).items()}
    judged = judge_all(measured, select=select, ignore=orders, thresholds=thresholds)
    return list(judged.findings), list(judged.checks)


def judge_all(
    measured: Measurements,
    *,
    select: Sequence[str] = (),
    ignore: Mapping[str, Suppression] | None = None,
    thresholds: Mapping[str, Any] | None = None,
) -> Judged:
    """Ask every selected rule; findings come ranked (``rules.rank``), checks in the order of the catalogue.

    Args:
        measured: the sections of a run; the verdict on its fit is derived from them once, for all rules.
        select: ids, family prefixes (``GRD``, ``NAN1``) or names; all rules without.
        ignore: the same, with the order for each. Such a rule is asked, but its check is skipped, and what it finds is
            suppressed. The longest prefix wins, whether it selects or ignores, and a tie ignores.
        thresholds: ``<rule>.<threshold>`` (the rule by name or id) to value.

    Raises:
        UserError: for selectors and thresholds that mean nothing, all of them at once.
    """
    orders = ignore or {}
    selection = choose(select, orders, thresholds or {})
    measured = _concluded(measured, selection.limits)
    keys = measured.keys
    found: list[Finding] = []
    checks: list[Check] = []
    for entry in selection.rules:
        some, check = _ask(entry, measured, keys, selection)
        found.extend(some)
        checks.append(check)
    ids = {finding.rule for finding in found}
    ranked = rank(found, [entry.load() for entry in selection.rules if entry.id in ids])
    of = {id_: orders[word] for id_, word in selection.ignored.items()}
    return Judged(
        findings=tuple(finding for finding in ranked if finding.rule not in of),
        checks=tuple(_unasked(check, of[check.rule]) if check.rule in of else check for check in checks),
        suppressed=tuple(Suppressed(finding=f, suppression=of[f.rule]) for f in ranked if f.rule in of),
        stale=tuple(_in_vain(checks, selection.ignored, orders)),
    )


def _unasked(check: Check, order: Suppression) -> Check:
    return Check(rule=check.rule, outcome="skipped", reason=order.reason or "ignored")


def _in_vain(checks: Sequence[Check], ignored: Mapping[str, str], orders: Mapping[str, Suppression]) -> Iterator[Stale]:
    """What a spec ignores although there is nothing: each of its rules was judged, and none found anything.

    On the command line people leave rules out as a precaution, and of what could not be judged nothing is known.
    """
    for word, order in orders.items():
        outcomes = {check.outcome for check in checks if ignored.get(check.rule) == word}
        if order.by == "spec" and outcomes == {"passed"}:
            yield Stale(rule=word, suppression=order, message="need not be ignored: it found nothing")


def choose(
    select: Sequence[str],
    ignore: Collection[str],
    thresholds: Mapping[str, Any],
) -> Selection:
    """What ``judge`` was asked for, checked and resolved.

    Raises:
        UserError: for selectors and thresholds that mean nothing, all of them at once.
    """
    problems = [p for word in (*select, *ignore) if (p := _check_selector(word)) is not None]
    limits = _read_thresholds(thresholds, problems)
    if problems:
        raise UserError(*problems)
    chosen: list[Entry] = []
    ignored: dict[str, str] = {}
    for rule in RULES:
        wanted = max((_specificity(word, rule) for word in select), default=0)
        against, word = max(((_specificity(word, rule), word) for word in ignore), default=(-1, ""))
        if wanted < 0:
            continue
        chosen.append(rule)
        if against >= 0 and against >= wanted:
            ignored[rule.id] = word
    return Selection(rules=tuple(chosen), ignored=ignored, limits=limits)


def _ask(entry: Entry, measured: Measurements, keys: frozenset[str], selection: Selection) -> tuple[list[Finding], Check]:
    if keys.isdisjoint(entry.keys):
        return [], Check(rule=entry.id, outcome="skipped", reason=entry.not_measured)
    rule = entry.load()
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
    if "history" not in measured.keys:
        return measured
    from dltool.rules.fit_status.limits import LIMITS  # only what trains has a fit to judge
    from dltool.rules.fit_verdict import FitVerdict, verdict

    overrides = {f"{name}.{key}": value for name in LIMITS for key, value in limits.get(name, {}).items()}
    kept = [section for section in measured if not isinstance(section, FitVerdict)]
    return Measurements([*kept, verdict(measured, overrides)])


def _specificity(word: str, rule: Entry) -> int:
    if word in {rule.id, rule.name}:
        return EXACT
    return len(word) if rule.id.startswith(word) else -1


def _check_selector(word: str) -> Problem | None:
    if word and any(_specificity(word, rule) >= 0 for rule in RULES):
        return None
    known = [name for rule in RULES for name in (rule.name, rule.id, rule.id[:3])]
    return Problem(
        message="no rule has this id, name or prefix",
        key="rule",
        value=repr(word),
        expected="an id (GRD103), a family (GRD) or a name",
        suggestion=closest(word, known) or closest(word.upper(), known),
    )


def _read_thresholds(thresholds: Mapping[str, Any], problems: list[Problem]) -> dict[str, dict[str, float]]:
    by_word = {word: rule for rule in RULES for word in (rule.name, rule.id)}
    limits: dict[str, dict[str, float]] = {}
    for key, value in thresholds.items():
        word, _, name = key.partition(".")
        rule = by_word.get(word)
        names = [] if rule is None else [t.name for t in rule.load().thresholds]
        if rule is None or name not in names:
            known = [f"{r.name}.{t.name}" for r in every_rule() for t in r.thresholds]
            problems.append(Problem(message="no rule has this threshold", key=key, suggestion=closest(key, known)))
        elif isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            problems.append(Problem(message="a threshold is a finite number", key=key, value=repr(value)))
        else:
            limits.setdefault(rule.name, {})[name] = float(value)
    return limits
