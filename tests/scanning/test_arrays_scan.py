import io
import struct
import zipfile

import numpy as np
import pytest

from dltool.scanning.formats.npy import inspect_npy
from dltool.scanning.formats.npz import inspect_npz
from dltool.scanning.record import Inspection
from dltool.scanning.settings import InspectSettings
from dltool.scanning.source import BytesSource


def npy(array, **options) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def npz(**arrays) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def look(data: bytes, **settings) -> Inspection:
    return inspect_npy(BytesSource(data, "x.npy"), InspectSettings(**settings))


def look_npz(data: bytes, **settings) -> Inspection:
    return inspect_npz(BytesSource(data, "x.npz"), InspectSettings(**settings))


def kinds(found: Inspection) -> list[str]:
    return [flaw.kind for flaw in found.flaws]


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4", "i4", "u1", "i8", "?"])
@pytest.mark.parametrize("shape", [(1000, 7), (3, 1), (700,), (50, 4, 5), (3000, 600)])
def test_statistics_are_those_of_numpy(dtype, shape):
    random = np.random.default_rng(3)
    array = (random.normal(3.0, 2.0, shape) * 10).clip(0, 100).astype(dtype)
    found = look(npy(array))
    assert found.flaws == ()
    columns = found.table.columns
    expected = array.astype(np.float64)
    expected = expected if len(shape) == 2 and shape[1] <= 512 else expected.reshape(-1, 1)
    assert found.table.rows == shape[0]
    assert len(columns) == expected.shape[1]
    for column, values in zip(columns, expected.T, strict=True):
        assert (column.minimum, column.maximum) == (values.min(), values.max())
        assert column.mean == pytest.approx(values.mean(), rel=1e-5, abs=1e-6)
        assert column.std == pytest.approx(values.std(), rel=1e-4, abs=1e-6)


def test_a_large_mean_does_not_eat_the_spread():
    array = (np.random.default_rng(0).normal(size=(5000, 3)) + 1e5).astype(np.float32)
    for column, values in zip(look(npy(array)).table.columns, array.astype(np.float64).T, strict=True):
        assert column.std == pytest.approx(values.std(), rel=1e-3)
        assert column.mean == pytest.approx(values.mean(), rel=1e-7)


def test_non_finite_values_are_named_by_row_and_column():
    array = np.zeros((200_000, 4), np.float32)
    array[5, 1] = array[150_000, 1] = np.nan
    array[7, 2], array[8, 2] = np.inf, -np.inf
    found = look(npy(array))
    assert [(flaw.kind, flaw.column, flaw.rows, flaw.count) for flaw in found.flaws] == [
        ("nan", "1", (5, 150_000), 2),
        ("inf", "2", (7,), 1),
        ("inf", "2", (8,), 1),
    ]
    column = found.table.columns[2]
    assert (column.positive_inf, column.negative_inf, column.minimum) == (1, 1, 0.0)


def test_a_row_of_a_deep_array_is_named():
    array = np.zeros((30, 8, 8), np.float32)
    array[17, 3, 3] = np.nan
    (flaw,) = look(npy(array)).flaws
    assert flaw.rows == (17,)


@pytest.mark.parametrize("cut", [1, 100, 3000])
def test_fewer_bytes_than_promised_is_an_error(cut):
    assert kinds(look(npy(np.zeros((100, 10)))[:-cut])) == ["truncated"]


def test_more_bytes_are_a_warning():
    (flaw,) = look(npy(np.zeros((100, 10))) + b"junk").flaws
    assert (flaw.kind, flaw.severity.value) == ("trailing-bytes", "warning")


@pytest.mark.parametrize("at", [1, 6, 8, 12])
def test_a_broken_header_is_an_error(at):
    data = bytearray(npy(np.zeros(4)))
    data[at] = 0xFF
    assert kinds(look(bytes(data))) in (["bad-header"], ["truncated"])


def test_a_header_that_lies_about_its_shape_allocates_nothing():
    data = npy(np.zeros((2, 2)))
    lie = data.replace(b"'shape': (2, 2), }" + b" " * 12, b"'shape': (2, 99999999999999), }"[:30])
    assert kinds(look(lie))[0] in {"truncated", "bad-header"}


