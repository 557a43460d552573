"""Manifests: csv, tsv or jsonl files whose lines name samples, and may give their label, split and digest."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from dltool.core.errors import DataError, Location, Problem
from dltool.core.file_names import restored

PATH_KEYS = ("path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path", "img", "img_path")
LABEL_KEYS = ("label", "class", "target", "category", "class_name", "label_name")
SPLIT_KEYS = ("split", "subset", "partition", "fold", "set")
DIGEST_KEYS = ("digest", "hash")
OTHER_KEYS = ("size_bytes", "bad_rows", "id", "")
MANIFEST_KEYS = frozenset({*PATH_KEYS, *LABEL_KEYS, *SPLIT_KEYS, *DIGEST_KEYS, *OTHER_KEYS})
SUFFIXES = frozenset({".csv", ".tsv", ".jsonl", ".ndjson"})
LINES_TRIED = 100
PROBLEMS_TOLD = 20


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of a manifest. ``line`` counts from 1."""

    path: str
    label: str | None
    split: str | None
    digest: str | None
    line: int


def read_manifest(path: Path) -> tuple[bool, str]:
    """Whether a file is a manifest, and a sentence on how it was understood where it could have been one.

    It is one where a column with a name such as ``path`` names, within the first hundred lines, at least one file that
    exists; also where none does, if it has no other columns than a manifest has, and all paths look like files': data that
    are gone must not pass for a table of their names.
    """
    if path.suffix.lower() not in SUFFIXES:
        return False, ""
    try:
        rows = list(islice(_rows(path), LINES_TRIED))
    except (OSError, ValueError, csv.Error):
        return False, ""
    key = _key_of(rows[0][1], PATH_KEYS) if rows else None
    if key is None:
        return False, ""
    named = [value for _, row in rows if isinstance(value := _get(row, key), str) and value]
    if any(_exists(path.parent / restored(value)) for value in named):
        return True, f"{path.name} was read as a manifest: its column {key!r} names files"
    if named and all(Path(value).suffix for value in named) and all(_is_manifest_key(name) for name in rows[0][1] or ()):
        return True, f"{path.name} was read as a manifest, and none of the first files that its column {key!r} names exists"
    return False, f"{path.name} was read as a table: none of the first paths in its column {key!r} exists beside it"


def listed(path: Path) -> Iterator[Listed]:
    """The lines of a manifest, in order.

    Raises:
        DataError: lines that name no file; the first twenty of them.
    """
    problems: list[Problem] = []
    try:
        for line, row in _rows(path):
            entry = _entry(row, line)
            if entry is not None:
                yield entry
                continue
            place = Location(file=str(path), line=line)
            problems.append(Problem(message="names no file", location=place, expected=f"a path under {PATH_KEYS[0]!r}"))
            if len(problems) == PROBLEMS_TOLD:
                break
    except (ValueError, csv.Error) as error:
        problems.append(Problem(message=f"is no manifest: {error}", location=Location(file=str(path))))
    if problems:
        raise DataError(*problems)


def _entry(row: Mapping[str, Any] | None, line: int) -> Listed | None:
    if row is None:
        return None
    key = _key_of(row, PATH_KEYS)
    path = None if key is None else _get(row, key)
    if not isinstance(path, str) or not path or "\0" in path:
        return None
    return Listed(restored(path), _text(row, LABEL_KEYS), _text(row, SPLIT_KEYS), _text(row, DIGEST_KEYS), line)


def _text(row: Mapping[str, Any], keys: tuple[str, ...]) -> str | None:
    key = _key_of(row, keys)
    value = None if key is None else _get(row, key)
    return None if value is None or isinstance(value, dict | list) or value == "" else str(value)


def _key_of(row: Mapping[str, Any] | None, keys: tuple[str, ...]) -> str | None:
    names: dict[str, str] = {}
    for name in row or ():
        if name is not None:
            names.setdefault(name.strip().lower(), name)
    return next((names[key] for key in keys if key in names), None)


def _is_manifest_key(name: str | None) -> bool:
    return (name or "").strip().lower() in MANIFEST_KEYS


def _get(row: Mapping[str, Any] | None, key: str) -> Any:
    return None if row is None else row.get(key)


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any] | None]]:
    """Line number and cells; None for a line that is no record."""
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        if path.suffix.lower() in {".jsonl", ".ndjson"}:
            for number, text in enumerate(file, start=1):
                if text.strip():
                    yield number, _record(text)
            return
        reader = csv.DictReader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",", strict=True)
        for row in reader:
            yield reader.line_num, row


def _record(text: str) -> Mapping[str, Any] | None:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
