"""What is read fast is found just as what is read exactly: the same facts, flaws and rows."""

import json
import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dltool.scanning.formats import parquet
from dltool.scanning.formats.jsonl import inspect_jsonl
from dltool.scanning.formats.npy import inspect_npy
from dltool.scanning.formats.parquet import inspect_parquet
from dltool.scanning.lines import fast as fast_lines
from dltool.scanning.lines import read as read_lines
from dltool.scanning.parquet import fast, pages, stretches
from dltool.scanning.record import Inspection
from dltool.scanning.settings import InspectSettings
from dltool.scanning.source import BytesSource, FileSource

SETTINGS = InspectSettings(target="label")


def assert_alike(found: Inspection, expected: Inspection, *what: object) -> None:
    """Everything is the same but the last digits of sums, and the content, which takes a comparison of whole rows."""
    assert told(found) == told(expected), what
    if found.table is not None and expected.table is not None:
        assert sums(found) == pytest.approx(sums(expected), rel=1e-6, abs=1e-9, nan_ok=True), what


def told(found: Inspection) -> list[object]:
    table = found.table
    if table is None:
        return [found.flaws]
    columns = [
        (column.name, column.dtype, column.missing, column.nan, column.positive_inf, column.minimum, column.maximum)
        for column in table.columns
    ]
    middles = [(column.median, column.distinct, column.extremes) for column in table.columns]
    return [
        found.flaws,
        columns,
        middles,
        table.rows,
        table.labels,
        table.label_rows,
        table.equal_rows,
        table.equal_row_count,
    ]


def sums(found: Inspection) -> list[float]:
    values = [value for column in found.table.columns for value in (column.mean, column.std)]
    return [np.nan if value is None else value for value in values]


ROWS = 30_000


@pytest.fixture(scope="module")
def columns() -> dict[str, pa.Array]:
    random = np.random.default_rng(0)
    single = random.normal(size=ROWS).astype(np.float32)
    single[[77, 20_000]] = np.nan, np.inf
    wild = random.normal(size=ROWS)
    wild[123] = 1e9
    whole = random.integers(0, 5000, ROWS)
    words = random.choice(["red", "green", "", "NA"], ROWS)
    made = {
        "single": pa.array(single),
        "wild": pa.array(wild),
        "whole": pa.array(whole, mask=np.arange(ROWS) == 555),
        "small": pa.array(whole % 100, pa.int8()),
        "bool": pa.array(whole % 2 == 0),
        "word": pa.array(words),
        "day": pa.array(whole.astype(np.int32)).cast(pa.date32()),
        "time": pa.array(whole).cast(pa.timestamp("ms", tz="UTC")),
        "label": pa.array(whole % 7),
    }
    for name, array in made.items():  # rows 10 and 25,000 are equal, with other labels
        kept = array.to_pylist()
        kept[25_000] = kept[10] if name != "label" else (kept[10] + 1) % 7
        made[name] = pa.array(kept, array.type)
    return made


@pytest.mark.parametrize("most_bytes", [1 << 27, 1])
@pytest.mark.parametrize("options", [{}, {"write_page_checksum": True, "data_page_size": 4096}, {"compression": "zstd"}])
def test_parquet_by_polars_is_as_by_pyarrow(columns, options, most_bytes, tmp_path, monkeypatch):
    path = str(tmp_path / "x.parquet")
    pq.write_table(pa.table(columns), path, row_group_size=7000, **options)
    monkeypatch.setattr(fast, "MOST_BYTES", most_bytes)
    monkeypatch.setattr(stretches, "FEW_BYTES", 1 << 18)
    exact = inspect_parquet(FileSource(path, path), SETTINGS)
    monkeypatch.setattr(parquet, "SMALLEST_FAST_BYTES", 0)
    monkeypatch.setattr(parquet, "_read", None)
    found = inspect_parquet(FileSource(path, path), SETTINGS)
    assert_alike(found, exact)
    assert [(group.rows, len(group.labels)) for group in found.table.equal_rows] == [((10, 25_000), 2)]
    assert found.content is None, "only a few columns of the other rows were compared"


def test_a_page_whose_checksum_does_not_hold_is_left_to_pyarrow(columns, tmp_path, monkeypatch):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table(columns), path, row_group_size=7000, write_page_checksum=True)
    monkeypatch.setattr(parquet, "SMALLEST_FAST_BYTES", 0)
    data = bytearray(path.read_bytes())
    data[pq.read_metadata(path).row_group(2).column(1).data_page_offset + 3000] ^= 1
    path.write_bytes(data)
    found = inspect_parquet(FileSource(str(path), "x.parquet"), SETTINGS)
    assert [(flaw.kind, flaw.column, flaw.row) for flaw in found.flaws[:1]] == [("page-checksum", "wild", 14_000)]
    assert found.table.rows == ROWS


@pytest.mark.parametrize("options", [{"data_page_version": "2.0"}, {"use_dictionary": False, "data_page_size": 1000}])
def test_pages_fill_their_column(columns, options, tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table(columns), path, write_page_checksum=True, **options)
    metadata = pq.read_metadata(path)
    with path.open("rb") as stream:
        assert pages.checksums_hold(stream, metadata, 0)
        for at in range(metadata.num_columns):
            chunk = metadata.row_group(0).column(at)
            start = chunk.dictionary_page_offset or chunk.data_page_offset
            found = list(pages.pages(stream, start, start + chunk.total_compressed_size))
            assert all(page.crc is not None for page in found)
            assert found[-1].offset_bytes + found[-1].size_bytes == start + chunk.total_compressed_size