def test_object_arrays_are_refused():
    (flaw,) = look(npy(np.array([print, {}], object), allow_pickle=True)).flaws
    assert (flaw.rule, flaw.kind) == ("unsafe-file", "pickle")


def test_equal_rows_are_found_wherever_they_stand():
    array = np.random.default_rng(1).normal(size=(60_000, 9))
    array[50_000] = array[3]
    array[40_000, :8] = array[4, :8]
    table = look(npy(array)).table
    assert [(group.rows, group.count) for group in table.equal_rows] == [((3, 50_000), 2)]
    assert table.equal_row_count == 2


def test_row_hashes_are_in_the_order_of_rows():
    array = np.arange(12.0).reshape(4, 3)
    first = np.frombuffer(look(npy(array), want_row_hashes=True).table.row_hashes, "<u8")
    second = np.frombuffer(look(npy(array[::-1]), want_row_hashes=True).table.row_hashes, "<u8")
    assert first.tolist() == second[::-1].tolist()


def test_an_extreme_value_is_found_and_normal_ones_are_not():
    array = np.random.default_rng(2).normal(size=(80_000, 5)).astype(np.float32)
    array[1234, 3] = 1e6
    columns = look(npy(array)).table.columns
    assert [[(extreme.row, extreme.value) for extreme in column.extremes] for column in columns] == [
        [], [], [], [(1234, 1e6)], [],
    ]  # fmt: skip


@pytest.mark.parametrize("array", [np.zeros((0, 3)), np.float64(3.0), np.array(["a", "b"]), np.zeros((3, 0)),
                                   np.array([1 + 2j]), np.asfortranarray(np.ones((4, 3))),
                                   np.zeros(3, [("a", "i4"), ("b", "f4")])])  # fmt: skip
def test_unusual_arrays_are_fine(array):
    assert look(npy(array)).flaws == ()


def test_npz_members_are_told_apart():
    data = np.ones((50, 3))
    data[4, 2] = np.nan
    found = look_npz(npz(x=data, y=np.arange(50)))
    assert [(flaw.kind, flaw.column, flaw.rows) for flaw in found.flaws] == [("nan", "x[2]", (4,))]
    assert [column.name for column in found.table.columns] == ["x[0]", "x[1]", "x[2]", "y"]
    assert found.table.rows == 50


def test_npz_pickles_are_refused_and_the_rest_is_read():
    found = look_npz(npz(x=np.ones(3), bad=np.array([{}], object)))
    assert [(flaw.rule, flaw.kind) for flaw in found.flaws] == [("unsafe-file", "pickle")]
    assert [column.name for column in found.table.columns] == ["x"]


def test_npz_checksums_are_verified():
    stream = io.BytesIO()
    np.savez(stream, x=np.arange(1000.0))
    data = bytearray(stream.getvalue())
    data[3000] ^= 1
    assert kinds(look_npz(bytes(data))) == ["checksum"]


def test_a_truncated_npz_is_an_error():
    assert kinds(look_npz(npz(x=np.arange(1000.0))[:-30])) == ["truncated"]


def test_zip_bombs_are_not_unpacked():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", npy(np.zeros(2_000_000)))
    found = look_npz(stream.getvalue(), max_expanded_bytes=1_000_000)
    assert [(flaw.rule, flaw.kind) for flaw in found.flaws] == [("unsafe-file", "decompression-bomb")]


def test_a_lying_member_size_is_an_error_not_a_crash():
    data = bytearray(npz(x=np.arange(1000.0)))
    directory = data.rindex(b"PK\x01\x02")
    data[directory + 24 : directory + 28] = struct.pack("<I", 77)
    assert kinds(look_npz(bytes(data)))


def test_random_damage_never_raises():
    random = np.random.default_rng(5)
    whole = [npy(np.arange(300.0).reshape(100, 3)), npz(x=np.arange(300.0), y=np.arange(3))]
    for trial in range(200):
        data = bytearray(whole[trial % 2])
        for at in random.integers(0, len(data), 3):
            data[at] = random.integers(0, 256)
        data = data[: random.integers(1, len(data) + 1)] if trial % 3 == 0 else data
        found = (look if trial % 2 == 0 else look_npz)(bytes(data))
        assert found.size_bytes == len(data)
