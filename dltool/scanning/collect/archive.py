"""The members of a tar, without unpacking it; and what is wrong with it as a WebDataset shard.

A WebDataset reader makes a sample of neighbouring members whose names agree up to the first dot. Where the members of a
sample do not stand together, it silently delivers broken ones (https://github.com/webdataset/webdataset, "The WebDataset
Format").
"""

from __future__ import annotations

import tarfile
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from dltool.core.finding import Severity
from dltool.scanning.collect.walk import PassedOver
from dltool.scanning.record import Flaw
from dltool.scanning.sniff import document
from dltool.scanning.source import HEAD_BYTES

BLOCK_BYTES = 512
LABEL_SUFFIX = "cls"
LONGEST_LABEL = 256
NAMED = 5


class Member(NamedTuple):
    """A regular file in the archive."""

    name: str
    start_byte: int
    size_bytes: int
    label: str | None


@dataclass(slots=True)
class Shard:
    """Reads one archive once. ``flaws`` are complete when ``members`` has ended."""

    path: str
    name: str
    size_bytes: int
    passed: PassedOver
    hidden: bool = False
    flaws: list[Flaw] = field(default_factory=list)
    _keys: set[str] = field(default_factory=set)
    _apart: list[str] = field(default_factory=list)
    _doubled: list[str] = field(default_factory=list)
    _shapes: Counter[frozenset[str]] = field(default_factory=Counter)
    _first_of_shape: dict[frozenset[str], str] = field(default_factory=dict)
    _parts: dict[str, str] = field(default_factory=dict)

    def members(self) -> Iterator[Member]:
        """The members that are samples, in their order; those that hold a class (``.cls``) label the others."""
        try:
            with tarfile.open(self.path, "r:") as archive:
                for group in self._groups(archive):
                    yield from self._sample(archive, group)
                self._look_at_end(archive)
        except tarfile.ReadError as error:
            self._tell_of_none(error)
        except OSError as error:
            self._tell("unreadable", f"cannot be read: {error.strerror or error}")
        self._judge()

    def _groups(self, archive: tarfile.TarFile) -> Iterator[list[tarfile.TarInfo]]:
        """Neighbours with one key."""
        group: list[tarfile.TarInfo] = []
        for member in self._regular(archive):
            if group and _key(member.name) != _key(group[0].name):
                yield group
                group = []
            group.append(member)
        if group:
            yield group

    def _regular(self, archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
        try:
            while (member := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined]  # else it keeps a million of them
                base = member.name.rpartition("/")[2]
                if not member.isreg():
                    if not member.isdir():
                        self.passed.note("special", f"{self.name}/{member.name}")
                elif (base.startswith(".") and not self.hidden) or base.startswith("__"):
                    self.passed.note("hidden", f"{self.name}/{member.name}")
                else:
                    yield member
        except tarfile.ReadError as error:
            if archive.offset == 0:
                raise
            self._tell("truncated", f"the archive breaks off: {error}", archive.offset)

    def _sample(self, archive: tarfile.TarFile, group: list[tarfile.TarInfo]) -> Iterator[Member]:
        key = _key(group[0].name)
        suffixes = [_suffix(member.name) for member in group]
        if key in self._keys:
            self._apart.append(key)
        self._keys.add(key)
        self._doubled.extend(
            m.name for m, s, at in zip(group, suffixes, range(len(group)), strict=True) if s in suffixes[:at]
        )
        shape = frozenset(suffixes)
        self._shapes[shape] += 1
        self._first_of_shape.setdefault(shape, key)
        label = next((self._label(archive, m) for m, s in zip(group, suffixes, strict=True) if s == LABEL_SUFFIX), None)
        for member, suffix in zip(group, suffixes, strict=True):
            if suffix == LABEL_SUFFIX and len(group) > 1:
                self.passed.note("label", f"{self.name}/{member.name}")
            else:
                yield Member(member.name, member.offset_data, member.size, label)

    def _label(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> str | None:
        stream = archive.extractfile(member) if member.size <= LONGEST_LABEL else None
        text = "" if stream is None else stream.read().decode("utf-8", errors="replace").strip()
        if not text:
            self._tell("label", f"the class of {member.name} is empty or no text", member.offset_data, Severity.WARNING)
        return text or None

    def _look_at_end(self, archive: tarfile.TarFile) -> None:
        """At a header that is none, tarfile stops without a word."""
        if any(flaw.kind == "truncated" for flaw in self.flaws) or archive.fileobj is None:
            return
        archive.fileobj.seek(archive.offset)
        block = archive.fileobj.read(BLOCK_BYTES)
        if block.strip(b"\0"):
            rest = self.size_bytes - archive.offset
            self._tell("archive", f"a damaged header hides the last {rest:,} bytes of the archive", archive.offset)

    def _tell_of_none(self, error: tarfile.ReadError) -> None:
        """What lies in place of an archive, where its beginning tells."""
        with suppress(OSError), Path(self.path).open("rb") as stream:
            if impostor := document(stream.read(HEAD_BYTES)):
                self._tell(impostor.kind, f"holds {impostor.what}")
                return
        self._tell("archive", f"the archive cannot be read: {error}")

    def _judge(self) -> None:
        if self._apart:
            told = _some(self._apart)
            self._tell("keys-apart", f"members of one sample do not stand together: {told}", count=len(self._apart))
        if self._doubled:
            self._tell(
                "duplicate-member", f"a sample has two members of one name: {_some(self._doubled)}", count=len(self._doubled)
            )
        self._judge_shapes()

    def _judge_shapes(self) -> None:
        """Samples that lack a member which nearly all have; ordinary tars, where any file stands alone, have none."""
        if not self._shapes:
            return
        samples = sum(self._shapes.values())
        usual, count = self._shapes.most_common(1)[0]
        lacking = {shape: n for shape, n in self._shapes.items() if shape < usual}
        if len(usual) < 2 or count < 0.9 * samples or not lacking:
            return
        first = next(shape for shape in self._first_of_shape if shape in lacking)
        detail = f"{self._first_of_shape[first]} lacks {', '.join(sorted(usual - first))}, which nearly all samples have"
        self._tell("incomplete-sample", detail, severity=Severity.WARNING, count=sum(lacking.values()))

    def _tell(
        self, kind: str, detail: str, offset: int | None = None, severity: Severity = Severity.ERROR, count: int = 1
    ) -> None:
        self.flaws.append(
            Flaw(rule="corrupt-file", kind=kind, severity=severity, detail=detail, offset_bytes=offset, count=count)
        )


def _key(name: str) -> str:
    """Up to the first dot of the last part, with its folder: what makes members one sample.

    >>> [_key("a/b.c/001.seg.png"), _key("001")]
    ['a/b.c/001', '001']
    """
    folder, slash, base = name.rpartition("/")
    return f"{folder}{slash}{base.partition('.')[0]}"


def _suffix(name: str) -> str:
    return name.rpartition("/")[2].partition(".")[2].lower()


def _some(names: list[str]) -> str:
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
