import csv
import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dltool.core.delimited import looks_like_header, sniff_delimiter
from dltool.core.errors import DataError
from dltool.data.sources import csv as source
from dltool.data.sources.columns import Selection
from dltool.data.sources.csv import read_csv


def read(tmp_path, text, target=("y",), features=None, **options):
    path = tmp_path / "data.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_csv(path, Selection(target=target, features=features), **options)


def problems(tmp_path, text, **options):
    with pytest.raises(DataError) as caught:
        read(tmp_path, text, **options)
    return [str(problem).replace(str(tmp_path) + "/", "") for problem in caught.value.problems]


def test_numbers_and_words(tmp_path):
    table = read(tmp_path, 'a,b,y\n1,2.5,red\n-3e2, 4 ,"blue, light"\n')
    assert table.inputs.tolist() == [[1, 2.5], [-300, 4]]
    assert table.targets.tolist() == ["red", "blue, light"]
    assert table.feature_names == ("a", "b")
    assert table.rows.tolist() == [0, 1]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_delimiters_are_found_out(tmp_path, delimiter):
    text = "\n".join(delimiter.join(row) for row in (("a", "b", "y"), ("1", "2", "3"), ("4", "5", "6")))
    assert read(tmp_path, text).inputs.tolist() == [[1, 2], [4, 5]]


def test_decimal_commas_do_not_make_the_comma_a_separator():
    assert sniff_delimiter(["x;y\n", "3,5;1,5\n"]) == ";"


def test_byte_order_mark_blank_lines_and_crlf(tmp_path):
    table = read(tmp_path, b"\xef\xbb\xbfx,y\r\n1,2\r\n\r\n3,4\r\n")
    assert (table.inputs.tolist(), table.targets.tolist()) == ([[1], [3]], [2, 4])


@pytest.mark.parametrize(
    ("rows", "names", "expected"),
    [
        ([["a", "b"], ["1", "2"]], set(), True),
        ([["1", "2"], ["3", "4"]], set(), False),
        ([["5.1", "setosa"], ["4.9", "setosa"]], set(), False),
        ([["x", "2020"], ["1", "2"]], set(), True),
        ([["1", "y"], ["b", "c"]], {"y"}, True),
        ([["", "2"], ["1", "2"]], set(), False),
    ],
)
def test_header_detection(rows, names, expected):
    assert looks_like_header(rows, names) is expected


def test_without_a_header_columns_go_by_position(tmp_path):
    table = read(tmp_path, "5.1,3.5,setosa\n4.9,3.0,virginica\n", target=(2,))
    assert table.targets.tolist() == ["setosa", "virginica"]
    assert table.feature_names == ("0", "1")


def test_features_are_taken_in_the_order_asked_for(tmp_path):
    table = read(tmp_path, "a,b,c,y\n1,2,x,3\n", features=("b", 0))
    assert table.feature_names == ("b", "a")
    assert table.inputs.tolist() == [[2, 1]]


def test_several_targets(tmp_path):
    assert read(tmp_path, "a,u,v\n1,2,3\n4,5,6\n", target=("v", "u")).targets.tolist() == [[3, 2], [6, 5]]


@pytest.mark.parametrize("cell", ["", "NA", "nan", "NaN", "null", "?", "None", " "])
def test_missing_cells_are_nan_and_no_error(tmp_path, cell):
    table = read(tmp_path, f"a,b,y\n1,{cell},0\n2,3,1\n")
    assert np.isnan(table.inputs[0, 1])
    assert table.inputs[1, 1] == 3


def test_infinity_is_kept(tmp_path):
    assert read(tmp_path, "a,y\ninf,0\n-Infinity,1\n").inputs.tolist() == [[np.inf], [-np.inf]]


def test_text_among_numbers_is_named_with_line_column_and_value(tmp_path):
    rows = "".join(f"{i},{i}\n" for i in range(5))
    found = problems(tmp_path, f"a,y\n{rows}five,5\n6,six\nseven,7\n8,8\nnine,9\nten,10\n")
    assert found == [
        (
            "data.csv:7: column 'a': text in a column of numbers (found 'five'); "
            "expected a number, or an empty cell where there is none"
        ),
        (
            "data.csv:9: column 'a': text in a column of numbers (found 'seven'); "
            "expected a number, or an empty cell where there is none"
        ),
        (
            "data.csv:11: column 'a': text in a column of numbers; 1 more cells of this column hold text (found 'nine'); "
            "expected a number, or an empty cell where there is none"
        ),
        (
            "data.csv:8: column 'y': text in a target column of numbers (found 'six'); "
            "expected a number, or an empty cell where there is none"
        ),
    ]


def test_text_is_found_beyond_the_first_chunk(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "CHUNK_ROWS", 4)
    text = "a,y\n" + "".join(f"{i},0\n" for i in range(10)) + "oops,0\n"
    assert problems(tmp_path, text)[0].startswith("data.csv:12: column 'a'")
    assert read(tmp_path, text.replace("oops", "10")).inputs[:, 0].tolist() == list(range(11))


