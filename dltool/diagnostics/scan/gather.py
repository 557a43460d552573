"""What adds up while samples pass by: the sections of the report, and what leaves the scan besides it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from dltool.core.file_names import printable
from dltool.core.measured.scan import ScanFacts
from dltool.core.measured.scan_classes import LabelSource
from dltool.core.measured.scan_run import LeftOutFiles, LeftOutKind
from dltool.core.measurements import Section
from dltool.diagnostics.scan.options import ScanOptions
from dltool.diagnostics.scan.outlets import Outlets
from dltool.scanning.collect.walk import EXAMPLES
from dltool.scanning.gather.collectors import Collector, GatherSettings, collectors
from dltool.scanning.record import Entry
from dltool.training.stop import StopFlag

MOST_COLUMNS = 1000
"""Names of columns that are kept, to say which there are."""
KINDS: tuple[LeftOutKind, ...] = ("hidden", "special", "label", "compressed")


@dataclass(slots=True)
class Gathering:
    """Sees every sample once, in order."""

    outlets: Outlets
    collectors: Sequence[Collector]
    files: int = 0
    size_bytes: int = 0
    splits: Counter[str] = field(default_factory=Counter)
    told: int = 0
    """Those of a known format, or with something wrong."""
    columns: dict[str, None] = field(default_factory=dict)
    targets: set[str] = field(default_factory=set)

    @classmethod
    def begin(cls, outlets: Outlets, target_kind: str, options: ScanOptions, stop: StopFlag) -> Gathering:
        """Nothing seen yet."""
        source: LabelSource = "manifest" if target_kind == "manifest" else "folders"
        settings = GatherSettings(
            label_source=source,
            batch_size=options.batch_size,
            doubt_labels=options.labels,
            pool=options.pool(),
            stopped=lambda: stop.reason is not None,
        )
        return cls(outlets, collectors(settings))

    def take(self, entry: Entry) -> None:
        """One sample."""
        self.files += 1
        self.size_bytes += entry.found.size_bytes
        if entry.item.split is not None:
            self.splits[entry.item.split] += 1
        self.told += entry.found.format is not None or bool(entry.found.flaws)
        table = entry.found.table
        if table is not None and table.target is not None:
            self.targets.add(table.target)
        if table is not None and len(self.columns) < MOST_COLUMNS:
            self.columns.update((column.name, None) for column in table.columns)
        for collector in self.collectors:
            collector.add(entry)
        self.outlets.add(entry)

    def sections(
        self, tier: str, *, shard: str | None = None, stopped: Literal["finished", "interrupted", "timeout"] = "finished"
    ) -> Iterator[Section]:
        """All that was gathered."""
        for collector in self.collectors:
            yield from collector.sections()
        yield ScanFacts(
            tier=tier,
            files=self.files,
            size_bytes=self.size_bytes,
            shard=shard,
            splits=dict(self.splits),
            stopped=stopped,
        )


def left_out_files(counts: Counter[str], examples: dict[str, list[str]]) -> tuple[LeftOutFiles, ...]:
    """As the report tells it, kind by kind."""
    return tuple(
        LeftOutFiles(kind=kind, files=counts[kind], paths=tuple(printable(name) for name in examples.get(kind, ())))
        for kind in KINDS
        if counts[kind]
    )


def added_up(parts: Sequence[Sequence[LeftOutFiles]]) -> tuple[LeftOutFiles, ...]:
    """What several listings left out."""
    counts: Counter[str] = Counter()
    examples: dict[str, list[str]] = {}
    for each in (each for part in parts for each in part):
        counts[each.kind] += each.files
        examples[each.kind] = sorted([*examples.get(each.kind, []), *each.paths])[:EXAMPLES]
    return left_out_files(counts, examples)
