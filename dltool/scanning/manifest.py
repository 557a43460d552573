"""The manifest of a set's clean samples: written, and later verified."""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from dltool.core.errors import DataError, OutputError, Problem
from dltool.core.file_names import printable
from dltool.core.finding import Severity
from dltool.scanning.collect.manifest import listed
from dltool.scanning.digest import algorithm_of, digest_of_stream
from dltool.scanning.record import Entry, Flaw, Inspection, Item
from dltool.scanning.source import source_of


class Spool:
    """Keeps on disk what must be known of every sample until it is judged."""

    def __init__(self) -> None:
        self._file: IO[str] = tempfile.TemporaryFile("w+", prefix="dltool-scan-", encoding="ascii")  # noqa: SIM115

    def add(self, entry: Entry) -> None:
        """One sample."""
        item, found = entry.item, entry.found
        place = (item.name, item.path, item.start_byte, item.size_bytes, item.label, item.split)
        self._file.write(json.dumps((item.index, *place, found.size_bytes, found.digest)) + "\n")

    def samples(self) -> Iterator[tuple[Item, int, str]]:
        """Item, size in bytes and digest of each, in order."""
        self._file.seek(0)
        for text in self._file:
            *fields, size_bytes, digest = json.loads(text)
            yield Item(*fields), size_bytes, digest

    def close(self) -> None:
        """Nothing is left on disk."""
        self._file.close()


def write_manifest(path: Path, spool: Spool, bad: Mapping[str, frozenset[int] | None]) -> None:
    """Write a line for every sample but the ``bad`` ones (those with None); of a file with bad rows, the rows are told.

    A line is ``{"path", "size_bytes", "digest", "label", "split", "bad_rows"}``; the last three only where there are some.
    ``bad`` goes by names as reports print them.

    Raises:
        OutputError: the file cannot be written.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("w", encoding="utf-8") as file:
            for item, size_bytes, digest in spool.samples():
                rows = bad.get(printable(item.name), frozenset())
                if rows is not None:
                    line = {"path": item.name, "size_bytes": size_bytes, "digest": digest}
                    line |= {"label": item.label} if item.label is not None else {}
                    line |= {"split": item.split} if item.split is not None else {}
                    line |= {"bad_rows": sorted(rows)} if rows else {}
                    file.write(json_line(line))
        beside.replace(path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
    finally:
        beside.unlink(missing_ok=True)


@dataclass(slots=True)
class Verified:
    """How many samples were as the manifest has them, and how many not."""

    unchanged: int = 0
    changed: int = 0
    missing: int = 0
    new: int = 0
    unverifiable: int = 0


class Verification:
    """The digests of a manifest, on disk where they are many.

    Raises:
        DataError: no such file, or lines that name no sample.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("CREATE TABLE expected (name BLOB PRIMARY KEY, digest TEXT, line INTEGER, met INTEGER)")
        self._database.execute("BEGIN")
        try:
            rows = ((os.fsencode(line.path), line.digest, line.line) for line in listed(path))
            self._database.executemany("INSERT OR REPLACE INTO expected VALUES (?, ?, ?, 0)", rows)
        except OSError as error:
            raise DataError(Problem(message=f"{path} cannot be read: {error.strerror}", key="--verify-manifest")) from None
        if not self._database.execute("SELECT count(digest) FROM expected").fetchone()[0]:
            raise DataError(
                Problem(message=f"{path} gives no digests", key="--verify-manifest", expected='"digest" in its lines')
            )

    def expected(self, name: str) -> str | None:
        """The digest of the sample of this name; "" where the manifest does not list it, None where it gives none."""
        key = os.fsencode(name)
        row = self._database.execute("SELECT digest FROM expected WHERE name = ?", (key,)).fetchone()
        if row is None:
            return ""
        self._database.execute("UPDATE expected SET met = 1 WHERE name = ?", (key,))
        digest: str | None = row[0]
        return digest

    def missing(self) -> Iterator[tuple[str, int]]:
        """(name, line) of the samples that nobody asked for."""
        for name, line in self._database.execute("SELECT name, line FROM expected WHERE met = 0 ORDER BY line"):
            yield os.fsdecode(name), line

    def close(self) -> None:
        """Let go of the digests."""
        self._database.close()


def verified(entry: Entry, seen: Verified) -> Entry:
    """``entry`` with a flaw where it is not what ``Item.expected_hash`` says, "" for what no manifest lists."""
    expected, actual = entry.item.expected_hash, entry.found.digest
    if expected == "":
        if entry.found.format is None and not entry.found.flaws:
            return entry
        seen.new += 1
        return _with(entry, "not-in-manifest", "the manifest does not list it", Severity.INFO)
    if expected and actual and algorithm_of(expected) != algorithm_of(actual):
        actual = _digest_by(algorithm_of(expected), entry.item)
    if expected is None or not actual:
        seen.unverifiable += 1
        return entry
    if expected == actual:
        seen.unchanged += 1
        return entry
    seen.changed += 1
    return _with(entry, "changed", f"is not what the manifest has: {actual} instead of {expected}", Severity.ERROR)


def absent(seen: Verified) -> Inspection:
    """What is said of a sample that a manifest lists and nobody has."""
    seen.missing += 1
    detail = "the manifest lists it, and it does not exist"
    flaw = Flaw(rule="corrupt-file", kind="missing", severity=Severity.ERROR, detail=detail)
    return Inspection(format=None, size_bytes=0, flaws=(flaw,))


def _digest_by(algorithm: str, item: Item) -> str:
    """The digest of a sample by another algorithm than the one that is used here; "" where that is not to be had."""
    try:
        with source_of(item).open() as stream:
            return digest_of_stream(stream, algorithm)[0]
    except (OSError, ValueError):
        return ""


def _with(entry: Entry, kind: str, detail: str, severity: Severity) -> Entry:
    flaw = Flaw(rule="corrupt-file", kind=kind, severity=severity, detail=detail)
    return Entry(entry.item, replace(entry.found, flaws=(*entry.found.flaws, flaw)))


def json_line(record: Mapping[str, object]) -> str:
    """Readable where the name is text, escaped where it is not."""
    text = json.dumps(record, ensure_ascii=False)
    return (json.dumps(record) if any("\ud800" <= sign <= "\udfff" for sign in text) else text) + "\n"
