"""What earlier scans found, by file: so that a scan of an unchanged set, or one that was cut short, starts where it ended.

An sqlite file for each set in the user's cache folder. It is a convenience and nothing else: where it cannot be opened,
locked, read or written, or is damaged, the scan goes on without it.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import sqlite3
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Protocol

from dltool.core.version import VERSION
from dltool.scanning.collect.listing import Listed
from dltool.scanning.record import Inspection
from dltool.scanning.settings import InspectSettings
from dltool.scanning.wire import LAYOUT, read_inspection

DECODERS = ("Pillow", "simplejpeg", "isal", "xxhash", "numpy", "polars", "pyarrow", "safetensors")
ROWS_A_COMMIT = 2000
LOCK_WAIT_S = 1.0
ROWS_TOO_MANY = 10_000
YOUNG_NS = 100_000_000
"""A file written so shortly before it was read may change once more within one tick of the clock that stamps it."""
MOST_BYTES = 4 << 30
"""All ledgers together; beyond it those not used for longest go."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS about (key TEXT PRIMARY KEY, value TEXT);
CREATE TABLE IF NOT EXISTS settings (number INTEGER PRIMARY KEY, text TEXT UNIQUE);
CREATE TABLE IF NOT EXISTS looks (settings INTEGER, name BLOB, size INTEGER, mtime INTEGER, ctime INTEGER, line TEXT,
                                  PRIMARY KEY (settings, name)) WITHOUT ROWID;
