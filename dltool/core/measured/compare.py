"""What a comparison of two saved results measured: both sides, findings by fingerprint, and values beside their noise.

*Before* is the first side, *after* the second. A finding is the same on both where its fingerprint is; several may share
one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from dltool.core.finding import Severity
from dltool.core.measurements import Section

SideKind = Literal["report", "run folder", "baseline"]
Group = Literal["loss", "metric", "flow", "units", "gradcheck", "rate", "data", "hunt", "speed"]
Scale = Literal["difference", "ratio"]
Better = Literal["lower", "higher", "neither"]
Verdict = Literal["equal", "within-noise", "worse", "better", "changed"]


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the two: ``path`` as it was given, and the facts of its run; a baseline knows few of them."""

    path: str
    kind: SideKind
    command: str | None
    target: str | None
    tool_version: str | None = None
    schema_version: int = 1
    seed: int | None = None
    torch: str | None = None
    device: str | None = None
    spec_sha256: str | None = None
    machine: str | None = None
    seconds: float | None = None
    interrupted: bool = False
    findings: int = 0


@dataclass(frozen=True, kw_only=True)
class ComparedSides(Section):
    """What is compared with what. ``same_file``: both names lead to one file."""

    key: ClassVar[str] = "sides"

    before: Side
    after: Side
    same_file: bool = False


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """Something that could not be compared, or only with care, and why.

    ``weakens``: the sides differ in it so that a worse value need not be a regression, and is a warning at most.
    """

    what: str
    reason: str
    weakens: bool = False


@dataclass(frozen=True, kw_only=True)
class Doubts(Section):
    """Everything that was not compared, or that stands between the two sides."""

    key: ClassVar[str] = "not_compared"

    doubts: tuple[Doubt, ...]

    @property
    def weakening(self) -> tuple[str, ...]:
        """What makes a worse value less than certain."""
        return tuple(doubt.what for doubt in self.doubts if doubt.weakens)


@dataclass(frozen=True, kw_only=True)
class ComparedFinding:
    """Findings of one fingerprint: how many each side has, and how grave the gravest is."""

    fingerprint: str
    rule: str
    name: str
    where: str
    message: str
    before: int
    after: int
    severity_before: Severity | None
    severity_after: Severity | None


@dataclass(frozen=True, kw_only=True)
class ComparedFindings(Section):
    """Findings by fingerprint, in the order of the side they stand on.

    ``new`` are more after than before, ``gone`` fewer, ``kept`` as many; ``graver`` are those kept whose severity rose, in
    ``kept`` too. ``unjudged`` stood before, and their rule was not judged after.
    """

    key: ClassVar[str] = "compared_findings"

    new: tuple[ComparedFinding, ...]
    gone: tuple[ComparedFinding, ...]
    kept: tuple[ComparedFinding, ...]
    graver: tuple[ComparedFinding, ...]
    unjudged: tuple[ComparedFinding, ...]


@dataclass(frozen=True, kw_only=True)
class LostRule:
    """A rule that was judged before and is not after, with the reason; ``failed`` where it had a finding."""

    rule: str
    reason: str
    failed: bool


@dataclass(frozen=True, kw_only=True)
class RulesLost(Section):
    """Rules that say nothing any more."""

    key: ClassVar[str] = "rules_lost"

    rules: tuple[LostRule, ...]


@dataclass(frozen=True, kw_only=True)
class Change:
    """One quantity on both sides.

    ``change`` is after − before, or after / before on a ``ratio`` scale; None where that is no number. ``noise`` is how far
    it may move between runs that differ in their seed alone: a difference, or a factor of at least 1. ``noises`` is the
    change in units of it (of its logarithm on a ratio scale); infinite for a value that is not finite any more. ``basis``
    says where the noise is from. ``key`` is the measurement's path in the report, ``place`` the module, parameter, class or
    column.
    """

    group: Group
    name: str
    key: str
    place: str | None
    before: float | None
    after: float | None
    scale: Scale
    better: Better
    change: float | None
    noise: float
    noises: float
    verdict: Verdict
    basis: str


@dataclass(frozen=True, kw_only=True)
class Changes(Section):
    """Every quantity that both sides have, in the order of the groups, unchanged ones included."""

    key: ClassVar[str] = "changes"

    changes: tuple[Change, ...]


@dataclass(frozen=True, kw_only=True)
class ComparedWord:
    """A fact in words on both sides: the fit status, a setting."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, kw_only=True)
class ComparedWords(Section):
    """Facts in words that differ."""

    key: ClassVar[str] = "words"

    words: tuple[ComparedWord, ...]


@dataclass(frozen=True, kw_only=True)
class ComparedCurve:
    """A curve on both sides, by epoch (None where it was not measured)."""

    name: str
    before: tuple[float | None, ...]
    after: tuple[float | None, ...]


@dataclass(frozen=True, kw_only=True)
class ComparedCurves(Section):
    """Curves of the loss."""

    key: ClassVar[str] = "curves"

    curves: tuple[ComparedCurve, ...]


@dataclass(frozen=True, kw_only=True)
class ComparedSample:
    """A bad sample of a scan: ``name`` is that of the rule."""

    path: str
    row: int | None
    name: str
    severity: Severity


@dataclass(frozen=True, kw_only=True)
class ComparedSamples(Section):
    """Bad samples by path, row and rule. Of ``new`` and ``gone`` the first 1,000 are named."""

    key: ClassVar[str] = "compared_samples"

    new_count: int
    gone_count: int
    kept_count: int
    new: tuple[ComparedSample, ...]
    gone: tuple[ComparedSample, ...]
    new_by_rule: Mapping[str, int]
