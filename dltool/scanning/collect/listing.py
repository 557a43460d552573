"""What a scan will look into, one sample after the other, in an order that depends on names alone."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from dltool.core.finding import Severity
from dltool.scanning.collect.archive import Shard
from dltool.scanning.collect.layout import TABLES, Layout, layout_of, names_tell_splits, split_in_name, split_name
from dltool.scanning.collect.manifest import listed as manifest_lines
from dltool.scanning.collect.target import ScanTarget
from dltool.scanning.collect.walk import PassedOver, Spot, Stamp, stamp_of, walk
from dltool.scanning.record import Flaw, Inspection, Item

TARS = (".tar", ".TAR", ".Tar")

COMPRESSED = (".gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz", ".zst", ".tzst", ".lz4", ".zip", ".7z", ".rar")
"""Archives and files that can only be read from end to end: they are counted, and not looked into."""

Order = tuple[str, ...] | tuple[int, ...]
"""Sorting by it gives the order of the scan, whichever part of the files was listed: folders and name, or the line."""


class Told(NamedTuple):
    """What folders or a manifest tell of a file."""

    label: str | None
    split: str | None
    digest: str | None


class Listed(NamedTuple):
    """A sample. ``told`` where nothing is left to look into; ``stamp``: of its file or archive, None without one.

    ``line`` is its place in the manifest, None where there is none.
    """

    item: Item
    stamp: Stamp | None
    told: Inspection | None
    line: int | None = None

    @property
    def order(self) -> Order:
        """Where it comes in the whole scan, whatever part of the files was listed."""
        if self.line is not None:
            return (self.line,)
        name = self.item.name
        return tuple((name if self.item.start_byte is None else file_of(name)).split("/"))


@dataclass(slots=True)
class Listing:
    """Goes through a target once.

    Attributes:
        target: what to scan.
        takes: which files are this run's share, by name; members go with their archive.
        digest_of: gives ``Item.expected_hash`` by name.
        passed: what was left out so far; ``passed_within`` what was in archives.
        files: files met so far, of all shares.
    """

    target: ScanTarget
    takes: Callable[[str], bool] | None = None
    digest_of: Callable[[str], str | None] | None = None
    passed: PassedOver = field(default_factory=PassedOver)
    passed_within: PassedOver = field(default_factory=PassedOver)
    files: int = 0
    _next: int = 0
    _folder: str = ""
    _tells: bool = False

    def samples(self) -> Iterator[Listed]:
        """Every sample.

        Raises:
            DataError: a manifest with lines that name nothing.
        """
        if self.target.kind == "manifest":
            yield from self._of_manifest()
            return
        layout = layout_of(self.target.root) if self.target.kind != "file" else Layout()
        folder, by = "", Told(None, None, None)
        for spot in self._spots():
            self.files += 1
            name = spot.name
            if spot.stamp is not None and name.lower().endswith(COMPRESSED):
                self.passed.note("compressed", name)
            elif self.takes is None or self.takes(name):
                inside = name.rpartition("/")[0]
                if inside != folder:
                    folder, by = inside, Told(*layout.told_by(inside.split("/")), None)
                if spot.stamp is None or name.endswith(TARS):
                    yield from self._of(spot, by)
                elif by.split is None and self.target.kind != "file" and name.lower().endswith(TABLES):
                    yield from self._of(spot, by._replace(split=self._split_of(spot)))
                else:  # nearly all files of nearly all sets
                    digest = None if self.digest_of is None else self.digest_of(name)
                    item = Item(self._next, name, spot.path, None, None, by.label, by.split, digest)
                    self._next += 1
                    yield Listed(item, spot.stamp, None)

    def _of_manifest(self) -> Iterator[Listed]:
        for at, line in enumerate(manifest_lines(Path(self.target.root) / self.target.pattern)):
            self.files += 1
            name = line.path.replace("\\", "/") if os.sep == "\\" else line.path
            if self.takes is None or self.takes(name):
                spot = _named(name, os.path.join(self.target.root, line.path))  # noqa: PTH118
                split = line.split and (split_name(line.split) or line.split)
                yield from self._of(spot, Told(line.label, split, line.digest), at)

    def _spots(self) -> Iterator[Spot]:
        target = self.target
        if target.kind == "file":
            yield _named(target.pattern, target.given)
            return
        if target.kind == "folder":
            yield from walk(target.root, self.passed, hidden=target.hidden)
            return
        wanted = glob_pattern(target.pattern)
        depth = None if "**" in target.pattern else target.pattern.count("/")
        hidden = target.hidden or any(part.startswith(".") for part in target.pattern.split("/"))

        def enters(name: str) -> bool:
            return depth is None or name.count("/") < depth

        for spot in walk(target.root, PassedOver(), hidden=hidden, enters=enters):
            if wanted.fullmatch(spot.name):
                yield spot

    def _of(self, spot: Spot, by: Told, line: int | None = None) -> Iterator[Listed]:
        name, path, stamp, flaw = spot
        if stamp is None:
            assert flaw is not None
            yield Listed(self._item(name, path, by), None, Inspection(format=None, size_bytes=0, flaws=(flaw,)), line)
        elif name.endswith(TARS):
            yield from self._members(spot, stamp, by, line)
        else:
            yield Listed(self._item(name, path, by), stamp, None, line)

    def _members(self, spot: Spot, stamp: Stamp, by: Told, line: int | None) -> Iterator[Listed]:
        """The members, then the archive itself: what is wrong with it is known at its end."""
        name, path = spot.name, spot.path
        shard = Shard(path, name, stamp.size_bytes, self.passed_within, hidden=self.target.hidden)
        split = by.split or split_in_name(name.rpartition("/")[2])
        for member in shard.members():
            place = (member.start_byte, member.size_bytes)
            told = Told(member.label or by.label, split, None)
            yield Listed(self._item(f"{name}/{member.name}", path, told, place), stamp, None, line)
        if shard.flaws:
            found = Inspection(format="tar", size_bytes=0, flaws=tuple(shard.flaws))
            yield Listed(Item(self._number(), name, path), stamp, found, line)

    def _split_of(self, spot: Spot) -> str | None:
        """Of a table, where its name and its neighbours' tell."""
        split = split_in_name(spot.name.rpartition("/")[2])
        if split is None:
            return None
        folder = os.path.dirname(spot.path)  # noqa: PTH120 - paths are plain strings here
        if folder != self._folder:
            self._folder, self._tells = folder, names_tell_splits(folder)
        return split if self._tells else None

    def _item(self, name: str, path: str, by: Told, place: tuple[int | None, int | None] = (None, None)) -> Item:
        digest = by.digest if self.digest_of is None else self.digest_of(name)
        return Item(self._number(), name, path, *place, by.label, by.split, digest)

    def _number(self) -> int:
        self._next += 1
        return self._next - 1


