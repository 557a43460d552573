"""Row groups that are decoded together: as many as make the work of one call worth it, as few as memory allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

FEW_BYTES = 1 << 25


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive row groups. ``size_bytes`` they take when unpacked, ``column_bytes`` the largest of their columns."""

    groups: range
    first_row: int
    rows: int
    size_bytes: int
    column_bytes: int


def stretches_of(metadata: Any) -> list[Stretch]:
    """All row groups in order."""
    found: list[Stretch] = []
    first_row = 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        sizes = [group.column(at).total_uncompressed_size for at in range(metadata.num_columns)]
        size_bytes, column_bytes = sum(sizes), max(sizes, default=0)
        last = found[-1] if found else None
        if last is not None and last.size_bytes + size_bytes <= FEW_BYTES:
            found[-1] = Stretch(
                range(last.groups.start, number + 1),
                last.first_row,
                last.rows + group.num_rows,
                last.size_bytes + size_bytes,
                last.column_bytes + column_bytes,
            )
        else:
            found.append(Stretch(range(number, number + 1), first_row, group.num_rows, size_bytes, column_bytes))
        first_row += group.num_rows
    return found
