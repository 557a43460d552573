import io
import zipfile

import numpy as np
import pytest

from dltool.core.errors import DataError
from dltool.data.sources.arrays import read_npy, read_npz

X = np.arange(12, dtype=np.uint8).reshape(4, 3)
Y = np.array([0, 1, 0, 1])


def message(call):
    with pytest.raises(DataError) as caught:
        call()
    return str(caught.value)


@pytest.mark.parametrize("names", [("x", "y"), ("inputs", "targets"), ("images", "labels"), ("left", "right")])
def test_usual_names_and_the_only_two(tmp_path, names):
    path = tmp_path / "a.npz"
    np.savez(path, **{names[0]: X, names[1]: Y})
    table = read_npz(path)
    assert table.inputs.tolist() == X.tolist()
    assert table.targets.tolist() == Y.tolist()
    assert table.inputs.dtype == np.uint8


def test_names_as_given(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=X, y=Y, other=Y + 5)
    assert read_npz(path, inputs="x", targets="other").targets.tolist() == [5, 6, 5, 6]
    found = message(lambda: read_npz(path, inputs="z", targets="othr"))
    assert "holds no array 'z'; it holds x, y, other" in found
    assert "did you mean 'other'?" in found


def test_unclear_names_list_the_arrays(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, a=X, b=Y, c=Y)
    assert "It holds a, b, c" in message(lambda: read_npz(path))


def test_objects_are_never_unpickled(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x=np.array([[1], [2, 3]], dtype=object), y=Y[:2])
    assert "holds Python objects (a pickle, which can run code)" in message(lambda: read_npz(path))


def test_a_header_that_promises_too_much(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**12, 8)})
    lying = header.getvalue() + bytes(64)
    archive = tmp_path / "a.npz"
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr("x.npy", lying)
        out.writestr("y.npy", lying)
    assert "cut short: its header promises 64000000000000 bytes" in message(lambda: read_npz(archive))
    (tmp_path / "x.npy").write_bytes(lying)
    np.save(tmp_path / "y.npy", Y)
    assert "cut short" in message(lambda: read_npy(tmp_path / "x.npy", tmp_path / "y.npy"))


@pytest.mark.parametrize("content", [b"not an archive", b"PK\x05\x06" + bytes(18)])
def test_no_archive(tmp_path, content):
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    assert str(path) in message(lambda: read_npz(path))


def test_corrupt_member(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x=X, y=Y)
    data = bytearray(path.read_bytes())
    data[data.index(X.tobytes())] ^= 0xFF
    path.write_bytes(data)
    assert "Bad CRC-32 for file 'x.npy'" in message(lambda: read_npz(path))


def test_lengths_differ_and_no_samples(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x=X, y=Y[:3])
    assert "'x' has 4 samples (4, 3), 'y' has 3" in message(lambda: read_npz(path))
    np.savez(path, x=X[:0], y=Y[:0])
    assert "'x' has no samples" in message(lambda: read_npz(path))
    np.savez(path, x=np.array(1.0), y=Y)
    assert "a single number is no data set" in message(lambda: read_npz(path))
    np.savez(path, x=np.array(["a", "b"]), y=Y[:2])
    assert "'x' holds text" in message(lambda: read_npz(path))


def test_npy_pairs_and_both_problems_at_once(tmp_path):
    np.save(tmp_path / "x.npy", X.astype(np.float64))
    np.save(tmp_path / "y.npy", np.array(["a", "b", "a", "b"]))
    table = read_npy(tmp_path / "x.npy", tmp_path / "y.npy")
    assert table.targets.tolist() == ["a", "b", "a", "b"]
    (tmp_path / "bad.npy").write_bytes(b"junk")
    found = message(lambda: read_npy(tmp_path / "bad.npy", tmp_path / "missing.npy"))
    assert "not in npy format" in found
    assert "no such file" in found


def test_fortran_order_and_one_column(tmp_path):
    np.save(tmp_path / "x.npy", np.asfortranarray(X))
    np.save(tmp_path / "y.npy", Y)
    np.save(tmp_path / "column.npy", Y)
    assert read_npy(tmp_path / "x.npy", tmp_path / "y.npy").inputs.tolist() == X.tolist()
    assert read_npy(tmp_path / "column.npy", tmp_path / "y.npy").inputs.shape == (4, 1)


@pytest.mark.parametrize("array", [np.array([1 + 2j] * 4), np.array(["2020-01-01"] * 4, dtype="datetime64[D]")])
def test_types_that_are_no_numbers(tmp_path, array):
    np.save(tmp_path / "x.npy", array)
    np.save(tmp_path / "y.npy", Y)
    found = message(lambda: read_npy(tmp_path / "x.npy", tmp_path / "y.npy"))
    assert "expected numbers or text" in found


def test_samples_without_values(tmp_path):
    np.savez(tmp_path / "a.npz", x=X[:, :0], y=Y)
    assert "'x' has samples without values (4, 0)" in message(lambda: read_npz(tmp_path / "a.npz"))
