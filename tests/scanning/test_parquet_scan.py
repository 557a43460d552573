import datetime as dt
import decimal
import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dltool.scanning.formats.parquet import inspect_parquet
from dltool.scanning.parquet import footer
from dltool.scanning.record import Inspection
from dltool.scanning.settings import InspectSettings
from dltool.scanning.source import BytesSource


def written(table: pa.Table, **options) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table, stream, write_page_checksum=True, **options)
    return stream.getvalue()


def look(data: bytes, **settings) -> Inspection:
    return inspect_parquet(BytesSource(data, "x.parquet"), InspectSettings(**settings))


def kinds(found: Inspection) -> list[tuple[str, str | None]]:
    return [(flaw.kind, flaw.column) for flaw in found.flaws]


ROWS = 20_000
PLAIN = pa.table({"a": np.arange(ROWS), "b": np.random.default_rng(0).normal(size=ROWS)})


@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "zstd", "brotli", "lz4"])
def test_healthy_files(compression):
    found = look(written(PLAIN, compression=compression, row_group_size=7000))
    assert found.flaws == ()
    assert found.table.rows == ROWS
    values = PLAIN["b"].to_numpy()
    column = found.table.columns[1]
    assert (column.dtype, column.minimum, column.maximum) == ("double", values.min(), values.max())
    assert column.mean == pytest.approx(values.mean())
    assert column.std == pytest.approx(values.std())


def test_every_type_is_read():
    table = pa.table(
        {
            "integer": [1, 2, 3], "float": pa.array([1, 2, 3], pa.float32()), "half": np.array([1, 2, 3], np.float16),
            "bool": [True, False, True], "text": ["a", None, "c"], "category": pa.array(["u", "v", "u"]).dictionary_encode(),
            "date": [dt.date(2020, 1, 1), None, dt.date(2021, 1, 1)],
            "time": pa.array([1, 2, None], pa.timestamp("us")), "decimal": [decimal.Decimal("1.5")] * 3,
            "list": pa.array([[1.0], [], None], pa.list_(pa.float32())), "nested": [[[1], [2]], [[3]], [[4]]],
            "fixed": pa.array([[1, 2]] * 3, pa.list_(pa.int8(), 2)), "struct": [{"x": 1}] * 3, "bytes": [b"a", b"b", None],
            "words": [["a"], ["b"], ["c"]], "nothing": pa.nulls(3),
            "map": pa.array([[("k", 1)]] * 3, pa.map_(pa.string(), pa.int8())),
        }
    )  # fmt: skip
    found = look(written(table))
    assert kinds(found) == [("missing", "list")]
    assert [column.name for column in found.table.columns] == table.column_names


def test_nulls_nan_and_infinities_are_told_by_row():
    table = pa.table({"a": [1, None, 3, 4], "b": [1.0, float("nan"), float("inf"), None],
                      "c": [[1.0], [2.0, float("nan")], [None], [3.0]]})  # fmt: skip
    assert [(flaw.kind, flaw.column, flaw.rows) for flaw in look(written(table)).flaws] == [
        ("missing", "a", (1,)),
        ("nan", "b", (1,)),
        ("inf", "b", (2,)),
        ("missing", "b", (3,)),
        ("nan", "c", (1, 2)),
    ]


def test_equal_rows_and_labels():
    table = pa.table({"x": [1.0, 2.0, 1.0, 2.0], "word": ["a", "b", "a", "b"], "y": [0, 1, 0, 0]})
    found = look(written(table), target="y")
    assert dict(found.table.labels) == {"0": 3, "1": 1}
    assert [(group.rows, group.labels) for group in found.table.equal_rows] == [((0, 2), ()), ((1, 3), ("0", "1"))]


def test_a_flipped_bit_is_found_by_its_checksum_and_the_rest_is_read():
    data = bytearray(written(PLAIN, row_group_size=5000))
    at = pq.ParquetFile(io.BytesIO(bytes(data))).metadata.row_group(2).column(1).data_page_offset
    data[at + 2000] ^= 1
    found = look(bytes(data))
    assert [(flaw.kind, flaw.column, flaw.row) for flaw in found.flaws] == [("page-checksum", "b", 10_000)]
    assert found.table.rows == ROWS


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (lambda data: data[:-1], "truncated"),
        (lambda data: data[:-2000], "truncated"),
        (lambda data: data[:6], "truncated"),
        (lambda data: b"X" + data[1:], "bad-header"),
        (lambda data: data[:-8] + b"\xff\xff\xff\x7f" + data[-4:], "bad-footer"),
        (lambda data: data[:-8] + b"\0\0\0\0" + data[-4:], "bad-footer"),
        (lambda data: data[:-60] + b"\xff" * 40 + data[-20:], "bad-footer"),
        (lambda data: data[:1000] + b"\0" * 3000 + data[4000:], "page-checksum"),
    ],
)
def test_damaged_files(damage, kind):
    found = look(damage(written(PLAIN)))
    assert found.flaws[0].kind in {kind, "damaged-page"}
    assert found.flaws[0].severity.value == "error"


def test_bombs_are_not_unpacked(monkeypatch):
    monkeypatch.setattr(footer, "BOMB_BYTES", 1 << 20)
    zeros = pa.table({"text": ["a" * 4_000_000]})
    found = look(written(zeros, compression="brotli", use_dictionary=False))
    assert [(flaw.rule, flaw.kind) for flaw in found.flaws] == [("unsafe-file", "decompression-bomb")]


def test_without_pyarrow_only_the_frame_is_checked(monkeypatch):
    monkeypatch.setattr("dltool.scanning.formats.parquet.optional", lambda _: None)
    assert [(flaw.kind, flaw.severity.value) for flaw in look(written(PLAIN)).flaws] == [("not-read", "info")]
    assert kinds(look(written(PLAIN)[:-9])) == [("truncated", None)]


def test_random_damage_never_raises():
    random = np.random.default_rng(4)
    whole = written(PLAIN.slice(0, 300))
    missed = 0
    for _ in range(150):
        data = bytearray(whole)
        at = int(random.integers(0, len(data)))
        data[at] ^= int(random.integers(1, 256))
        missed += not look(bytes(data)).flaws
    assert missed <= 60, "most single bytes of the footer are statistics and names"
