"""A parquet file by pyarrow: every type, page by page with checksums, and what is wrong where it cannot be read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from typing import Any

from dltool.core.finding import Severity
from dltool.scanning.flaws import corrupt
from dltool.scanning.parquet.cells import cells_of_arrow, is_comparable
from dltool.scanning.record import Flaw
from dltool.scanning.source import Source
from dltool.scanning.tables.ahead import ahead, threads
from dltool.scanning.tables.block import Block
from dltool.scanning.tables.table import Table

BATCH_CELLS = 1 << 21
MOST_BATCH_ROWS = 1 << 16
LEAST_BATCH_ROWS = 1 << 8
STRING_LIMIT_BYTES = 100_000_000
MOST_PROBED = 256
"""Columns of a damaged row group that are read one by one to find the damage."""
CONTAINER_LIMIT = 1_000_000
"""pyarrow's own limits on what a footer may make it allocate."""
LARGE_GROUP_BYTES = 1 << 26
BUFFER_BYTES = 1 << 20
"""Of row groups that take more in the file, columns are read in pieces of this size instead of as a whole."""


class ArrowReader:
    """Reads a file. Columns are shared among readers that each have a thread: pyarrow's own threads wait for each other.

    Raises pyarrow's exceptions, OSError or ValueError where the footer cannot be read.
    """

    def __init__(self, source: Source, stack: ExitStack) -> None:
        self._source, self._stack = source, stack
        self._files = [self._opened()]
        self.metadata = self._files[0].metadata
        self.schema = self._files[0].schema_arrow
        self._parts = _parts(self.schema)

    def head(self, table: Table, count: int) -> Block:
        """At most ``count`` of the first rows. Raises pyarrow's exceptions, OSError or ValueError."""
        batch = next(self._files[0].iter_batches(batch_size=count, row_groups=[0], use_threads=False))
        return _block(batch.columns, table, 0)

    def blocks(self, table: Table, damage: list[Flaw]) -> Iterator[Block]:
        """All rows that can be read, row group by row group; what cannot is noted."""
        import pyarrow as pa

        metadata = self.metadata
        most = max(LEAST_BATCH_ROWS, min(MOST_BATCH_ROWS, BATCH_CELLS // max(metadata.num_columns, 1)))
        first_row = 0
        for group in range(metadata.num_row_groups):
            rows, read = metadata.row_group(group).num_rows, 0
            try:
                for arrays in self._arrays(group, most):
                    yield _block(arrays, table, first_row + read)
                    read += len(arrays[0])
            except (pa.ArrowException, OSError, ValueError) as error:
                damage.append(_damage(self._files[0], group, first_row, error))
            else:
                if read != rows and self._parts:
                    damage.append(corrupt("row-count", f"row group {group} holds {read} rows, the footer says {rows}"))
            first_row += rows

    def _opened(self) -> Any:
        import pyarrow.parquet as pq

        options = {
            "page_checksum_verification": True,
            "thrift_string_size_limit": STRING_LIMIT_BYTES,
            "thrift_container_size_limit": CONTAINER_LIMIT,
        }
        path, metadata = self._source.path, getattr(self, "metadata", None)
        file = pq.ParquetFile(path or self._stack.enter_context(self._source.open()), metadata=metadata, **options)
        if path is not None and _largest_group_bytes(file.metadata) > LARGE_GROUP_BYTES:
            file = pq.ParquetFile(path, metadata=file.metadata, buffer_size=BUFFER_BYTES, pre_buffer=False, **options)
        return self._stack.enter_context(file)

    def _arrays(self, group: int, rows: int) -> Iterator[list[Any]]:
        """Batches of a row group."""
        self._files += [self._opened() for _ in self._parts[len(self._files) :]]
        with ExitStack() as stack:
            readers = []
            for file, names in zip(self._files, self._parts, strict=True):
                wanted = names if len(self._parts) > 1 else None
                batches = file.iter_batches(batch_size=rows, row_groups=[group], columns=wanted, use_threads=False)
                readers.append(stack.enter_context(closing(ahead(batches))))
            for batches in zip(*readers, strict=True):
                if len(batches) == 1:
                    yield batches[0].columns
                    continue
                held = {
                    name: array for batch in batches for name, array in zip(batch.schema.names, batch.columns, strict=True)
                }
                yield [held[name] for name in self.schema.names]


def first_line(error: Exception) -> str:
    """What a library says, in short."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _largest_group_bytes(metadata: Any) -> int:
    groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
    return max(
        (sum(group.column(at).total_compressed_size for at in range(metadata.num_columns)) for group in groups), default=0
    )


def _parts(schema: Any) -> list[list[str]]:
    """Column names for each reader; one of all where columns cannot be asked for by name."""
    names = list(schema.names)
    plain = len(set(names)) == len(names) and all(is_comparable(kind) for kind in schema.types)
    number = min(threads(), len(names)) if plain and not any("." in name for name in names) else 1
    return [names[start::number] for start in range(number)] if number else []


def _block(arrays: Sequence[Any], table: Table, first_row: int) -> Block:
    columns = []
    for column, array in zip(table.columns, arrays, strict=True):
        cells, column.is_data = cells_of_arrow(array)
        columns.append(cells)
    return Block(first_row=first_row, count=len(arrays[0]), columns=columns)


def _damage(file: Any, group: int, first_row: int, error: Exception) -> Flaw:
    """What is wrong with a row group, by the first of its columns that cannot be read."""
    import pyarrow as pa

    reason, where = first_line(error), f"row group {group}"
    offset_bytes, name = None, None
    for at in range(min(file.metadata.num_columns, MOST_PROBED)):
        chunk = file.metadata.row_group(group).column(at)
        try:
            for _ in file.iter_batches(row_groups=[group], columns=[chunk.path_in_schema]):
                pass
        except (pa.ArrowException, OSError, ValueError) as own:
            name, reason, offset_bytes = chunk.path_in_schema, first_line(own), chunk.data_page_offset
            where = f"column {name!r} of row group {group}"
            break
    kind = "page-checksum" if "crc" in reason.lower() or "checksum" in reason.lower() else "damaged-page"
    return Flaw(
        rule="corrupt-file",
        kind=kind,
        severity=Severity.ERROR,
        detail=f"{where} cannot be read: {reason}",
        row=first_row,
        column=name,
        offset_bytes=offset_bytes,
    )
