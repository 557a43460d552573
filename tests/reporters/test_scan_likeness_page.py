"""What comparing samples brought out, as a page tells it."""

import pytest

from dltool.core.measured.scan_likeness import (
    Duplicates,
    EqualRowGroup,
    EqualRows,
    LikeGroup,
    LikeSample,
    NearDuplicates,
    RepeatingTable,
    SharedRows,
    SharedRowsPair,
    Stranger,
    Strangers,
    Trait,
)
from dltool.core.measurements import Measurements
from dltool.core.report import Report, RunInfo
from dltool.reporters.base import Look
from dltool.reporters.table.reporter import TableReporter

RUN = RunInfo(seed=0, torch=None, device=None, spec_sha256=None, seconds=0.0, deterministic=True)


def page(*sections, width=80):
    report = Report(command="scan", target="x", tool_version="0", run=RUN, measurements=Measurements(sections).to_dict())
    return TableReporter(Look(width=width)).render(report)


def group(*splits, kind="same-bytes"):
    samples = tuple(LikeSample(path=f"{i}.jpg", split=split, label=str(i)) for i, split in enumerate(splits))
    return LikeGroup(kind=kind, samples=samples, file="/d/0.jpg")


PAIR = SharedRowsPair(
    path="b.csv",
    file="/d/b.csv",
    split="test",
    other="a.csv",
    other_split="train",
    table_rows=9,
    other_rows=9,
    shared=4,
    expected=0.5,
)
REPEATING = RepeatingTable(
    path="a.csv",
    file="/d/a.csv",
    split=None,
    rows=9,
    repeated=2,
    spread_bits=None,
    groups=(EqualRowGroup(rows=(0, 1), count=2),),
)
STRANGER = Stranger(
    path="x.png",
    file="/d/x.png",
    folder="",
    neighbours=99,
    strangers=1,
    traits=(Trait(name="format", own="png", usual="jpeg"),),
)


@pytest.mark.parametrize("width", [80, 140])
def test_every_kind_has_its_line(width):
    text = page(
        Duplicates(samples=5000, groups=(group("train", "val"), group(None, None))),
        NearDuplicates(samples=4000, left_out=7, radius_bits=6, groups=(), alike=900, alike_across_splits=1),
        EqualRows(tables=2, repeating=(REPEATING,)),
        SharedRows(tables=2, kept_ratio=0.25, pairs=(PAIR,)),
        Strangers(samples=4000, files=(STRANGER,)),
        width=width,
    )
    words = " ".join(text.split())
    assert "copies 2 groups of 4 among 5,000 files; 1 across splits; 2 with several labels" in words
    assert "look-alikes none among 4,000 pictures 900 pictures like several others, 1 of them one of another split" in words
    assert "7 pictures too small or too flat to be compared" in words
    assert "equal rows 2 rows of 1 table equal another of the same table" in words
    assert "shared rows 4 rows of 1 pair of tables, 1 pair across splits estimated from 25.0% of the rows" in words
    assert "strangers 1 picture unlike all others of the folder" in words
    assert max(map(len, text.splitlines())) <= width


def test_nothing_compared_nothing_said():
    assert "Compared" not in page(Duplicates(samples=1, groups=()))
    assert "copies" in page(Duplicates(samples=2, groups=()))
