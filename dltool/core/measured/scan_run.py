"""What a scan did not look into, and what a part of a scan hands on so that parts can be put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from dltool.core.measurements import Section

LeftOutKind = Literal["hidden", "special", "label", "compressed"]


@dataclass(frozen=True, kw_only=True)
class LeftOutFiles:
    """Files that were counted and not looked into.

    Hidden ones; pipes, sockets and devices; labels of a shard's samples; compressed files and archives.
    ``paths`` are the first few by name.
    """

    kind: LeftOutKind
    files: int
    paths: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class LeftOut(Section):
    """Everything that was left out, by kind."""

    key: ClassVar[str] = "left_out"

    kinds: tuple[LeftOutFiles, ...]


@dataclass(frozen=True, kw_only=True)
class ManifestCheck(Section):
    """Samples against the digests of a manifest; ``unverifiable`` have one of an algorithm that is not at hand here."""

    key: ClassVar[str] = "manifest_check"

    manifest: str
    unchanged: int
    changed: int
    missing: int
    new: int
    unverifiable: int


@dataclass(frozen=True, kw_only=True)
class ShardRecords(Section):
    """All that ``dltool scan --merge`` needs of one shard.

    Attributes:
        index, count: shard ``index`` (from 1) of ``count``.
        kind: what the target is ("folder", ...).
        settings: what must be the same in all parts: the settings of the looks, and the shape of the records.
        files_met: files of all shards that this one met when it listed the target.
        left_out: what each shard meets alike; ``left_out_within`` is what only this one met, in its archives.
        records: a line for each sample, deflated, base64.
    """

    key: ClassVar[str] = "shard_records"

    index: int
    count: int
    kind: str
    settings: str
    files_met: int
    left_out: tuple[LeftOutFiles, ...]
    left_out_within: tuple[LeftOutFiles, ...]
    records: str
