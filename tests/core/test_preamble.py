"""What stands before the header of a text table, and what below it is no row yet; both readers agree on it."""

import pytest

from dltool.core.delimited import names_again, preamble
from dltool.data.sources.columns import Selection
from dltool.data.sources.csv import read_csv
from dltool.scanning.inspect import inspect
from dltool.scanning.settings import InspectSettings
from dltool.scanning.source import BytesSource

ROWS = "".join(f"{at},{at / 4},{at % 3}\n" for at in range(30))
TABLE = "id,x,y\n" + ROWS


@pytest.mark.parametrize(
    ("text", "skipped"),
    [
        (TABLE, 0),
        ("# exported\n" + TABLE, 1),
        ("# a, b and c\n#\n\n" + TABLE, 3),
        ("# two, cells\n" + ROWS, 1),
        ("#id,x,y\n" + ROWS, 0),
        ("# note\n#id,x,y\n" + ROWS, 1),
        ("sep=,\n" + TABLE, 1),
        ("Stocks of 2020\n" + TABLE, 1),
        ("Stocks of 2020,,\n\n" + TABLE, 2),
        ("x\n" + "".join(f"{at}\n" for at in range(9)), 0),  # one column
        ("name,,\n" + "a,b,c\n" * 5, 0),  # no number anywhere
        ("2020\n" + TABLE, 0),  # a ragged first line, and no title
        ("a,b\n" + ROWS, 0),  # a header that is too short
        ("Title\nid,x,y\n", 0),
        ("#\n# nothing else\n", 0),
    ],
)
def test_lines_before_the_table(text, skipped):
    assert preamble(text.splitlines(keepends=True)[:20]).lines == skipped


@pytest.mark.parametrize(
    ("rows", "count"),
    [
        ([["m", "kg"]], 1),
        ([["AAPL", "AAPL"], ["Date", ""]], 2),
        ([["", ""]], 0),  # nothing is no name
        ([["nan", "n/a"]], 0),
        ([["unknown", "3"]], 0),  # a number: a row with a word in it
    ],
)
def test_names_below_the_header(rows, count):
    assert names_again([*rows, *([str(at), "2.5"] for at in range(10))]) == count
    assert names_again(rows) == 0


def test_a_spoilt_first_row_is_a_row():
    body = [[str(at), "cat" if at % 2 else "dog"] for at in range(10)]
    assert names_again([["unknown", "cat"], *body]) == 0
    assert names_again([["cm", "kind"], *body]) == 1


@pytest.mark.parametrize("before", ["", "# a comment, with a comma\n", "A title\n\n", "sep=,\n", "#\n#\n#\n"])
@pytest.mark.parametrize("below", ["", "-,cm,kind\n", "AAPL,MSFT,TSLA\nDate,,\n"])
def test_both_readers_see_the_same_rows(before, below, tmp_path):
    text = f"{before}id,x,y\n{below}{ROWS}"
    path = tmp_path / "a.csv"
    path.write_text(text)
    table = read_csv(path, Selection(target=("y",), features=None))
    found = inspect(BytesSource(text.encode(), "a.csv"), InspectSettings(target="y"))
    assert len(table) == found.table.rows == 30
    assert [column.name for column in found.table.columns] == ["id", "x", "y"]
    assert {str(flaw.severity) for flaw in found.flaws} <= {"info"}
    assert len(found.flaws) == bool(before) + bool(below)


def test_lines_are_told_as_the_file_has_them():
    text = f"# one\n# two\nid,x,y\n{ROWS}1,nan,2\n"
    found = inspect(BytesSource(text.encode(), "a.csv"), InspectSettings())
    assert [flaw.line for flaw in found.flaws if flaw.kind == "nan"] == [34]
    assert [flaw.row for flaw in found.flaws if flaw.kind == "nan"] == [30]
