"""The files behind a spec's data, as targets of a scan; and what the spec leaves out of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from dltool.core.errors import DataError, Problem
from dltool.data.subset import Excluded
from dltool.data.table import missing_path
from dltool.scanning.collect.target import ScanTarget
from dltool.scanning.record import Entry, Flaw, Inspection, TableFacts
from dltool.specs.load import LoadedSpec
from dltool.specs.schema import sources


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecSource:
    """A file or folder that the spec names.

    Attributes:
        target: what to scan.
        written: its path as the spec has it.
        split: "train" or "val", None where one source is split later.
        column: of labels, where it is a table.
        prefixed: whether names in it begin with ``written``: needed where several folders are scanned.
    """

    target: ScanTarget
    written: str
    split: str | None
    column: str | None
    prefixed: bool

    def name(self, name: str) -> str:
        """What a sample of this source is called: tables as the spec calls them, files by their path in the folder."""
        if self.target.kind == "file":
            return PurePosixPath(self.written).as_posix()
        return (PurePosixPath(self.written) / name).as_posix() if self.prefixed else name


def sources_of(loaded: LoadedSpec) -> list[SpecSource]:
    """Every file and folder; none for synthetic data.

    Raises:
        DataError: paths where nothing is, all of them.
    """
    data = loaded.spec.data
    given: list[tuple[tuple[str, ...], str | None, sources.Source]] = []
    if data.source is not None:
        given.append(((), None, data.source))
    given += [((key,), key, source) for key, source in (("train", data.train), ("val", data.val)) if source is not None]
    found: list[SpecSource] = []
    problems: list[Problem] = []
    prefixed = sum(isinstance(source, sources.Images) for _, _, source in given) > 1
    for below, split, source in given:
        for argument, written, column in _paths(source):
            path = loaded.directory / written
            if not path.exists():
                key = ("data", *below, source.kind, argument)
                problem = missing_path(path, ".".join(key))
                problems.append(replace(problem, location=loaded.locate(key)))
                continue
            folder = path.is_dir()
            target = ScanTarget(
                given=str(path),
                kind="folder" if folder else "file",
                root=str(path if folder else path.parent),
                pattern="" if folder else path.name,
            )
            found.append(SpecSource(target=target, written=written, split=split, column=column, prefixed=prefixed))
    if problems:
        raise DataError(*problems)
    return found


def _paths(source: sources.Source) -> Iterable[tuple[str, str, str | None]]:
    """(argument, path as written, label column)."""
    match source:
        case sources.Npy():
            yield "path", str(source.path), None
            yield "target", str(source.target), None
        case sources.Csv() | sources.Parquet():
            single = source.target[0] if isinstance(source.target, tuple) else source.target
            yield "path", str(source.path), str(single)
        case sources.Jsonl():
            yield "path", str(source.path), source.target
        case sources.FileSource():
            yield "path", str(source.path), getattr(source, "target", None)
        case _:
            return


class LeftOut:
    """What ``data.exclude`` leaves out."""

    def __init__(self, entries: Sequence[Excluded]) -> None:
        self._by_name: dict[str, list[Excluded]] = {}
        for entry in entries:
            self._by_name.setdefault("" if entry.path is None else PurePosixPath(entry.path).name, []).append(entry)
        self._only_listed = any(entry.keeps for entry in entries)

    def without(self, entry: Entry, root: str) -> Entry | None:
        """What is left of a sample (None: nothing); statistics of a table are of the whole."""
        item = entry.item
        is_table = entry.found.table is not None
        meant = [
            each
            for each in self._by_name.get(PurePosixPath(item.path).name, [])
            if each.names(item.path, None if is_table else root)
        ]
        if self._only_listed and not any(each.keeps for each in meant):
            return None
        if not is_table:
            return None if any(not each.keeps for each in meant) else entry
        rows = frozenset(each.row for each in (*meant, *self._by_name.get("", [])) if each.row is not None)
        return Entry(item, _without_rows(entry.found, rows)) if rows else entry


def _without_rows(found: Inspection, rows: frozenset[int]) -> Inspection:
    flaws = [left for flaw in found.flaws if (left := _flaw_without(flaw, rows)) is not None]
    table = found.table
    assert table is not None
    return replace(found, flaws=tuple(flaws), table=_table_without(table, rows))


def _flaw_without(flaw: Flaw, rows: frozenset[int]) -> Flaw | None:
    named = flaw.rows or (() if flaw.row is None else (flaw.row,))
    left = tuple(row for row in named if row not in rows)
    if not named or len(left) == len(named):
        return flaw
    count = flaw.count - (len(named) - len(left))
    if count <= 0:
        return None
    return replace(flaw, rows=left, row=left[0] if left else None, line=None, count=count)


def _table_without(table: TableFacts, rows: frozenset[int]) -> TableFacts:
    columns = [
        replace(column, extremes=tuple(extreme for extreme in column.extremes if extreme.row not in rows))
        for column in table.columns
    ]
    groups = [
        replace(group, rows=left, count=group.count - (len(group.rows) - len(left)))
        for group in table.equal_rows
        if len(left := tuple(row for row in group.rows if row not in rows)) > 1 or group.count - len(group.rows) > 0
    ]
    dropped = sum(group.count for group in table.equal_rows) - sum(group.count for group in groups)
    return replace(
        table, columns=tuple(columns), equal_rows=tuple(groups), equal_row_count=max(0, table.equal_row_count - dropped)
    )


def folders(found: Sequence[SpecSource]) -> list[Path]:
    """Where scanned files lie: nothing is to be written there."""
    return [Path(source.target.root) for source in found]
