"""What a rule says: a finding, where it is, and the outcome of every rule that was asked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

Phase = Literal["input", "parameter", "buffer", "forward", "loss", "backward", "optimizer"]
Outcome = Literal["passed", "failed", "skipped"]


class Severity(StrEnum):
    """error: certainly spoilt; warning: very likely hurts; info: worth knowing."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    @property
    def rank(self) -> int:
        """0 for info up to 2 for error, so that severities compare."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """The place a finding points at; a field that does not apply is None."""

    phase: Phase | None = None
    op: str | None = None
    module: str | None = None
    parameter: str | None = None
    step: int | None = None
    samples: tuple[int, ...] | None = None
    rank: int | None = None
    file: str | None = None
    line: int | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One judgement of one rule, with the evidence it rests on and the limit that it crossed."""

    rule: str
    name: str
    severity: Severity
    message: str
    where: Where = field(default_factory=Where)
    cause: str | None = None
    evidence: Mapping[str, object] = field(default_factory=dict)
    limit: Mapping[str, object] = field(default_factory=dict)
    advice: tuple[str, ...] = ()
    caused_by: str | None = None

    @property
    def fingerprint(self) -> str:
        """A hash that survives a re-run and another machine: no floats, no step, no absolute path."""
        where = self.where
        identity = (self.rule, where.module, where.parameter, where.op, where.key)
        text = "\x1f".join("" if part is None else part for part in identity)
        return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The outcome of one selected rule; a skip carries its reason."""

    rule: str
    outcome: Outcome
    reason: str | None = None