def items(target: ScanTarget) -> Iterator[Item]:
    """What ``target`` holds, in the order of the scan."""
    return (sample.item for sample in Listing(target).samples())


def file_of(name: str) -> str:
    """The file that a sample of this name lies in: its archive, or itself.

    >>> [file_of(name) for name in ("a/s.tar/b/1.jpg", "a/1.jpg", "s.tar")]
    ['a/s.tar', 'a/1.jpg', 's.tar']
    """
    parts = name.split("/")
    at = next((at for at, part in enumerate(parts[:-1]) if part.endswith(TARS)), len(parts) - 1)
    return "/".join(parts[: at + 1])


def glob_pattern(pattern: str) -> re.Pattern[str]:
    """A glob as a regular expression: ``**`` is any number of folders, ``*`` and ``?`` stay within one name.

    >>> [bool(glob_pattern("a/**/*.png").fullmatch(name)) for name in ("a/x.png", "a/b/c/x.png", "b/x.png")]
    [True, True, False]
    """
    made, at = "", 0
    while at < len(pattern):
        sign, end = pattern[at], -1
        if sign == "[":
            end = pattern.find("]", at + 2)
        if pattern.startswith("**/", at):
            made, at = made + "(?:.*/)?", at + 3
        elif pattern.startswith("**", at):
            made, at = made + ".*", at + 2
        elif sign in "*?":
            made, at = made + ("[^/]*" if sign == "*" else "[^/]"), at + 1
        elif end > 0:
            inside = pattern[at + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            made, at = made + "[" + ("^" + inside[1:] if inside[0] == "!" else inside) + "]", end + 1
        else:
            made, at = made + re.escape(sign), at + 1
    return re.compile(made, re.DOTALL)


def _named(name: str, path: str) -> Spot:
    try:
        return Spot(name, path, stamp_of(os.stat(path)))  # noqa: PTH116 - the path is a plain string here
    except FileNotFoundError:
        kind, detail = "missing", "is listed, and does not exist"
    except OSError as error:
        kind, detail = "unreadable", f"cannot be read: {error.strerror or error}"
    except ValueError:
        kind, detail = "missing", "is listed, and is no path"
    return Spot(name, path, None, Flaw(rule="corrupt-file", kind=kind, severity=Severity.ERROR, detail=detail))
