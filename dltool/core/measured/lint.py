"""What lint looked at, where that is more than one spec."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dltool.core.measurements import Section


@dataclass(frozen=True, kw_only=True)
class LintedSpec:
    """One spec as it was named, the hash of what it says, and how many findings it has; None where it cannot be read."""

    spec: str
    spec_sha256: str | None
    findings: int | None


@dataclass(frozen=True, kw_only=True)
class LintedSpecs(Section):
    """Every spec of a run over several, in the order in which they were looked at."""

    key: ClassVar[str] = "specs"

    specs: tuple[LintedSpec, ...]
