"""A glance reads the first rows of a source, the same as reading all of it and leaving out the rest."""

import json
import tracemalloc

import numpy as np
import pytest

from dltool.core.errors import DataError
from dltool.data.sources.arrays import read_npy, read_npz
from dltool.data.sources.columns import Selection
from dltool.data.sources.csv import read_csv
from dltool.data.sources.jsonl import read_jsonl
from dltool.data.sources.parquet import read_parquet
from dltool.data.table import Glance

X = np.arange(60.0).reshape(20, 3)
Y = np.arange(20) % 4
CHOSEN = Selection(target=("y",))


def arrays(folder):
    np.savez(folder / "d.npz", x=X, y=Y)
    return lambda glance: read_npz(folder / "d.npz", glance=glance)


def compressed(folder):
    np.savez_compressed(folder / "d.npz", x=X, y=Y)
    return lambda glance: read_npz(folder / "d.npz", glance=glance)


def two_files(folder):
    np.save(folder / "x.npy", X)
    np.save(folder / "y.npy", Y)
    return lambda glance: read_npy(folder / "x.npy", folder / "y.npy", glance=glance)


def text(folder):
    rows = [f"{a},{b},{c},{y}" for (a, b, c), y in zip(X, Y, strict=True)]
    (folder / "d.csv").write_text("\n".join(["a,b,c,y", *rows]) + "\n")
    return lambda glance: read_csv(folder / "d.csv", CHOSEN, glance=glance)


def objects(folder):
    rows = [json.dumps({"a": a, "b": b, "c": c, "y": int(y)}) for (a, b, c), y in zip(X, Y, strict=True)]
    (folder / "d.jsonl").write_text("\n".join(rows) + "\n")
    return lambda glance: read_jsonl(folder / "d.jsonl", CHOSEN, glance=glance)


def columns(folder):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    table = pa.table({"a": X[:, 0], "b": X[:, 1], "c": X[:, 2], "y": Y})
    pq.write_table(table, folder / "d.parquet", row_group_size=7)
    return lambda glance: read_parquet(folder / "d.parquet", CHOSEN, glance=glance)


@pytest.mark.parametrize("make", [arrays, compressed, two_files, text, objects, columns])
@pytest.mark.parametrize("rows", [1, 5, 19, 20, 21])
def test_the_first_rows(make, rows, tmp_path):
    read = make(tmp_path)
    whole, part = (
        read(None),
        read(Glance(most_rows=rows, most_bytes=rows * 24 if make in (arrays, compressed, two_files) else 10**6)),
    )
    assert len(part) == min(rows, 20)
    assert whole.left_out == 0
    if make in (text, objects):
        assert part.left_out == (None if rows < 20 else 0)
    else:
        assert part.left_out == max(0, 20 - rows)
    assert np.array_equal(part.inputs, whole.inputs[:rows])
    assert np.array_equal(part.targets, whole.targets[:rows])


@pytest.mark.parametrize("order", ["C", "F"])
def test_either_order_of_bytes(order, tmp_path):
    np.savez(tmp_path / "d.npz", x=np.asarray(X, order=order), y=Y)
    part = read_npz(tmp_path / "d.npz", glance=Glance(most_bytes=72))
    assert len(part) in (3, 20)
    assert np.array_equal(part.inputs, X[: len(part)])


def test_a_row_cut_within_quotes_is_no_ragged_row(tmp_path):
    (tmp_path / "d.csv").write_text('a,y\n1,one\n2,"two\nlines"\n3,three\n')
    part = read_csv(tmp_path / "d.csv", CHOSEN, header=True, delimiter=",", glance=Glance(most_rows=2))
    assert part.targets.tolist() == ["one"]
    assert part.left_out is None


def test_lengths_are_compared_as_a_whole(tmp_path):
    np.savez(tmp_path / "d.npz", x=X, y=Y[:-1])
    with pytest.raises(DataError, match="'x' has 20 samples"):
        read_npz(tmp_path / "d.npz", glance=Glance(most_bytes=72))


def test_a_large_file_takes_little_memory(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((200_000, 50)))
    np.save(tmp_path / "y.npy", np.zeros(200_000))
    tracemalloc.start()
    table = read_npy(tmp_path / "x.npy", tmp_path / "y.npy", glance=Glance(most_bytes=2**20))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(table) == 2**20 // 400
    assert table.left_out == 200_000 - len(table)
    assert peak < 4 * 2**20
