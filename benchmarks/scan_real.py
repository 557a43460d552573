"""How `dltool scan` does on real files that somebody has labelled: found among the bad, accused among the good.

    python benchmarks/scan_real.py FOLDER [--tier normal] [--workers 2] [--without-fast] [--unclear LIST] [--write LIST]

FOLDER holds a folder for each collection (a decoder's test suite, a fuzz corpus, a data set), with `good/` and `bad/` in
it, as deep as one likes; either may be missing. `--unclear` names a list of files, relative to FOLDER, to leave out.

Found is a bad file with a flaw at warning or above; accused a good one with such a flaw of corrupt-file or
format-mismatch. What a scan says of files by comparing them (duplicates, a file unlike its neighbours) is not counted.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from dltool.core.finding import Severity
from dltool.scanning.pool import Job, PoolSettings, inspect_all
from dltool.scanning.record import Flaw, Inspection, Item, Tier
from dltool.scanning.settings import InspectSettings
from dltool.scanning.source import Source

ACCUSATIONS = frozenset({"corrupt-file", "format-mismatch"})
FAILURES = frozenset({"decoder-hang", "decoder-crash", "memory"})
FAST = ("simplejpeg", "isal", "isal.isal_zlib", "xxhash", "polars")


@dataclass(slots=True)
class Row:
    """Counts of one collection; ``wrong`` are the files accused or missed, each with its flaws."""

    name: str
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("good", "bad", "found", "accused", "failed"), 0))
    seconds: float = 0.0
    slowest_s: float = 0.0
    slowest: str = ""
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        numbers = "".join(f"{count or '-':>9}" for count in self.counts.values())
        return f"{self.name[:26]:26}{numbers}{self.seconds:>9.1f}{self.slowest_s:>9.2f}  {self.slowest}"


def inspect_timed(source: Source, settings: InspectSettings) -> Inspection:
    """A look, with the seconds that it took in place of the content's hash."""
    from dltool.scanning.inspect import inspect

    start = time.perf_counter()
    found = inspect(source, settings)
    return replace(found, content=repr(time.perf_counter() - start))


def inspect_without_fast(source: Source, settings: InspectSettings) -> Inspection:
    """The same where none of the fast libraries is installed."""
    for name in FAST:
        sys.modules[name] = None  # type: ignore[assignment]  # which makes importing it fail
    return inspect_timed(source, settings)


def files(folder: Path) -> Iterator[Path]:
    """All below a folder, in one order."""
    for at, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(at, name) for name in sorted(names))


def measure(folder: Path, settings: PoolSettings, unclear: frozenset[str]) -> Row:
    """Look into all files of one collection."""
    row = Row(folder.name)
    labels: list[str] = []
    jobs: list[Job] = []
    for label in ("good", "bad"):
        for path in files(folder / label):
            name = path.relative_to(folder.parent).as_posix()
            if name not in unclear:
                labels.append(label)
                jobs.append(Job(Item(len(jobs), name, str(path)), path.stat().st_size))
    start = time.perf_counter()
    for done in (each for batch in inspect_all(jobs, settings) for each in batch):
        count(row, labels[done.job.item.index], done.job.item.name, done.found)
    row.seconds = time.perf_counter() - start
    return row


def count(row: Row, label: str, name: str, found: Inspection) -> None:
    """Take one result in."""
    flaws = [flaw for flaw in found.flaws if flaw.severity.rank >= Severity.WARNING.rank]
    guilty = [flaw for flaw in flaws if label == "bad" or flaw.rule in ACCUSATIONS]
    row.counts[label] += 1
    row.counts["failed"] += any(flaw.kind in FAILURES for flaw in flaws)
    if guilty:
        row.counts["found" if label == "bad" else "accused"] += 1
    if bool(guilty) != (label == "bad"):
        row.wrong.append(f"{'accused' if guilty else 'missed'}\t{name}\t{'; '.join(map(told, guilty or found.flaws))}")
    seconds = float(found.content or 0)
    if seconds > row.slowest_s:
        row.slowest_s, row.slowest = seconds, Path(name).name[:40]


def told(flaw: Flaw) -> str:
    """A flaw on one line."""
    return f"{flaw.severity} {flaw.kind}: {flaw.detail}"


def main() -> None:
    """Print a row for each collection, and their sum."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tier", type=Tier, choices=list(Tier), default=Tier.NORMAL)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--without-fast", action="store_true", help="as if simplejpeg, isal, xxhash and polars were missing")
    parser.add_argument("--unclear", type=Path, help="a list of files to leave out")
    parser.add_argument("--write", type=Path, help="write the files that were accused or missed there")
    arguments = parser.parse_args()
    inspector = inspect_without_fast if arguments.without_fast else inspect_timed
    settings = PoolSettings(
        inspect=InspectSettings(tier=arguments.tier),
        workers=arguments.workers,
        inspector=f"{Path(__file__).stem}:{inspector.__name__}",
    )
    unclear = frozenset(arguments.unclear.read_text().splitlines() if arguments.unclear else ())
    head = "".join(f"{name:>9}" for name in ("good", "bad", "found", "accused", "failed", "seconds", "slowest"))
    print(f"{'collection':26}{head}  of which")
    total = Row("all")
    for folder in sorted(path for path in arguments.folder.iterdir() if (path / "good").is_dir() or (path / "bad").is_dir()):
        row = measure(folder, settings, unclear)
        print(row, flush=True)
        for name in row.counts:
            total.counts[name] += row.counts[name]
        total.seconds += row.seconds
        total.wrong += row.wrong
        if row.slowest_s > total.slowest_s:
            total.slowest_s, total.slowest = row.slowest_s, row.slowest
    print(total)
    good, bad = (max(1, total.counts[label]) for label in ("good", "bad"))
    print(f"found {total.counts['found'] / bad:.2%} of the bad, accused {total.counts['accused'] / good:.3%} of the good")
    if arguments.write:
        arguments.write.write_text("\n".join([*total.wrong, ""]))


if __name__ == "__main__":
    main()