"""


class Ledger(Protocol):
    """What is known of samples from before."""

    def known(self, samples: Sequence[Listed]) -> Mapping[str, Inspection]:
        """By name, those of ``samples`` that were looked into as they are now."""

    def add(self, results: Iterable[tuple[Listed, str]]) -> None:
        """Keep what was found just now, as lines (``scan.wire``)."""

    def close(self, *, finished: bool, samples: int | None = None) -> None:
        """Write what is left. ``finished``: the scan came to its end; ``samples``: how many the whole set has, if known."""


class NoLedger:
    """Nothing is known, nothing is kept."""

    unfinished = False

    def known(self, samples: Sequence[Listed]) -> Mapping[str, Inspection]:  # noqa: ARG002
        """Nothing."""
        return {}

    def add(self, results: Iterable[tuple[Listed, str]]) -> None:
        """Not kept."""

    def close(self, *, finished: bool, samples: int | None = None) -> None:
        """Nothing is left to write."""


class SqliteLedger:
    """The ledger of one set. ``unfinished``: the last scan with these settings did not come to its end.

    Raises:
        sqlite3.Error, OSError: only when it is created; afterwards it falls silent (``trouble`` says why).
    """

    def __init__(self, path: Path, settings: InspectSettings) -> None:
        self.path = path
        self.trouble: str | None = None
        self._settings = repr(settings)
        self._pending: list[tuple[int, bytes, int, int, int, str]] = []
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = self._open()
        self._number = self._numbered()
        self.unfinished = self._about("unfinished") == self._settings

    def known(self, samples: Sequence[Listed]) -> Mapping[str, Inspection]:
        """By name, those of ``samples`` that were looked into as they are now."""
        if self.trouble is not None or not samples:
            return {}
        names = [os.fsencode(sample.item.name) for sample in samples]
        marks = ",".join("?" * len(names))
        query = f"SELECT name, size, mtime, ctime, line FROM looks WHERE settings = ? AND name IN ({marks})"  # noqa: S608
        try:
            rows = {row[0]: row for row in self._database.execute(query, (self._number, *names))}
            found = {}
            for name, sample in zip(names, samples, strict=True):
                row = rows.get(name)
                if row is not None and row[1:4] == sample.stamp:
                    found[sample.item.name] = read_inspection(row[4])
        except (sqlite3.Error, ValueError) as error:
            self._fall_silent(error)
            return {}
        return found

    def add(self, results: Iterable[tuple[Listed, str]]) -> None:
        """Keep the lines of what was found just now, but for samples that may not be the same next time."""
        if self.trouble is not None:
            return
        young_ns = time.time_ns() - YOUNG_NS
        number, pending = self._number, self._pending
        for sample, line in results:
            stamp = sample.stamp
            if stamp is not None and stamp[1] < young_ns:
                pending.append((number, os.fsencode(sample.item.name), *stamp, line))
        if len(pending) >= ROWS_A_COMMIT:
            self._write()

    def begin(self) -> None:
        """Note that a scan is under way."""
        self._execute("INSERT OR REPLACE INTO about VALUES ('unfinished', ?)", self._settings)

    def close(self, *, finished: bool, samples: int | None = None) -> None:
        """Write what is left; a scan that ended early can be told from one that did not."""
        self._write()
        if finished:
            self._execute("DELETE FROM about WHERE key = 'unfinished' AND value = ?", self._settings)
        with suppress(sqlite3.Error):
            if finished and samples is not None:
                self._forget_vanished(samples)
            self._database.close()

    def _forget_vanished(self, samples: int) -> None:
        """Where this holds far more than the set does, begin anew next time."""
        query = "SELECT count(*) FROM looks WHERE settings = ?"
        if self._database.execute(query, (self._number,)).fetchone()[0] > 2 * samples + ROWS_TOO_MANY:
            self._database.execute("DELETE FROM looks WHERE settings = ?", (self._number,))

    def _open(self) -> sqlite3.Connection:
        try:
            return self._prepared()
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            _remove(self.path)
            return self._prepared()

    def _prepared(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.path, timeout=LOCK_WAIT_S, isolation_level=None, check_same_thread=False)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.executescript(SCHEMA)
            row = database.execute("SELECT value FROM about WHERE key = 'scanner'").fetchone()
            if row is None or row[0] != scanner_version():
                database.execute("DELETE FROM looks")
                database.execute("DELETE FROM about")
                database.execute("INSERT OR REPLACE INTO about VALUES ('scanner', ?)", (scanner_version(),))
        except sqlite3.Error:
            database.close()
            raise
        return database

    def _numbered(self) -> int:
        """A short name for the settings: it is part of every key."""
        self._database.execute("INSERT OR IGNORE INTO settings (text) VALUES (?)", (self._settings,))
        row = self._database.execute("SELECT number FROM settings WHERE text = ?", (self._settings,)).fetchone()
        number: int = row[0]
        return number

    def _about(self, key: str) -> str | None:
        row = self._database.execute("SELECT value FROM about WHERE key = ?", (key,)).fetchone()
        return None if row is None else row[0]

    def _write(self) -> None:
        if self.trouble is not None or not self._pending:
            return
        try:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany("INSERT OR REPLACE INTO looks VALUES (?, ?, ?, ?, ?, ?)", self._pending)
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            self._fall_silent(error)
        self._pending.clear()

    def _execute(self, statement: str, *values: str) -> None:
        if self.trouble is None:
            try:
                self._database.execute(statement, values)
            except sqlite3.Error as error:
                self._fall_silent(error)

    def _fall_silent(self, error: Exception) -> None:
        self.trouble = f"the cache {self.path} is of no use: {error}"
        damaged = not isinstance(error, sqlite3.OperationalError)
        with suppress(sqlite3.Error):
            self._database.close()
        if damaged:
            _remove(self.path)


def cache_folder() -> Path:
    """Where ledgers lie: ``dltool/scan`` in the user's cache folder (XDG Base Directory Specification)."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA", "")
    else:
        base = os.environ.get("XDG_CACHE_HOME", "")
    chosen = Path(base) if base and Path(base).is_absolute() else Path.home() / ".cache"
    return chosen / "dltool" / "scan"


def ledger_path(root: str, kind: str, pattern: str) -> Path:
    """The ledger of what was named so."""
    known_as = "\0".join((os.path.realpath(root), kind, pattern))
    return cache_folder() / f"{hashlib.blake2b(os.fsencode(known_as), digest_size=12).hexdigest()}.sqlite"


def make_room(folder: Path, most_bytes: int = MOST_BYTES) -> None:
    """Remove the ledgers that were not used for longest, until the rest fits."""
    with suppress(OSError):
        held = sorted(((s.st_mtime_ns, s.st_size, p) for p in folder.glob("*.sqlite") for s in [p.stat()]), reverse=True)
        total = 0
        for _, size, path in held:
            total += size
            if total > most_bytes:
                _remove(path)


@cache
def scanner_version() -> str:
    """Changes whenever the same bytes might be judged otherwise: the scanner's source, the decoders, the record's shape."""
    source = hashlib.blake2b(digest_size=8)
    folder = Path(__file__).parent
    for path in sorted(folder.rglob("*.py")):
        source.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    versions = [f"{name} {_version(name)}" for name in DECODERS]
    return " ".join((VERSION, source.hexdigest(), LAYOUT, *versions))


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "-"


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        with suppress(OSError):
            path.with_name(path.name + suffix).unlink()
