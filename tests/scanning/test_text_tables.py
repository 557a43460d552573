import io
import random

import numpy as np
import pytest

from dltool.scanning.delimited import read, text
from dltool.scanning.delimited.fast import WithPolars, with_pyarrow
from dltool.scanning.formats.csv import inspect_csv, inspect_delimited
from dltool.scanning.formats.jsonl import inspect_jsonl
from dltool.scanning.record import Inspection, Tier
from dltool.scanning.settings import InspectSettings
from dltool.scanning.source import BytesSource

READERS = [None, WithPolars(), with_pyarrow]


def look(data: bytes | str, fast=None, name="x.csv", **settings) -> Inspection:
    data = data.encode() if isinstance(data, str) else data
    return inspect_delimited(io.BytesIO(data), BytesSource(data, name), InspectSettings(**settings), fast)


def look_jsonl(data: bytes | str, **settings) -> Inspection:
    data = data.encode() if isinstance(data, str) else data
    return inspect_jsonl(BytesSource(data, "x.jsonl"), InspectSettings(**settings))


def told(found: Inspection) -> list[tuple]:
    return [(flaw.kind, flaw.severity.value, flaw.rows, flaw.line) for flaw in found.flaws]


HEAD = "a,b,word\n"
ROWS = [f"{i},{i / 3},{'red' if i % 2 else 'blue'}" for i in range(40)]


def table(*changes: tuple[int, str], end: str = "\n", head: str = HEAD) -> str:
    rows = list(ROWS)
    for row, line in changes:
        rows[row] = line
    return head + "\n".join(rows) + end


@pytest.fixture(params=READERS, ids=["exact", "polars", "pyarrow"])
def fast(request, monkeypatch):
    monkeypatch.setattr(read, "SMALLEST_FAST_BYTES", 0)
    return request.param


HEALTHY = {
    "plain": table(),
    "windows": table().replace("\n", "\r\n"),
    "old mac": table().replace("\n", "\r"),
    "no last newline": table(end=""),
    "many last newlines": table(end="\n\n\n"),
    "empty line": table((3, "")),
    "semicolons": table().replace(",", ";"),
    "tabs": table().replace(",", "\t"),
    "quoted": table((5, '5,2,"a ""b"", c"'), (6, '"6",1.5,""')),
    "cell of many lines": table((5, '5,2,"one\ntwo\n\nthree"')),
    "empty text": table((5, "5,2,"), (9, "9,2,")),
    "text nan": table((5, "5,2,nan"), (9, "9,2,inf"), (10, "9,2,NA")),
    "quote inside": table((5, "5,2,5' 11\" tall")),
    "signs and exponents": table((5, "+5,-2e-3,red"), (6, "006,.5,red")),
    "spaces": table((5, " 5, 2 ,red")),
    "floats among integers": table((30, "3.5,2,red")),
    "umlauts": table((5, "5,2,größer")),
    "one column": "x\n" + "\n".join(map(str, range(30))),
    "ticket numbers": "ticket\n" + "\n".join(f"PC {i}" if i % 4 == 0 else str(i * 977) for i in range(50)),
}


@pytest.mark.parametrize("data", HEALTHY.values(), ids=HEALTHY)
def test_healthy_tables(fast, data):
    found = look(data, fast)
    assert told(found) == []
    assert found.table.rows in {39, 40, 30, 50}


DAMAGED = {
    "short row": (table((7, "7,1")), [("ragged-row", "error", (7,), 9)]),
    "long row": (table((7, "7,1,red,more")), [("ragged-row", "error", (7,), 9)]),
    "two ragged": (table((7, "7,1"), (20, "1")), [("ragged-row", "error", (7, 20), 9)]),
    "cut off": (table((39, "39,1"), end=""), [("truncated", "error", (39,), 41)]),
    "quote never closed": (table((7, '7,1,"red')), [("broken-quotes", "error", (7,), 9)]),
    "quote closed early": (table((7, '7,1,"red"x')), [("broken-quotes", "error", (7,), 9)]),
    "nan": (table((7, "7,nan,red")), [("nan", "error", (7,), 9)]),
    "inf": (table((7, "7,inf,red")), [("inf", "error", (7,), 9)]),
    "-inf": (table((7, "7,-Infinity,red")), [("inf", "error", (7,), 9)]),
    "too large for float64": (table((7, "7,1e999,red")), [("inf", "error", (7,), 9)]),
    "empty number": (table((7, "7,,red")), [("missing", "warning", (7,), 9)]),
    "NA": (table((7, "7,NA,red"), (8, "8,?,red")), [("missing", "warning", (7, 8), 9)]),
    "word": (table((7, "7,many,red")), [("mixed-types", "warning", (7,), 9)]),
    "columns of one name": (table(head="a,a,word\n"), [("duplicate-columns", "warning", (), 1)]),
    "no header": (table(head=""), [("no-header", "info", (), 1)]),
    "nothing below the header": ("a,b\n", [("no-rows", "error", (), None)]),
    "byte-order mark": ("\ufeff" + table(), [("byte-order-mark", "info", (), 1)]),
    "after a cell of lines": (table((5, '5,2,"a\nb"'), (7, "7,nan,red")), [("nan", "error", (7,), 10)]),
    "after an empty line": (table((5, ""), (7, "7,nan,red")), [("nan", "error", (6,), 9)]),
}


