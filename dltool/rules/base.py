"""The shape of a rule: sections in, findings out, and the page that explains it.

A rule is one small file. Its class docstring is its page in ``dltool explain``, under fixed headings; its thresholds carry
their unit and source, and can be overridden from a spec as ``<name>.<threshold>``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measurements import Measurements, Section


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """A limit that a rule judges by. ``source`` is the paper, documentation or measurement that it comes from."""

    name: str
    default: float
    unit: str
    source: str


@dataclass(frozen=True, slots=True)
class Skip:
    """A rule's answer when the measurements cannot decide: not "passed", but "could not tell, because ..."."""

    reason: str


class Rule(ABC):
    """Base of every rule; a subclass states what it needs and judges it."""

    id: ClassVar[str]
    name: ClassVar[str]
    severity: ClassVar[Severity]
    needs: ClassVar[tuple[type[Section], ...]]
    thresholds: ClassVar[tuple[Threshold, ...]] = ()
    explains: ClassVar[tuple[str, ...]] = ()
    """Names of rules whose findings this one can bring about: they become its symptoms (``caused_by``)."""

    def __init__(self, overrides: Mapping[str, float] | None = None) -> None:
        self.limits = {t.name: t.default for t in self.thresholds} | dict(overrides or {})

    @abstractmethod
    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        """Findings for measurements that hold every section in ``needs``.

        Comparisons are written so that NaN fires (``not value >= limit``).
        """

    def finding(
        self,
        message: str,
        *,
        where: Where | None = None,
        severity: Severity | None = None,
        cause: str | None = None,
        evidence: Mapping[str, object] | None = None,
        limit: Mapping[str, object] | None = None,
        advice: Iterable[str] = (),
    ) -> Finding:
        """A finding that bears this rule's id, name and (unless lowered with a reason) severity."""
        return Finding(
            rule=self.id,
            name=self.name,
            severity=severity or self.severity,
            message=message,
            where=where or Where(),
            cause=cause,
            evidence=evidence or {},
            limit=limit or {},
            advice=tuple(advice),
        )
