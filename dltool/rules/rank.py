"""Causes before symptoms: links each finding to the one that explains it, and puts the most probable root cause first."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import get_args

from dltool.core.finding import Finding, Phase, Severity
from dltool.rules.base import Rule

PHASES: tuple[str, ...] = get_args(Phase)
FAMILIES = ("DAT", "SPC", "INI", "GRD", "OPT", "ACT", "NAN", "DST", "FIT")
"""How far up the chain of causes a family stands: data before spec, initialisation before training, the fit last."""


def rank(findings: Sequence[Finding], rules: Sequence[type[Rule]]) -> list[Finding]:
    """The findings with ``caused_by`` set, a symptom never above its cause.

    A finding can explain another when its rule says so (``Rule.explains``), when it did not come later (step, then phase
    within the step), when it is not merely worth knowing while the other is a disease, and, for two findings about single
    parameters, when they are about the same module. Where several can, the one furthest up the chain of causes is taken.
    Among what is left roots come by the gravest severity that they
    explain, then by chain, time and the order in which they were found.
    """
    explains = {rule.name: frozenset(rule.explains) for rule in rules}
    causes = _causes(findings, explains)
    weight = _gravest(findings, causes)
    symptoms: dict[int, list[int]] = {}
    for symptom, cause in causes.items():
        symptoms.setdefault(cause, []).append(symptom)
    waiting = [(_key(findings, i, weight), i) for i in range(len(findings)) if i not in causes]
    heapq.heapify(waiting)
    ranked: list[Finding] = []
    while waiting:
        _, i = heapq.heappop(waiting)
        caused_by = findings[causes[i]].fingerprint if i in causes else None
        ranked.append(replace(findings[i], caused_by=caused_by))
        for symptom in symptoms.get(i, ()):
            heapq.heappush(waiting, (_key(findings, symptom, weight), symptom))
    return ranked


def _causes(findings: Sequence[Finding], explains: Mapping[str, frozenset[str]]) -> dict[int, int]:
    """Index of the cause by index of the symptom; never a circle."""
    causes: dict[int, int] = {}
    order = sorted(range(len(findings)), key=lambda i: (_chain(findings[i]), _time(findings[i]), i))
    names = {finding.name for finding in findings}
    able = {name: [i for i in order if name in explains.get(findings[i].name, frozenset())] for name in names}
    for symptom in order:
        for cause in able[findings[symptom].name]:
            if cause == symptom or not _can_explain(findings[cause], findings[symptom]):
                continue
            if symptom not in _line(cause, causes):
                causes[symptom] = cause
                break
    return causes


def _can_explain(cause: Finding, symptom: Finding) -> bool:
    """Whether a finding of a rule that can bring the other about was also grave, early and near enough to."""
    if cause.severity.rank < min(symptom.severity.rank, Severity.WARNING.rank):
        return False
    both_single = cause.where.parameter is not None and symptom.where.parameter is not None
    if both_single and cause.name.startswith("parameter-") and cause.where.module != symptom.where.module:
        return False
    if cause.where.step is None or symptom.where.step is None:
        return True
    return _time(cause) <= _time(symptom)


def _line(start: int, causes: Mapping[int, int]) -> set[int]:
    """A finding and everything that it is traced back to."""
    line = {start}
    while start in causes:
        start = causes[start]
        line.add(start)
    return line


def _gravest(findings: Sequence[Finding], causes: Mapping[int, int]) -> list[int]:
    weight = [finding.severity.rank for finding in findings]
    for i in range(len(findings)):
        for above in _line(i, causes):
            weight[above] = max(weight[above], findings[i].severity.rank)
    return weight


def _key(findings: Sequence[Finding], i: int, weight: Sequence[int]) -> tuple[int, int, tuple[int, int], int]:
    return (-weight[i], _chain(findings[i]), _time(findings[i]), i)


def _chain(finding: Finding) -> int:
    family = finding.rule[:3]
    return FAMILIES.index(family) if family in FAMILIES else len(FAMILIES)


def _time(finding: Finding) -> tuple[int, int]:
    where = finding.where
    return (-1 if where.step is None else where.step, -1 if where.phase is None else PHASES.index(where.phase))
