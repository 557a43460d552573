"""Every file below a folder, in one order on every machine: each folder by name.

No more is held than the names of the folders that the walk is in.
"""

from __future__ import annotations

import os
import stat
from bisect import insort
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from dltool.core.finding import Severity
from dltool.scanning.record import Flaw
from dltool.scanning.sniff import promised

EXAMPLES = 5
MOST_VISITS = 16
"""A folder that links lead to is walked so often; chains of links can reach it in exponentially many ways."""
MOST_LEVELS = 1000


class Stamp(NamedTuple):
    """By which an unchanged file is known."""

    size_bytes: int
    mtime_ns: int
    ctime_ns: int


class Spot(NamedTuple):
    """A file, or a place where one should be (then ``flaw`` says what is there). ``name`` is relative to the root."""

    name: str
    path: str
    stamp: Stamp | None
    flaw: Flaw | None = None


@dataclass(slots=True)
class PassedOver:
    """What was left out, by kind: how many, and the first few by name."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def note(self, kind: str, name: str) -> None:
        """One more."""
        self.counts[kind] += 1
        few = self.examples.setdefault(kind, [])
        if len(few) < EXAMPLES or name < few[-1]:
            insort(few, name)
            del few[EXAMPLES:]


def stamp_of(status: os.stat_result) -> Stamp:
    """The stamp of a file."""
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def walk(
    root: str, passed: PassedOver, *, hidden: bool = False, enters: Callable[[str], bool] | None = None
) -> Iterator[Spot]:
    """The files below ``root``; links are followed, but not round in circles.

    Args:
        root: a folder.
        passed: is told of what is left out: hidden names (unless ``hidden``), sockets, devices and pipes.
        hidden: whether names that begin with a dot take part.
        enters: whether to enter the folder of this name; all where it is None.
    """
    return _Walk(passed, hidden=hidden, enters=enters).below(root)


@dataclass(slots=True)
class _Level:
    """A folder that is being walked: what is left of its names, last first, and who it is."""

    prefix: str
    base: str
    names: list[str]
    folders: set[str]
    identity: tuple[int, int]


class _Walk:
    def __init__(self, passed: PassedOver, *, hidden: bool, enters: Callable[[str], bool] | None) -> None:
        self._passed = passed
        self._hidden = hidden
        self._enters = enters
        self._visits: Counter[tuple[int, int]] = Counter()

    def below(self, root: str) -> Iterator[Spot]:
        status = os.stat(root)  # noqa: PTH116 - paths are plain strings here: Path costs more than the call
        ahead = [self._open("", root, (status.st_dev, status.st_ino))]
        while ahead:
            level = ahead[-1]
            if not level.names:
                ahead.pop()
                continue
            name = level.names.pop()
            inner, path = level.prefix + name, level.base + name
            if name in level.folders:
                yield from self._enter(inner, path, ahead, linked=False)
                continue
            try:
                status = os.stat(path)  # noqa: PTH116
            except OSError as error:
                yield Spot(inner, path, None, _unreachable(path, error))
                continue
            if stat.S_ISREG(status.st_mode):
                yield Spot(inner, path, Stamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns))
            elif stat.S_ISDIR(status.st_mode):
                yield from self._enter(inner, path, ahead, linked=True)
            else:
                self._passed.note("special", inner)

    def _enter(self, name: str, path: str, ahead: list[_Level], *, linked: bool) -> Iterator[Spot]:
        """Open a folder and put it on top of ``ahead``; or say why not."""
        if self._enters is not None and not self._enters(name):
            return
        try:
            status = os.stat(path)  # noqa: PTH116
            identity = (status.st_dev, status.st_ino)
            self._visits[identity] += linked
            if any(level.identity == identity for level in ahead):
                yield Spot(name, path, None, _flaw("link-loop", "is a link to a folder that it lies in", Severity.WARNING))
            elif self._visits[identity] > MOST_VISITS or len(ahead) > MOST_LEVELS:
                detail = "is not looked into: links lead to the same folder over and over"
                yield Spot(name, path, None, _flaw("link-loop", detail, Severity.WARNING))
            else:
                ahead.append(self._open(f"{name}/", path, identity))
        except OSError as error:
            yield Spot(name, path, None, _unreachable(path, error))

    def _open(self, prefix: str, path: str, identity: tuple[int, int]) -> _Level:
        names: list[str] = []
        folders: set[str] = set()
        with os.scandir(path) as entries:
            for entry in entries:
                name = entry.name
                if name[0] == "." and not self._hidden:
                    self._passed.note("hidden", f"{prefix}{name}")
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.add(name)
                names.append(name)
        names.sort(reverse=True)
        return _Level(prefix, os.path.join(path, ""), names, folders, identity)  # noqa: PTH118


def _unreachable(path: str, error: OSError) -> Flaw:
    if isinstance(error, FileNotFoundError):
        if os.path.islink(path):  # noqa: PTH114
            severity = Severity.ERROR if promised(path) else Severity.INFO  # a font's or a tool's link is no lost sample
            return _flaw("broken-link", "is a link to something that does not exist", severity)
        return _flaw("vanished", "was there when its folder was listed, and gone a moment later")
    return _flaw("unreadable", f"cannot be read: {error.strerror or error}")


def _flaw(kind: str, detail: str, severity: Severity = Severity.ERROR) -> Flaw:
    return Flaw(rule="corrupt-file", kind=kind, severity=severity, detail=detail)
