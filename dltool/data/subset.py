"""Samples that are left out before anything else: an exclusion list, some classes only, a limit."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from dltool.core.errors import DataError, Location, Problem, closest
from dltool.core.file_names import restored
from dltool.data.image_files import ImageFiles
from dltool.data.randomness import Stream, numpy_generator
from dltool.data.table import Table, examples, existing_file


@dataclass(frozen=True, slots=True)
class Excluded:
    """One line of an exclusion list: a file (relative to the folder that was scanned), a row, or a row of a file.

    ``keeps``: the line is of a manifest of clean samples, so that what no such line names is left out. ``by_scan``: a scan
    wrote it, which may have looked into more than the data holds.
    """

    path: str | None
    row: int | None
    line: int
    keeps: bool = False
    by_scan: bool = False

    def names(self, path: str, root: str | None = None) -> bool:
        """Whether the line's path is the end of this one; of a file in a folder ``root``, at least all from there on."""
        if self.path is None:
            return False
        wanted = tuple(part for part in PurePosixPath(self.path).parts if part != "..")
        full = Path(os.path.abspath(path)).parts  # noqa: PTH100 - resolve() would follow links
        shortest = 1 if root is None else len(full) - len(Path(os.path.abspath(root)).parts)  # noqa: PTH100
        return shortest <= len(wanted) and full[-len(wanted) :] == wanted


def read_exclusions(path: Path) -> list[Excluded]:
    """Read a .jsonl file of objects with ``path`` and/or ``row``; other keys are passed over.

    Of what a scan wrote, lines of severity info are passed over too, and a manifest of clean samples is understood: it
    names the samples that stay, with their ``bad_rows``.

    Raises:
        DataError: no such file, or lines that name no sample; all of them.
    """
    existing_file(path, "exclude")
    entries: list[Excluded] = []
    problems: list[Problem] = []
    for number, text in enumerate(path.read_text(encoding="utf-8-sig", errors="replace").splitlines(), start=1):
        if not text.strip():
            continue
        found = _entries(text, number)
        if found is None:
            expected = '{"path": "folder/file.png"} or {"row": 7}'
            problems.append(
                Problem(message="names no sample", location=Location(file=str(path), line=number), expected=expected)
            )
        else:
            entries += found
    if problems:
        raise DataError(*problems)
    return entries


def exclude(tables: Sequence[Table], entries: Sequence[Excluded], listed_in: Path) -> list[Table]:
    """The tables without the samples that are listed; for a manifest, with those alone.

    Raises:
        DataError: entries that match no sample of any table; of a list that a scan wrote, if all of them are such.
    """
    marked = [np.zeros(len(table), dtype=bool) for table in tables]
    stays = [np.zeros(len(table), dtype=bool) for table in tables]
    finders = [_Finder(table) for table in tables]
    unused: list[Excluded] = []
    for entry in entries:
        hits = [finder.rows(entry) for finder in finders]
        if not any(map(len, hits)):
            hits = [finder.rows_by_name(entry) for finder in finders]
        for drop, keep, found in zip(marked, stays, hits, strict=True):
            (keep if entry.keeps else drop)[found] = True
        if not any(map(len, hits)):
            unused.append(entry)
    strict = [entry for entry in unused if not entry.by_scan]
    if strict or (entries and len(unused) == len(entries)):
        lines = examples([f"line {entry.line}" for entry in strict or unused])
        raise DataError(Problem(message=f"{listed_in} lists samples that the data does not have: {lines}", key="exclude"))
    if any(entry.keeps for entry in entries):
        marked = [drop | ~keep for drop, keep in zip(marked, stays, strict=True)]
    return [table.take(np.flatnonzero(~drop)) for table, drop in zip(tables, marked, strict=True)]


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


def _entries(text: str, line: int) -> list[Excluded] | None:
    """What a line says; [] for what is worth knowing only, None where it names no sample."""
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict):
        return None
    path, row, severity = record.get("path"), record.get("row"), record.get("severity")
    if severity == "info":
        return []
    path = restored(path) if isinstance(path, str) else path
    if isinstance(path, str) and "digest" in record and "size_bytes" in record:
        rows = [each for each in record.get("bad_rows") or () if isinstance(each, int)]
        return [Excluded(path, None, line, keeps=True, by_scan=True), *(Excluded(path, each, line) for each in rows)]
    is_path = path is None or isinstance(path, str)
    is_row = row is None or (isinstance(row, int) and not isinstance(row, bool))
    if not is_path or not is_row or (path is None and row is None):
        return None
    return [Excluded(path, row, line, by_scan=severity is not None)]


class _Finder:
    """Finds the samples of a table that lines mean."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._files = table.inputs if isinstance(table.inputs, ImageFiles) else None
        self._by_name: dict[str, list[int]] = {}
        for at in range(0 if self._files is None else len(table)):
            assert self._files is not None
            self._by_name.setdefault(self._files.path(at).name, []).append(at)

    def rows(self, entry: Excluded) -> NDArray[np.int64]:
        """Positions of the samples, by as much of the path as the line tells."""
        if self._files is None:
            return self._in_table(entry, named=entry.path is None or entry.names(self._table.path))
        if entry.path is None:
            return np.flatnonzero(self._table.rows == entry.row)
        near = self._by_name.get(PurePosixPath(entry.path).name, [])
        return np.array([at for at in near if entry.names(str(self._files.path(at)), self._table.path)], np.int64)

    def rows_by_name(self, entry: Excluded) -> NDArray[np.int64]:
        """The same for a table that was scanned elsewhere: by its file's name alone."""
        if self._files is not None or entry.path is None:
            return np.empty(0, np.int64)
        return self._in_table(entry, named=PurePosixPath(entry.path).name == Path(self._table.path).name)

    def _in_table(self, entry: Excluded, *, named: bool) -> NDArray[np.int64]:
        if not named:
            return np.empty(0, np.int64)
        if entry.row is None:
            return np.arange(len(self._table)) if entry.keeps else np.empty(0, np.int64)
        return np.flatnonzero(self._table.rows == entry.row)