def test_a_column_of_words_is_no_input(tmp_path):
    (found,) = problems(tmp_path, "colour,a,y\nred,1,0\nblue,2,1\nred,3,1\n")
    assert found.startswith("data.csv:2: column 'colour' holds text ('red', 'blue'), and a network takes numbers")


def test_unknown_columns_list_those_that_exist(tmp_path):
    found = problems(tmp_path, "petal,sepal,species\n1,2,a\n", target=("specie",), features=("petl",))
    assert len(found) == 2
    assert "has no column 'specie'; it has petal, sepal, species; did you mean 'species'?" in found[0]
    assert "did you mean 'petal'?" in found[1]


def test_a_position_beyond_the_columns(tmp_path):
    (found,) = problems(tmp_path, "a,y\n1,2\n", target=(7,))
    assert found.endswith("has 2 columns, so there is no column 7")


def test_ragged_rows_are_counted_with_their_lines(tmp_path):
    text = "a,b,y\n1,2,3\n1,2\n1,2,3,4\n1\n1,2\n"
    found = problems(tmp_path, text)
    assert found[0] == "data.csv:3: this row has 2 cells; expected 3, as in the first row (separator ',')"
    assert found[1].startswith("data.csv:4: this row has 4 cells")
    assert found[2].startswith("data.csv:5: this row has 1 cell; 1 more rows are ragged")
    assert len(found) == 3


def test_ragged_rows_and_unknown_columns_are_told_together(tmp_path):
    found = problems(tmp_path, "a,b,y\n1,2,3\n1,2\n", target=("z",))
    assert "this row has 2 cells" in found[0]
    assert "has no column 'z'" in found[1]


def test_duplicate_column_names(tmp_path):
    assert "more than one column is called 'a'" in problems(tmp_path, "a,a,y\n1,2,3\n")[0]


def test_only_a_target(tmp_path):
    assert "no column is left for the inputs" in problems(tmp_path, "y\n1\n2\n")[0]


def test_a_target_cannot_be_a_feature(tmp_path):
    assert "'y' is the target" in problems(tmp_path, "a,y\n1,2\n", features=("a", "y"))[0]


def test_header_without_rows(tmp_path):
    assert problems(tmp_path, "a,y\n") == ["data.csv: the file has a header but no rows"]


def test_only_blank_lines(tmp_path):
    assert problems(tmp_path, "\n\n") == ["data.csv: the file holds only empty lines"]


def test_empty_missing_and_folder(tmp_path):
    assert problems(tmp_path, "") == ["path: data.csv is empty"]
    (tmp_path / "iris.csv").touch()
    with pytest.raises(DataError, match=r"did you mean 'iris\.csv'"):
        read_csv(tmp_path / "irs.csv", Selection(target=("y",)))
    with pytest.raises(DataError, match="is a folder, not a file"):
        read_csv(tmp_path, Selection(target=("y",)))
    with pytest.raises(DataError, match="there is no folder"):
        read_csv(tmp_path / "nowhere" / "iris.csv", Selection(target=("y",)))


def test_not_utf8_says_where(tmp_path):
    found = problems(tmp_path, b"a,y\n1,2\n3,caf\xe9\n")
    assert found == ["data.csv:3: not UTF-8: byte 0xe9 at offset 13; expected a text file saved as UTF-8"]
    late = b"a,y\n" + b"1,2\n" * 50_000 + b"\xff,2\n"
    assert problems(tmp_path, late)[0].startswith("data.csv:50002: not UTF-8: byte 0xff")


def test_binary_files_are_no_tables(tmp_path):
    assert "data.csv" in problems(tmp_path, b"PK\x03\x04" + bytes(range(256)))[0]
    assert "data.csv" in problems(tmp_path, b"a,y\n1,\x002\n")[0]


def test_cells_longer_than_the_csv_module_takes(tmp_path):
    assert "not a readable csv file" in problems(tmp_path, f"a,y\n{'1' * 200_000},2\n")[0]


NUMBERS = st.floats(allow_nan=False, width=32) | st.integers(-(10**6), 10**6)
WORDS = st.text(
    st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=("Cs", "Cc")), min_size=1, max_size=8
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(NUMBERS, NUMBERS, WORDS), min_size=2, max_size=20),
    st.sampled_from([",", ";", "\t"]),
)
def test_round_trip_against_a_slow_reader(tmp_path, rows, delimiter):
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=delimiter)
    writer.writerow(["first", "second", "word"])
    writer.writerows([[repr(a), repr(b), f"w {word}"] for a, b, word in rows])
    table = read(tmp_path, stream.getvalue(), target=("word",), delimiter=delimiter, header=True)
    slow = list(csv.DictReader(io.StringIO(stream.getvalue()), delimiter=delimiter))
    expected = np.array([[float(row["first"]), float(row["second"])] for row in slow])
    np.testing.assert_array_equal(table.inputs, expected.astype(np.float32))
    assert table.targets.tolist() == [row["word"].strip() for row in slow]
