"""Samples that are left out before anything else: an exclusion list, some classes only, a limit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from dltool.core.errors import DataError, Location, Problem, closest
from dltool.data.dataset import Table, examples, existing_file
from dltool.data.image_files import ImageFiles
from dltool.data.randomness import Stream, numpy_generator


@dataclass(frozen=True, slots=True)
class Excluded:
    """One line of an exclusion list: a file (relative to the folder that was scanned), a row, or a row of a file."""

    path: str | None
    row: int | None
    line: int


def read_exclusions(path: Path) -> list[Excluded]:
    """Read a .jsonl file of objects with ``path`` and/or ``row``; other keys are passed over.

    Raises:
        DataError: no such file, or lines that name no sample; all of them.
    """
    existing_file(path, "exclude")
    entries: list[Excluded] = []
    problems: list[Problem] = []
    for number, text in enumerate(path.read_text(encoding="utf-8-sig", errors="replace").splitlines(), start=1):
        if not text.strip():
            continue
        entry = _entry(text, number)
        if entry is None:
            expected = '{"path": "folder/file.png"} or {"row": 7}'
            problems.append(
                Problem(message="names no sample", location=Location(file=str(path), line=number), expected=expected)
            )
        else:
            entries.append(entry)
    if problems:
        raise DataError(*problems)
    return entries


def exclude(tables: Sequence[Table], entries: Sequence[Excluded], listed_in: Path) -> list[Table]:
    """The tables without the samples that are listed.

    Raises:
        DataError: entries that match no sample of any table.
    """
    unused = set(range(len(entries)))
    kept = []
    for table in tables:
        drop = np.zeros(len(table), dtype=bool)
        for at, entry in enumerate(entries):
            hits = _matches(table, entry)
            if len(hits):
                drop[hits] = True
                unused.discard(at)
        kept.append(table.take(np.flatnonzero(~drop)))
    if unused:
        lines = examples([f"line {entries[at].line}" for at in sorted(unused)])
        raise DataError(Problem(message=f"{listed_in} lists samples that the data does not have: {lines}", key="exclude"))
    return kept


def keep_classes(table: Table, classes: Sequence[str | int]) -> Table:
    """The samples whose target is one of ``classes``.

    Raises:
        DataError: targets that are no single label, or a class that no sample has.
    """
    targets = table.targets
    if isinstance(targets, list) or targets.ndim != 1:
        raise DataError(Problem(message="a choice of classes needs one label for each sample", key="classes"))
    problems = []
    chosen = np.zeros(len(targets), dtype=bool)
    for name in classes:
        hits = targets == (str(name) if targets.dtype.kind == "U" else name if isinstance(name, int) else np.nan)
        if not hits.any():
            found = [str(value) for value in np.unique(targets)]
            message = f"no sample of {table.path} has class {name!r}; its classes are {examples(found)}"
            problems.append(Problem(message=message, key="classes", suggestion=closest(str(name), found)))
        chosen |= hits
    if problems:
        raise DataError(*problems)
    return table.take(np.flatnonzero(chosen))


def limit(table: Table, samples: int, seed: int) -> Table:
    """At most ``samples`` of the table, drawn from the seed, in their old order."""
    if samples >= len(table):
        return table
    drawn = numpy_generator(seed, Stream.LIMIT).permutation(len(table))[:samples]
    return table.take(np.sort(drawn))


def _entry(text: str, line: int) -> Excluded | None:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict):
        return None
    path, row = record.get("path"), record.get("row")
    is_path = path is None or isinstance(path, str)
    is_row = row is None or (isinstance(row, int) and not isinstance(row, bool))
    return Excluded(path, row, line) if is_path and is_row and (path is not None or row is not None) else None


def _matches(table: Table, entry: Excluded) -> NDArray[np.int64]:
    if isinstance(table.inputs, ImageFiles):
        if entry.path is None:
            return np.flatnonzero(table.rows == entry.row)
        files, root = table.inputs, Path(table.path)
        wanted = PurePosixPath(entry.path)
        return np.array(
            [i for i in range(len(files)) if PurePosixPath(files.path(i).relative_to(root).as_posix()) == wanted], np.int64
        )
    if entry.row is None or (entry.path is not None and PurePosixPath(entry.path).name != Path(table.path).name):
        return np.empty(0, dtype=np.int64)
    return np.flatnonzero(table.rows == entry.row)