def test_damaged_page_headers_are_no_pages(columns, tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table(columns), path, write_page_checksum=True)
    metadata = pq.read_metadata(path)
    whole = path.read_bytes()
    draw = random.Random(0)
    for _ in range(200):
        data = bytearray(whole)
        data[metadata.row_group(0).column(draw.randrange(9)).data_page_offset + draw.randrange(12)] = draw.randrange(256)
        pages.checksums_hold(BytesSource(bytes(data), "x").open(), metadata, 0)


def test_large_row_groups_by_pyarrow_in_pieces(columns, tmp_path, monkeypatch):
    path = str(tmp_path / "x.parquet")
    pq.write_table(pa.table(columns), path)
    exact = inspect_parquet(FileSource(path, path), SETTINGS)
    monkeypatch.setattr("dltool.scanning.parquet.arrow.LARGE_GROUP_BYTES", 1)
    assert_alike(inspect_parquet(FileSource(path, path), SETTINGS), exact)


VALUES = {
    "int": lambda draw: draw.randrange(50),
    "float": lambda draw: draw.choice([draw.gauss(0, 1), draw.gauss(0, 1), 3, 1e300]),
    "text": lambda draw: draw.choice(["a", "bé", "", "NA", 'q"x', "\n", '"int":']),
    "bool": lambda draw: draw.random() < 0.5,
}
ODD = ["NaN", "-Infinity", "null", "1.5", '"x"', "true", "{}", "123456789012345678901", "1e400", '"\\ud800"']


def drawn_lines(draw: random.Random) -> bytes:
    names = draw.sample(sorted(VALUES), draw.randrange(1, 5))
    odd = draw.choice([0.0, 0.0, 0.002, 0.05])
    lines = []
    for _ in range(draw.randrange(1, 400)):
        cells = [(name, json.dumps(VALUES[name](draw), ensure_ascii=draw.random() < 0.5)) for name in names]
        cells = [(name, draw.choice(ODD) if draw.random() < odd else cell) for name, cell in cells]
        cells = [cell for cell in cells if draw.random() >= odd / 2]
        line = ("{%s}" if draw.random() < 0.9 else "{ %s }") % ",".join(f'"{name}":{cell}' for name, cell in cells)
        lines.append(draw.choice([line[:-1], "", "[]", "nonsense"]) if draw.random() < odd / 4 else line)
    return (draw.choice(["\n", "\n", "\r\n"]).join(lines) + draw.choice(["", "\n", "\n\n"])).encode()


@pytest.mark.parametrize("start", range(0, 240, 60))
def test_lines_read_together_are_as_lines_read_one_by_one(start, monkeypatch):
    monkeypatch.setattr(read_lines, "BLOCK_LINES", 50)
    monkeypatch.setattr(read_lines, "SMALLEST_FAST_BYTES", 1000)
    reads = 0

    def counted(self, data):
        nonlocal reads
        plain = original(self, data)
        reads += plain is not None
        return plain

    original = fast_lines.FastLines.read
    for seed in range(start, start + 60):
        data = drawn_lines(random.Random(seed))
        settings = InspectSettings(target="int")
        monkeypatch.setattr(fast_lines.FastLines, "read", lambda self, data: None)
        exact = inspect_jsonl(BytesSource(data, "x.jsonl"), settings)
        monkeypatch.setattr(fast_lines.FastLines, "read", counted)
        found = inspect_jsonl(BytesSource(data, "x.jsonl"), settings)
        assert_alike(found, exact, seed, data)
        assert found.content == exact.content, (seed, data)
    assert reads > 20


def test_values_of_a_fortran_array_are_named_by_their_row():
    array = np.asfortranarray(np.random.default_rng(0).normal(size=(1000, 4)))
    array[17, 2] = np.nan
    (flaw,) = look(array).flaws
    assert flaw.rows == (17,)


def look(array) -> Inspection:
    import io

    stream = io.BytesIO()
    np.save(stream, array)
    return inspect_npy(BytesSource(stream.getvalue(), "x.npy"), InspectSettings())


def test_rows_that_are_too_long_to_hold_are_read_in_pieces(monkeypatch):
    monkeypatch.setattr("dltool.scanning.arrays.values.MOST_ROW_BYTES", 1000)
    monkeypatch.setattr("dltool.scanning.arrays.values.BLOCK_BYTES", 700)
    array = np.random.default_rng(0).normal(size=(5, 20, 30))
    array[3, 19, 29] = np.inf
    found = look(array)
    assert [flaw.rows for flaw in found.flaws] == [(3,)]
    assert found.table.columns[0].maximum == array[np.isfinite(array)].max()


def test_the_digest_is_of_the_whole_file():
    import io

    from dltool.scanning.digest import digest_of

    stream = io.BytesIO()
    np.save(stream, np.arange(1000.0))
    data = stream.getvalue() + b"more"
    found = inspect_npy(BytesSource(data, "x.npy"), InspectSettings())
    assert (found.digest, found.size_bytes) == (digest_of(data), len(data))
