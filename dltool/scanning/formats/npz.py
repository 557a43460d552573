"""Archives of numpy arrays: the directory, the checksum and the header of every member, then every value."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, field

from dltool.scanning.archives.zips import DAMAGE, checksum_flaw, member_flaw, opened, promises
from dltool.scanning.arrays.header import read_header
from dltool.scanning.arrays.values import ArrayValues
from dltool.scanning.flaws import oddity
from dltool.scanning.record import ColumnFacts, Flaw, Inspection, RowGroup, TableFacts, Tier
from dltool.scanning.settings import InspectSettings
from dltool.scanning.source import Source

MOST_COLUMNS = 4096
MOST_MEMBERS = 10_000


@dataclass(slots=True)
class _Seen:
    flaws: list[Flaw] = field(default_factory=list)
    columns: list[ColumnFacts] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    groups: tuple[RowGroup, ...] = ()
    repeated: int = 0
    largest_bytes: int = -1
    row_hashes: bytes = b""


def inspect_npz(source: Source, settings: InspectSettings) -> Inspection:
    """Read every array of an archive. Pickled ones are refused, as is an archive that would outgrow the machine.

    Equal rows are those of the largest array.

    Raises OSError.
    """
    seen = _Seen()
    with source.open() as stream, opened(stream) as archive:
        if isinstance(archive, Flaw):
            return Inspection(format="npz", size_bytes=source.size_bytes, flaws=(archive,))
        seen.flaws += promises(archive, source.size_bytes, settings)
        if settings.tier is not Tier.QUICK and not any(flaw.rule == "unsafe-file" for flaw in seen.flaws):
            for member in archive.infolist()[:MOST_MEMBERS]:
                _look(archive, member, seen, settings)
    return Inspection(
        format="npz",
        size_bytes=source.size_bytes,
        flaws=tuple(seen.flaws),
        table=None if settings.tier is Tier.QUICK or not seen.rows else _facts(seen),
    )


def _look(archive: zipfile.ZipFile, member: zipfile.ZipInfo, seen: _Seen, settings: InspectSettings) -> None:
    if not member.filename.endswith(".npy"):
        flaw = checksum_flaw(archive, member)
        seen.flaws.append(flaw or oddity("foreign-member", f"the member {member.filename!r} is no array"))
        return
    name = member.filename.removesuffix(".npy")
    try:
        with archive.open(member) as stream:
            header = read_header(stream, member.file_size, f"the array {name!r}")
            seen.flaws += header.flaws
            if header.layout is None or header.flaws:
                return
            largest = header.layout.size_bytes > seen.largest_bytes and len(header.layout.shape) > 1
            values = ArrayValues(
                header.layout,
                name=name,
                compare_rows=largest,
                want_row_hashes=largest and settings.want_row_hashes,
            )
            start = stream.tell()
            values.read(stream)
            values.look_again(stream, start)
            while stream.read(1 << 20):  # the checksum is compared at the end
                pass
    except (*DAMAGE, OSError) as error:
        seen.flaws.append(member_flaw(member, error))
        return
    facts, flaws, _ = values.finish()
    seen.flaws += flaws
    seen.columns += facts.columns
    seen.rows.append(facts.rows)
    if largest:
        seen.largest_bytes = header.layout.size_bytes
        seen.groups, seen.repeated, seen.row_hashes = facts.equal_rows, facts.equal_row_count, facts.row_hashes


def _facts(seen: _Seen) -> TableFacts:
    """Rows are those that most arrays have, of these the most."""
    rows = max(seen.rows, key=lambda number: (seen.rows.count(number), number))
    return TableFacts(
        rows=rows,
        columns=tuple(seen.columns[:MOST_COLUMNS]),
        equal_rows=seen.groups,
        equal_row_count=seen.repeated,
        row_hashes=seen.row_hashes,
    )
