import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dltool.core.finding import Severity
from dltool.scanning.parts import PartWriter, merged, read_part
from dltool.scanning.record import (
    ColumnFacts,
    Entry,
    Extreme,
    Flaw,
    ImageFacts,
    Inspection,
    Item,
    RowGroup,
    TableFacts,
)
from dltool.scanning.wire import LAYOUT, read_inspection, write_inspection

TEXT = st.text(max_size=8) | st.just("caf\udce9\n\t")
NUMBER = st.floats(allow_nan=False)
SMALL = st.integers(0, 2**64)
MAYBE = st.none() | NUMBER
FLAWS = st.builds(
    Flaw,
    rule=st.just("corrupt-file"),
    kind=TEXT,
    severity=st.sampled_from(Severity),
    detail=TEXT,
    row=st.none() | SMALL,
    rows=st.lists(SMALL, max_size=3).map(tuple),
    column=st.none() | TEXT,
)
IMAGES = st.builds(ImageFacts, width=SMALL, height=SMALL, mode=TEXT, mean=MAYBE, similarity=st.none() | SMALL, encoder=TEXT)
COLUMNS = st.builds(
    ColumnFacts,
    name=TEXT,
    dtype=TEXT,
    rows=SMALL,
    mean=MAYBE,
    extremes=st.lists(st.builds(Extreme, row=SMALL, value=NUMBER, score=NUMBER), max_size=2).map(tuple),
)
TABLES = st.builds(
    TableFacts,
    rows=SMALL,
    columns=st.lists(COLUMNS, max_size=2).map(tuple),
    target=st.none() | TEXT,
    labels=st.lists(st.tuples(TEXT, SMALL), max_size=2).map(tuple),
    equal_rows=st.lists(
        st.builds(RowGroup, rows=st.lists(SMALL, max_size=2).map(tuple), count=SMALL, labels=st.lists(TEXT).map(tuple)),
        max_size=2,
    ).map(tuple),
    row_hashes=st.binary(max_size=40),
)
INSPECTIONS = st.builds(
    Inspection,
    format=st.none() | TEXT,
    size_bytes=SMALL,
    digest=TEXT,
    content=st.none() | TEXT,
    flaws=st.lists(FLAWS, max_size=2).map(tuple),
    image=st.none() | IMAGES,
    table=st.none() | TABLES,
)


@given(INSPECTIONS)
@settings(max_examples=200, deadline=None)
def test_a_line_holds_everything(found):
    line = write_inspection(found)
    assert line.isascii()
    assert "\n" not in line
    assert read_inspection(line) == found


def test_numbers_that_are_not_finite_survive():
    image = ImageFacts(width=1, height=1, mode="F", mean=float("inf"), std=float("nan"))
    again = read_inspection(write_inspection(Inspection(format="tiff", size_bytes=1, image=image))).image
    assert again.mean == float("inf")
    assert again.std != again.std


@pytest.mark.parametrize("line", ["", "null", "[]", "[1, 2]", "{}", "7", '["a", 1, "", null, 5, null, null]', "[" * 100])
def test_what_is_no_line_is_a_value_error(line):
    with pytest.raises(ValueError, match=r"."):
        read_inspection(line)


def test_records_are_slotted_without_defaults_that_run_code():
    """Reading goes round ``__init__``: a record that does something there would not be itself again."""
    for kind in (Inspection, Flaw, ImageFacts, TableFacts, ColumnFacts, Extreme, RowGroup):
        assert dataclasses.is_dataclass(kind)
        assert not hasattr(kind, "__post_init__")
        assert hasattr(kind, "__slots__")
    assert len(LAYOUT) == 16


@given(st.lists(st.tuples(TEXT.filter(lambda name: "/" not in name), INSPECTIONS), max_size=6), st.integers(1, 3))
@settings(max_examples=50, deadline=None)
def test_parts_merge_in_order(samples, count):
    samples.sort(key=lambda sample: sample[0])
    parts = [PartWriter() for _ in range(count)]
    for at, (name, found) in enumerate(samples):
        parts[hash((name, 1)) % count].add((name,), Item(at, name, f"root/{name}", label="x"), found)
    texts = [part.text() for part in parts]
    expected = [Entry(Item(at, name, f"root/{name}", label="x"), found) for at, (name, found) in enumerate(samples)]
    assert list(merged(texts)) == expected


def test_a_part_that_is_cut_off_or_spoilt():
    part = PartWriter()
    for at in range(100):
        part.add((str(at),), Item(at, str(at), str(at)), Inspection(format="png", size_bytes=at, digest=f"xxh3:{at:032x}"))
    text = part.text()
    assert len(list(read_part(text))) == 100
    for spoilt in (text[: len(text) // 2 // 4 * 4], "AAAA" + text, "!" + text, text[:-5]):
        with pytest.raises(ValueError, match=r"."):
            list(read_part(spoilt))
