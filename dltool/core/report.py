"""The report: everything one run has to say, in the shape that DESIGN calls public."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dltool.core.codec import decode, encode
from dltool.core.finding import Check, Finding, Severity
from dltool.core.suppression import Stale, Suppressed, Suppression

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """How the run was made; ``seconds`` is the only field that the clock decides."""

    seed: int
    torch: str | None
    device: str | None
    spec_sha256: str | None
    seconds: float
    deterministic: bool
    interrupted: bool = False
    assumptions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Findings come most probable root cause first; ``measurements`` is already plain JSON data.

    ``findings`` are those that count. ``suppressed`` are those that do not, ``stale`` what there was no finding for, and
    ``baseline`` is the file of known findings that the report was held against. ``parts`` are the reports, each on a target
    of its own, that this one sums up: they are held against a baseline one by one, and not written.
    """

    command: str
    target: str
    run: RunInfo
    tool_version: str
    findings: tuple[Finding, ...] = ()
    checks: tuple[Check, ...] = ()
    measurements: Mapping[str, Any] = field(default_factory=dict)
    suppressed: tuple[Suppressed, ...] = ()
    stale: tuple[Stale, ...] = ()
    baseline: str | None = None
    parts: tuple[Report, ...] = ()

    def worst(self) -> Severity | None:
        """The gravest severity among the findings, or None when there are none."""
        return max((f.severity for f in self.findings), key=lambda s: s.rank, default=None)

    def to_dict(self) -> dict[str, Any]:
        """The public JSON object (DESIGN §4), keys in their documented order."""
        return {
            "schema_version": SCHEMA_VERSION,
            "tool": {"name": "dltool", "version": self.tool_version},
            "command": self.command,
            "target": self.target,
            "run": encode(self.run),
            "findings": [_finding_dict(finding) for finding in self.findings],
            "checks": [encode(check) for check in self.checks],
            "measurements": encode(self.measurements),
            **{key: value for key, value in self._set_aside().items() if value},
        }

    def _set_aside(self) -> dict[str, Any]:
        """Keys that a report has only where they say something."""
        return {
            "suppressed": [_suppressed_dict(each) for each in self.suppressed],
            "stale": [encode(each) for each in self.stale],
            "baseline": self.baseline,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Report:
        """Read back what ``to_dict`` wrote, to judge or compare it again."""
        return cls(
            command=data["command"],
            target=data["target"],
            run=decode(RunInfo, data["run"]),
            tool_version=data["tool"]["version"],
            findings=tuple(decode(Finding, item) for item in data["findings"]),
            checks=tuple(decode(Check, item) for item in data["checks"]),
            measurements=data["measurements"],
            suppressed=tuple(_suppressed(item) for item in data.get("suppressed", ())),
            stale=tuple(decode(Stale, item) for item in data.get("stale", ())),
            baseline=data.get("baseline"),
        )


def _finding_dict(finding: Finding) -> dict[str, Any]:
    """DESIGN's order of keys: the fingerprint stands between the message and ``caused_by``."""
    fields = encode(finding)
    return {
        "rule": fields["rule"],
        "name": fields["name"],
        "severity": fields["severity"],
        "message": fields["message"],
        "fingerprint": finding.fingerprint,
        "caused_by": fields["caused_by"],
        "where": fields["where"],
        "cause": fields["cause"],
        "evidence": fields["evidence"],
        "limit": fields["limit"],
        "advice": fields["advice"],
    }


def _suppressed_dict(suppressed: Suppressed) -> dict[str, Any]:
    """A finding as any other, and beside its fields why it does not count."""
    return _finding_dict(suppressed.finding) | {"suppression": encode(suppressed.suppression)}


def _suppressed(data: Mapping[str, Any]) -> Suppressed:
    return Suppressed(finding=decode(Finding, data), suppression=decode(Suppression, data["suppression"]))
