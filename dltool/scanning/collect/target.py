"""What the user named: a folder, a file, a glob or a manifest; and the folder that names are relative to."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dltool.core.errors import DataError, Problem, closest
from dltool.scanning.collect.manifest import read_manifest

GLOB_SIGNS = frozenset("*?[")

Kind = Literal["folder", "file", "glob", "manifest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanTarget:
    """What to scan.

    Attributes:
        given: as the user wrote it.
        kind: what it is. A csv or jsonl file is a manifest where a column of it names files that exist.
        root: the folder that ``Item.name`` is relative to, as the user would write it.
        pattern: of a glob, relative to ``root``; of a file its name.
        hidden: whether names that begin with a dot take part.
        understood: how an ambiguous target was taken, in a sentence; "" where there was no choice.
    """

    given: str
    kind: Kind
    root: str
    pattern: str = ""
    hidden: bool = False
    understood: str = ""


def open_scan_target(given: str, *, hidden: bool = False) -> ScanTarget:
    """Find out what ``given`` names.

    Raises:
        DataError: nothing of that name, no permission, or something that is no folder and no regular file.
    """
    if not given:
        raise DataError(Problem(message="the path is empty", expected="a folder, a file, a glob or a manifest"))
    path = Path(given)
    try:
        status = path.stat()
    except OSError as error:
        if GLOB_SIGNS & set(given):
            return _glob(given, hidden=hidden)
        raise DataError(_missing(path, error)) from None
    except ValueError:
        raise DataError(Problem(message=f"{given!r} is no path")) from None
    if stat.S_ISDIR(status.st_mode):
        _refuse_unreadable(path)
        return ScanTarget(given=given, kind="folder", root=str(path), hidden=hidden)
    if not stat.S_ISREG(status.st_mode):
        raise DataError(Problem(message=f"{given} is neither a folder nor a regular file"))
    return _file(given, path, hidden=hidden)


def _file(given: str, path: Path, *, hidden: bool) -> ScanTarget:
    root = str(path.parent)
    names_files, understood = read_manifest(path)
    kind: Kind = "manifest" if names_files else "file"
    return ScanTarget(given=given, kind=kind, root=root, pattern=path.name, hidden=hidden, understood=understood)


def _glob(given: str, *, hidden: bool) -> ScanTarget:
    parts = given.replace(os.sep, "/").split("/")
    fixed = next(at for at, part in enumerate(parts) if GLOB_SIGNS & set(part))
    root = Path("/".join(parts[:fixed]) or ("/" if given.startswith("/") else "."))
    if not root.is_dir():
        raise DataError(Problem(message=f"{root}, which {given} begins with, is not a folder"))
    _refuse_unreadable(root)
    return ScanTarget(given=given, kind="glob", root=str(root), pattern="/".join(parts[fixed:]), hidden=hidden)


def _refuse_unreadable(folder: Path) -> None:
    try:
        os.scandir(folder).close()
    except OSError as error:
        raise DataError(Problem(message=f"{folder} cannot be read: {error.strerror}")) from None


def _missing(path: Path, error: OSError) -> Problem:
    if not isinstance(error, FileNotFoundError):
        return Problem(message=f"{path} cannot be read: {error.strerror}")
    try:
        beside = os.listdir(path.parent)  # noqa: PTH208 - names, not paths
    except OSError:
        beside = []
    near = closest(path.name, beside)
    return Problem(message=f"{path} does not exist", suggestion=None if near is None else str(path.with_name(near)))