@pytest.mark.parametrize(("data", "expected"), DAMAGED.values(), ids=DAMAGED)
def test_damaged_tables(fast, data, expected):
    assert told(look(data, fast)) == expected


def test_rows_around_a_broken_quote_are_still_read(fast):
    found = look(table((7, '7,1,"red'), (9, "9,nan,red"), (30, '30,1,"blue"')), fast)
    assert told(found) == [("broken-quotes", "error", (7,), 9), ("nan", "error", (9,), 11)]
    assert found.table.rows == 40


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_other_encodings_are_told_and_read(fast, encoding):
    found = look(table((7, "7,nan,red")).encode(encoding), fast)
    assert [flaw.kind for flaw in found.flaws][-2:] == ["encoding", "nan"] or encoding == "utf-32"
    assert found.table.rows == 40


def test_latin1_is_told_with_its_line(fast):
    found = look(table((7, "7,1,größer")).encode("latin-1"), fast)
    assert told(found) == [("encoding", "error", (), 9)]


def test_zero_bytes_are_told_with_line_and_offset(fast):
    data = table((7, "7,1,r\0\0ed")).encode()
    (flaw,) = look(data, fast).flaws
    assert (flaw.kind, flaw.line, flaw.offset_bytes, flaw.count) == ("nul-bytes", 9, data.index(b"\0"), 2)


def test_numbers_are_exact(fast):
    values = np.random.default_rng(0).normal(5.0, 3.0, 400)
    column = look("x,y\n" + "".join(f"{value!r},1\n" for value in values.tolist()), fast).table.columns[0]
    assert (column.minimum, column.maximum, column.median) == (values.min(), values.max(), np.median(values))
    assert column.mean == pytest.approx(values.mean(), rel=1e-14)
    assert column.std == pytest.approx(values.std(), rel=1e-14)
    assert column.distinct == 400


def test_labels_are_counted_and_contradictions_named(fast):
    found = look(table((7, "3,1.0,blue")), fast, target="word")
    assert found.table.target == "word"
    assert dict(found.table.labels) == {"blue": 21, "red": 19}
    (group,) = found.table.equal_rows
    assert (group.rows, group.labels) == ((3, 7), ("blue", "red"))


def test_equal_rows_are_found_but_for_the_index(fast):
    rows = "".join(f"{i},{i % 17},{i % 5}\n" for i in range(100))
    assert look("id,a,b\n" + rows, fast).table.equal_row_count == 30
    assert look("c,a,b\n" + rows, fast).table.equal_row_count == 0


def test_columns_may_stand_in_another_order(fast):
    one = look("a,b\n1,x\n2,y\n", fast, want_row_hashes=True)
    two = look("b,a\ny,2.0\nx,1.0\n", fast, want_row_hashes=True)
    assert one.content == two.content
    hashes = [np.frombuffer(found.table.row_hashes, "<u8").tolist() for found in (one, two)]
    assert hashes[0] == hashes[1][::-1]


ODD = ["", "NA", "nan", "NaN", "inf", "-inf", "?", "null", "1_0", "0x10", " 5", "6 ", "é", "abc", '"q"', '"a,b"', '"a\nb"',
       '"a""b"', '""', '5" pipe', 'x"y', '"open', "'s", "٣", "1,5", "Infinity", "1e", "--", "\r", "\xa07", "true", "iNf",
       "1.0f", "\t1", "-", "1e5 ", "9223372036854775808", "-9223372036854775808", "9007199254740993", "nAn", '"1"', "1e400",
       "+4", "-0.0", ".5", "5.", "00012"]  # fmt: skip


def drawn_table(rng: random.Random) -> bytes:
    """A small table with all kinds of damage, or none."""
    types = [rng.choice("iffw") for _ in range(rng.randint(1, 5))]
    odds = rng.choice([0, 0, 0.01, 0.05, 0.3])
    lines = [",".join(f"c{at}" for at in range(len(types)))] if rng.random() < 0.8 else []
    for _ in range(rng.randint(0, 40)):
        cells = [
            rng.choice(ODD) if rng.random() < odds
            else str(rng.randint(-5, 100)) if kind == "i"
            else f"{rng.gauss(0, 1):.5g}" if kind == "f"
            else rng.choice(["red", "green", "", "a b"])
            for kind in types
        ]  # fmt: skip
        cells = cells[: rng.randint(0, len(cells))] if rng.random() < odds / 3 else cells
        lines.append(",".join(cells + ["z"] * (rng.random() < odds / 3)))
    data = (rng.choice(["\n", "\n", "\r\n"]).join(lines) + rng.choice(["", "\n", "\n"])).encode()
    if rng.random() < 0.1 and data:
        at = rng.randrange(len(data))
        data = data[:at] + rng.choice([b"\0", b"\xff", b"\n", b'"', b"\r"]) + data[at:]
    return data[: rng.randint(0, len(data))] if rng.random() < 0.05 else data


