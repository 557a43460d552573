"""The pages of a scan. ``DLTOOL_UPDATE_GOLDEN=1 pytest tests/reporters`` writes the golden ones anew."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from dltool.core.finding import Severity
from dltool.core.measured.scan import FormatCount, SamplesScanned, ScanFacts, ScannedFormats, UnknownFiles
from dltool.core.measured.scan_classes import ClassCount, ClassTable, SuspectedLabels
from dltool.core.measured.scan_flaws import FlawedFile, FlawRecord, ScanFlaws
from dltool.core.measured.scan_pictures import ImageSet, OddImages, Spread
from dltool.core.measured.scan_tables import Feature, FeatureTable
from dltool.core.measurements import Measurements
from dltool.core.report import Report, RunInfo
from dltool.reporters.base import Detail, Look
from dltool.reporters.table.reporter import TableReporter
from dltool.rules.select import judge

GOLDEN = Path(__file__).parent / "golden"
FLAW = FlawRecord(kind="truncated", severity=Severity.ERROR, detail="the picture is cut off after 512 of 20,480 bytes")
SECTIONS = (
    SamplesScanned(samples=812),
    ScanFacts(tier="normal", files=313, size_bytes=6_100_000, splits={"train": 200, "val": 100}, stopped="interrupted"),
    ScannedFormats(
        formats=(
            FormatCount(format="jpeg", files=300, samples=300, size_bytes=6_000_000, flawed_files=7),
            FormatCount(format="csv", files=1, samples=512, size_bytes=40_000, flawed_files=1),
        ),
        unknown=(
            UnknownFiles(suffix=".md", files=7, size_bytes=900, paths=("README.md", "a/NOTES.md")),
            UnknownFiles(suffix="", files=5, size_bytes=100, paths=("LICENSE",)),
        ),
    ),
    ScanFlaws(
        files=(
            *(
                FlawedFile(rule="corrupt-file", path=f"train/[cat]/{i}.jpg", file=f"d/train/[cat]/{i}.jpg", format="jpeg",
                           column=None, flaws=(FLAW,))
                for i in range(7)
            ),
            FlawedFile(
                rule="non-finite-value", path="t.csv", file="d/t.csv", format="csv", column="income",
                flaws=(FlawRecord(kind="nan", severity=Severity.ERROR, detail="NaN in 2 rows of column 'income'",
                                  row=3, rows=(3, 9), line=5, count=2),),
            ),
        )
    ),
    ImageSet(
        images=300,
        modes={"RGB": 296, "CMYK": 4},
        sizes={"224x224": 294, "300x224": 6},
        size_count=2,
        orientations={"1": 299, "6": 1},
        animated=0,
        brightness=Spread(minimum=0.02, median=0.48, maximum=0.97, robust_std=0.1),
        contrast=Spread(minimum=0.0, median=0.2, maximum=0.3, robust_std=0.05),
        odd=(OddImages(oddity="mode", value="CMYK", usual="RGB", count=2, paths=("a", "b"), files=("a", "b")),),
    ),
    FeatureTable(
        features=(
            Feature(name="age", dtypes=("int64",), files=1, rows=512, distinct=60, minimum=1.0, maximum=99.0, mean=40.2,
                    std=10.0, median=39.0),
            Feature(name="income_per_household_and_year", dtypes=("float64",), files=1, rows=512, nan=2, missing=11,
                    distinct=480, minimum=-10.0, maximum=1.5e9, mean=51234.5, std=1e7, median=40000.0),
            Feature(name="unit", dtypes=("text",), files=1, rows=512, distinct=1, constant=True),
            Feature(name="code", dtypes=("int64", "text"), files=2, rows=512),
            Feature(name="kind", dtypes=("text",), files=1, rows=512, distinct=3, target=True),
        ),
        tables=1,
        rows=512,
    ),
    ClassTable(
        source="folders", column=None, kind="names", samples=300, distinct=3,
        classes=(
            ClassCount(label="cat", samples=200, splits={"train": 133, "val": 67}),
            ClassCount(label="dog", samples=96, splits={"train": 67, "val": 29}),
            ClassCount(label="a class with a long name indeed, that does not fit", samples=4, splits={"train": 0, "val": 4}),
        ),
        splits={"train": 200, "val": 100}, batch_size=32,
    ),
    SuspectedLabels(samples=296, classes=2, folds=10, model="two models", accuracy_ratio=0.91, majority_ratio=0.67),
)  # fmt: skip


def report(sections=SECTIONS, command="scan"):
    measured = Measurements(sections)
    findings, checks = judge(measured)
    info = RunInfo(seed=0, torch=None, device="cpu", spec_sha256=None, seconds=1.2, deterministic=True)
    return Report(command=command, target="data/[set]", run=info, tool_version="0", findings=tuple(findings),
                  checks=tuple(checks), measurements=measured.to_dict())  # fmt: skip


PAGES = {
    "scan-80": Look(width=80),
    "scan-140": Look(width=140),
    "scan-80-ascii-quiet": Look(width=80, unicode=False, detail=Detail.QUIET),
}


@pytest.mark.parametrize("name", PAGES)
def test_pages(name):
    text = TableReporter(PAGES[name]).render(report())
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("DLTOOL_UPDATE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [60, 80, 100, 140, 200])
@pytest.mark.parametrize("detail", Detail)
@pytest.mark.parametrize("unicode", [True, False])
def test_no_line_is_wider_than_the_page(width, detail, unicode):
    text = TableReporter(Look(width=width, detail=detail, unicode=unicode)).render(report())
    assert max(map(len, text.splitlines())) <= width
    assert unicode or text.isascii()


def test_all_findings_are_told_when_asked():
    assert "and 2 others" in TableReporter(Look()).render(report())
    text = TableReporter(Look(detail=Detail.VERBOSE)).render(report())
    assert all(f"train/[cat]/{i}.jpg" in text for i in range(7))


def test_many_columns_and_classes_are_cut_and_counted():
    features = tuple(Feature(name=f"x{i}", dtypes=("float64",), files=1, rows=9) for i in range(60))
    classes = tuple(ClassCount(label=f"c{i}", samples=1000 - i) for i in range(60))
    sections = [
        replace(SECTIONS[5], features=features),
        replace(SECTIONS[6], classes=classes, splits={}, samples=sum(c.samples for c in classes)),
    ]
    text = TableReporter(Look()).render(report(sections))
    assert "24 of 60 shown" in text
    assert "the largest and the smallest of 60" in text
    assert " c0 " in text
    assert " c59 " in text
    assert " c30 " not in text


def test_nothing_scanned_prints_no_tables():
    text = TableReporter(Look()).render(report([SamplesScanned(samples=0), ScannedFormats(formats=())]))
    assert "0 samples" in text
    assert "Columns" not in text
