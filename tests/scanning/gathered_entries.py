"""Entries as a scan would give them, without files."""

from __future__ import annotations

from typing import Any

from dltool.core.finding import Severity
from dltool.core.measurements import Measurements
from dltool.scanning.gather.collectors import GatherSettings, collectors
from dltool.scanning.record import ColumnFacts, Entry, Flaw, ImageFacts, Inspection, Item, TableFacts


def entry(name: str, *, index: int = 0, label: str | None = None, split: str | None = None, **found: Any) -> Entry:
    plain = {"format": "jpeg", "size_bytes": 100} | found
    return Entry(Item(index=index, name=name, path=f"data/{name}", label=label, split=split), Inspection(**plain))


def picture(name: str, *, label: str | None = None, split: str | None = None, **facts: Any) -> Entry:
    plain = {"width": 64, "height": 48, "mode": "RGB", "mean": 0.5, "std": 0.2, "minimum": 0.0, "maximum": 1.0, "span": 1.0}
    return entry(name, label=label, split=split, image=ImageFacts(**(plain | facts)))


def column(name: str, rows: int = 100, **facts: Any) -> ColumnFacts:
    plain = {"dtype": "float64", "distinct": rows, "minimum": 0.0, "maximum": 1.0, "mean": 0.5, "std": 0.3}
    return ColumnFacts(name=name, rows=rows, **(plain | facts))


def table(name: str, *columns: ColumnFacts, format_name: str = "csv", **facts: Any) -> Entry:
    rows = columns[0].rows
    return entry(name, format=format_name, table=TableFacts(rows=rows, columns=columns, **facts))


def flaw(rule: Any = "corrupt-file", kind: str = "truncated", severity: Severity = Severity.ERROR, **more: Any) -> Flaw:
    return Flaw(rule=rule, kind=kind, severity=severity, detail=f"{kind} here", **more)


def gathered(entries: list[Entry], **settings: Any) -> Measurements:
    """The sections of these entries, as they come back from a saved report."""
    made = collectors(GatherSettings(**settings))
    for each in entries:
        for collector in made:
            collector.add(each)
    measured = Measurements(section for collector in made for section in collector.sections())
    return Measurements.from_dict(measured.to_dict(), "scan")
