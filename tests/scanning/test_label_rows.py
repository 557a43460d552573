"""Rows of labels that are rare: kept while a table is read, named in the counts of classes."""

import pytest
from gathered_entries import column, entry, gathered, table

from dltool.core.measured.scan_classes import ClassTable
from dltool.scanning.inspect import inspect
from dltool.scanning.record import TableFacts
from dltool.scanning.settings import InspectSettings
from dltool.scanning.source import BytesSource


def looked_at(labels, name="a.csv"):
    text = "x,label\n" + "".join(f"{at}.5,{label}\n" for at, label in enumerate(labels))
    return inspect(BytesSource(text.encode(), name), InspectSettings(target="label")).table


@pytest.mark.parametrize("usual", [("0", "1", "2"), ("cat", "dog", "owl")])
@pytest.mark.parametrize("stray", ["7", "elk"])
def test_rows_of_a_rare_label(usual, stray):
    labels = [usual[at % 3] for at in range(300)]
    for row in (5, 77, 299):
        labels[row] = stray
    assert dict(looked_at(labels).label_rows) == {stray: (5, 77, 299)}


def test_rows_are_found_in_every_block_and_ragged_ones_left_out():
    labels = [str(at % 3) for at in range(60_000)]
    labels[3] = labels[59_998] = "9"
    lines = ["x,label", *(f"{at},{label}" for at, label in enumerate(labels))]
    lines[10] = "1,2,3"
    found = inspect(BytesSource("\n".join(lines).encode(), "a.csv"), InspectSettings(target="label")).table
    assert dict(found.label_rows) == {"9": (3, 59_998)}


def test_frequent_labels_have_none():
    assert looked_at([str(at % 3) for at in range(300)]).label_rows == ()
    assert looked_at([str(at % 2000) for at in range(20_000)]).label_rows == ()


def test_an_unlabelled_row_among_words_is_told():
    found = inspect(BytesSource(b"x,label\n1,a\n2,\n3,b\n", "a.csv"), InspectSettings(target="label"))
    assert [(flaw.kind, flaw.rows) for flaw in found.flaws] == [("missing", (1,))]
    assert inspect(BytesSource(b"x,note\n1,a\n2,\n3,b\n", "a.csv"), InspectSettings(target="x")).flaws == ()


def test_rows_are_the_examples_of_a_class():
    facts = {"target": "y", "labels": (("0", 200), ("1", 190), ("7", 2)), "label_rows": (("7", (4, 9)),)}
    section = gathered([table("a.csv", column("x", 392), **facts)])[ClassTable]
    assert [[(s.path, s.row) for s in each.examples] for each in section.classes] == [[], [], [("a.csv", 4), ("a.csv", 9)]]


def test_a_word_among_numbers_stands_apart_if_few_samples_have_it():
    for words, kind in ((15, "integers"), (60, "names")):
        labels = (("0", 200), ("1", 190), ("cat", words))
        facts = TableFacts(rows=390 + words, columns=(column("x", 390 + words),), target="y", labels=labels)
        section = gathered([entry("a.csv", format="csv", table=facts)])[ClassTable]
        assert section.kind == kind
        assert [each.label for each in section.not_numbers] == (["cat"] if kind == "integers" else [])