def rounded(found: Inspection) -> list:
    """Sums depend on where blocks end, in the last digits."""
    columns = found.table.columns if found.table else ()
    numbers = [
        [f"{value:.8g}" for value in (column.minimum, column.maximum, column.mean, column.std, column.median)
         if value is not None]
        for column in columns
    ]  # fmt: skip
    counts = [(column.name, column.dtype, column.rows, column.missing, column.nan, column.distinct) for column in columns]
    rows = found.table and (found.table.rows, found.table.equal_rows, found.table.row_hashes)
    return [found.flaws, numbers, counts, rows, found.content, found.digest]


@pytest.mark.parametrize("start", range(0, 300, 50))
def test_every_reader_finds_the_same(start, monkeypatch):
    monkeypatch.setattr(read, "SMALLEST_FAST_BYTES", 0)
    for seed in range(start, start + 50):
        rng = random.Random(seed)
        data = drawn_table(rng)
        monkeypatch.setattr(text, "BLOCK_BYTES", rng.choice([64, 1 << 24]))
        target = rng.choice([None, "c0"])
        exact, *others = [rounded(look(data, reader, target=target, want_row_hashes=True)) for reader in READERS]
        assert others == [exact, exact], (seed, data)


def test_quick_looks_at_the_head_alone():
    found = inspect_csv(BytesSource(table((7, "7,1")).encode(), "x.tsv"), InspectSettings(tier=Tier.QUICK))
    assert (found.format, found.table, [flaw.kind for flaw in found.flaws]) == ("tsv", None, ["ragged-row"])


LINES = [f'{{"x": {i}, "y": [1.0, {i}.5], "s": "{"ab"[i % 2]}"}}' for i in range(200)]


def lines(*changes: tuple[int, str], end: str = "\n") -> str:
    changed = list(LINES)
    for row, line in changes:
        changed[row] = line
    return "\n".join(changed) + end


@pytest.mark.parametrize("data", [lines(), lines(end=""), lines(end="\n\n"), lines((5, '{"x": 5, "y": [], "s": null}')),
                                  lines((5, '{"x": 5, "y": [1], "s": "a", "more": 1}'))])  # fmt: skip
def test_healthy_lines(data):
    found = look_jsonl(data)
    assert told(found) == []
    assert found.table.rows == 200


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (lines((5, "{x: 5}")), [("not-json", "error", (5,), 6)]),
        (lines((5, "[1, 2]")), [("not-an-object", "error", (5,), 6)]),
        (lines((199, '{"x": 5, "y": [1'), end=""), [("truncated", "error", (199,), 200)]),
        (lines((5, '{"q": 5}')), [("other-fields", "error", (5,), 6)]),
        (lines((5, '{"x": 5, "s": "a"}')), [("missing-field:y", "warning", (5,), 6)]),
        (lines((5, '{"x": NaN, "y": [1], "s": "a"}')), [("nan", "error", (5,), 6)]),
        (lines((5, '{"x": null, "y": [1], "s": "a"}')), [("missing", "warning", (5,), 6)]),
        (lines((5, '{"x": 1, "y": [1, -Infinity], "s": "a"}')), [("inf", "error", (5,), 6)]),
        (lines((5, '{"x": "five", "y": [1], "s": "a"}')), [("mixed-types", "warning", (5,), 6)]),
        (lines((5, "")) + "{", [("truncated", "error", (199,), 201)]),
        (lines((5, '{"y": [1], "s": "a"}')), [("missing-field:x", "warning", (5,), 6)]),
    ],
)
def test_damaged_lines(data, expected):
    assert told(look_jsonl(data)) == expected


def test_equal_lines_and_labels():
    rows = [f'{{"text": "t{i % 90}", "label": {i % 3}}}' for i in range(100)]
    table = look_jsonl("\n".join(rows), target="label").table
    assert dict(table.labels) == {"0": 34, "1": 33, "2": 33}
    assert table.equal_row_count == 20
    assert {group.labels for group in table.equal_rows} == {()}


def test_lists_of_objects_and_of_words_make_rows_differ():
    talks = [f'{{"messages": [{{"role": "user", "content": "ask {i}"}}], "tags": ["a", "b{i % 3}"]}}' for i in range(30)]
    assert look_jsonl("\n".join(talks)).table.equal_row_count == 0
    assert look_jsonl("\n".join([*talks, talks[4]])).table.equal_row_count == 2
    vectors = "\n".join(f'{{"v": [{i}, 1, null], "w": []}}' for i in range(9))
    assert [column.minimum for column in look_jsonl(vectors).table.columns] == [0, None]
