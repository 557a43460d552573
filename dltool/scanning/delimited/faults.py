"""What is wrong with the text of a table, by kind: how often, in which rows first, and on which line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from dltool.core.finding import Severity
from dltool.scanning.record import Flaw, FlawRule

ROWS_TOLD = 20


@dataclass(slots=True)
class _Fault:
    rule: FlawRule
    severity: Severity
    detail: str
    line: int | None
    offset_bytes: int | None
    count: int = 0
    rows: list[int] = field(default_factory=list)


class Faults:
    """Gathers faults; each kind becomes one flaw, told by its first."""

    def __init__(self) -> None:
        self._by_kind: dict[str, _Fault] = {}

    def add(
        self,
        kind: str,
        detail: str,
        *,
        rows: Iterable[int] = (),
        count: int = 1,
        line: int | None = None,
        offset_bytes: int | None = None,
        severity: Severity = Severity.ERROR,
        rule: FlawRule = "corrupt-file",
    ) -> None:
        """Note a fault; of later ones of its kind only count and rows are kept."""
        fault = self._by_kind.setdefault(kind, _Fault(rule, severity, detail, line, offset_bytes))
        fault.count += count
        fault.rows += list(rows)[: ROWS_TOLD - len(fault.rows)]

    def flaws(self) -> tuple[Flaw, ...]:
        """In the order in which the kinds were met."""
        return tuple(
            Flaw(
                rule=fault.rule,
                kind=kind,
                severity=fault.severity,
                detail=fault.detail if fault.count == 1 else f"{fault.detail}; {fault.count} in all",
                row=fault.rows[0] if fault.rows else None,
                rows=tuple(fault.rows),
                line=fault.line,
                offset_bytes=fault.offset_bytes,
                count=fault.count,
            )
            for kind, fault in self._by_kind.items()
        )
