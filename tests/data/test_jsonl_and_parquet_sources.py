import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dltool.core.errors import DataError
from dltool.data.sources.columns import Selection
from dltool.data.sources.jsonl import read_jsonl
from dltool.data.sources.parquet import read_parquet


def jsonl(tmp_path, records, target=("y",), features=None):
    path = tmp_path / "data.jsonl"
    path.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in records))
    return read_jsonl(path, Selection(target=target, features=features))


def parquet(tmp_path, columns, target=("y",), features=None):
    path = tmp_path / "data.parquet"
    pq.write_table(pa.table(columns), path)
    return read_parquet(path, Selection(target=target, features=features))


def message(call):
    with pytest.raises(DataError) as caught:
        call()
    return str(caught.value)


@pytest.mark.parametrize("read", [jsonl, parquet])
class TestBoth:
    """What both formats must do alike."""

    def of(self, read, tmp_path, columns, **selection):
        if read is parquet:
            return parquet(tmp_path, columns, **selection)
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        return jsonl(tmp_path, rows, **selection)

    def test_numbers_and_words(self, read, tmp_path):
        table = self.of(read, tmp_path, {"a": [1.0, None], "b": [True, False], "y": ["p", "q"]})
        assert table.inputs.dtype == np.float32
        np.testing.assert_array_equal(table.inputs, [[1, 1], [np.nan, 0]])
        assert table.targets.tolist() == ["p", "q"]

    def test_whole_numbers_stay_whole(self, read, tmp_path):
        table = self.of(read, tmp_path, {"a": [3, 4], "y": [0, 1]})
        assert table.inputs.dtype.kind == "i"
        assert table.targets.dtype.kind == "i"

    def test_lists_of_equal_length_are_an_array(self, read, tmp_path):
        table = self.of(read, tmp_path, {"x": [[[1, 2], [3, 4]], [[5, 6], [7, 8]]], "y": [0, 1]})
        assert table.inputs.tolist() == [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]

    def test_lists_of_unequal_length_are_sequences(self, read, tmp_path):
        table = self.of(read, tmp_path, {"x": [[1.5], [2.0, 3.0]], "y": [[0], [1, 1]]}, features=("x",))
        assert [sequence.tolist() for sequence in table.inputs] == [[1.5], [2, 3]]
        assert [sequence.tolist() for sequence in table.targets] == [[0], [1, 1]]

    def test_lists_beside_numbers(self, read, tmp_path):
        found = message(lambda: self.of(read, tmp_path, {"x": [[1], [2]], "z": [1, 2], "y": [0, 1]}))
        assert "'x' holds lists, which cannot be joined with 'z'" in found

    def test_empty_lists(self, read, tmp_path):
        found = message(lambda: self.of(read, tmp_path, {"x": [[1.0, 2.0], []], "y": [0, 1]}))
        assert "empty: row 1 (0,)" in found

    def test_unknown_columns(self, read, tmp_path):
        found = message(lambda: self.of(read, tmp_path, {"a": [1], "label": [0]}, target=("lable",), features=("b",)))
        assert "did you mean 'label'?" in found
        assert "'b'" in found

    def test_words_as_inputs(self, read, tmp_path):
        found = message(lambda: self.of(read, tmp_path, {"a": ["r", "s"], "y": [0, 1]}))
        assert "column 'a' holds text ('r', 's')" in found


def test_jsonl_tells_all_bad_lines_at_once(tmp_path):
    found = message(
        lambda: jsonl(tmp_path, [{"x": 1, "y": 0}, "{", [1], {"x": "a", "y": 0}, {"x": {"k": 1}, "y": 1}, {"y": 2}])
    )
    for line, text in ((2, "not JSON"), (3, "a list instead of an object"), (5, "field 'x' is dict"), (6, "no field 'x'")):
        assert f"data.jsonl:{line}: {text}" in found
    assert "data.jsonl:4: column 'x': text in a column of numbers (found 'a')" in found


def test_jsonl_counts_what_it_does_not_name(tmp_path):
    found = message(lambda: jsonl(tmp_path, [{"x": 1, "y": 0}] + ["{"] * 7))
    assert found.count("not JSON:") == 3
    assert "4 more lines: not JSON" in found


@pytest.mark.parametrize("bad", ["[" * 100_000, '{"x": [[1], [2, 3]], "y": 1}', '{"x": ["a"], "y": 1}', '{"x": 7, "y": 1}'])
def test_jsonl_that_cannot_be_lists_of_numbers(tmp_path, bad):
    assert "data.jsonl:2" in message(lambda: jsonl(tmp_path, ['{"x": [[1, 2]], "y": 0}', bad]))


def test_jsonl_fields_that_were_not_asked_for_may_be_anything(tmp_path):
    table = jsonl(tmp_path, [{"x": [1, 2], "y": 0, "id": "a", "meta": {}}], features=("x",))
    assert table.inputs.tolist() == [[1, 2]]


def test_jsonl_nothing_in_it_and_not_utf8(tmp_path):
    assert "holds no JSON objects" in message(lambda: jsonl(tmp_path, ["", " "]))
    path = tmp_path / "data.jsonl"
    path.write_bytes(b'{"x": 1, "y": 0}\n\xff\n')
    assert "data.jsonl:2: not UTF-8" in message(lambda: read_jsonl(path, Selection(target=("y",))))


def test_jsonl_large_integers_and_null_in_lists(tmp_path):
    table = jsonl(tmp_path, [f'{{"x": [{10**30}, null], "y": {10**400}}}'])
    np.testing.assert_array_equal(table.inputs, [[1e30, np.nan]])
    assert table.targets.tolist() == [np.inf]


def test_parquet_dictionaries_nulls_and_timestamps(tmp_path):
    words = pa.array(["a", "b", None]).dictionary_encode()
    table = parquet(tmp_path, {"x": pa.array([1, None, 3]), "y": words})
    assert table.targets.tolist() == ["a", "b", ""]
    np.testing.assert_array_equal(table.inputs, [[1], [np.nan], [3]])
    found = message(lambda: parquet(tmp_path, {"x": pa.array([0, 1], pa.timestamp("ms")), "y": [0, 1]}))
    assert "column 'x' has type timestamp[ms]" in found


def test_no_parquet_file(tmp_path):
    path = tmp_path / "data.parquet"
    path.write_bytes(b"PAR1 junk")
    assert "not a readable parquet file" in message(lambda: read_parquet(path, Selection(target=("y",))))
