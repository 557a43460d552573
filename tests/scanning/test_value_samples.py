"""Data sets in sample_configs/broken that are broken by their values: each member by name, and sets that are healthy."""

from pathlib import Path

import pytest
from gathered_entries import gathered

from dltool.core.finding import Severity
from dltool.core.measurements import Measurements
from dltool.diagnostics.scan.options import ScanOptions
from dltool.diagnostics.scan.run import run
from dltool.rules.select import judge
from dltool.scanning.inspect import inspect
from dltool.scanning.record import Entry, Item
from dltool.scanning.settings import InspectSettings
from dltool.scanning.source import source_of

SAMPLES = Path(__file__).parents[2] / "sample_configs"


def scanned(name, **options):
    return run(str(SAMPLES / name), ScanOptions(cache=False, workers=1, **options))


def bad(report):
    return {(sample["path"], sample["row"], sample["name"]) for sample in report.measurements["bad_samples"]}


def test_every_damaged_picture_is_named():
    damaged = {"fox/truncated.jpg", "fox/zeros.jpg", "owl/empty.jpg", "owl/page.jpg", "owl/pointer.jpg", "owl/flipped.png"}
    report = scanned("broken/damaged_pictures")
    assert bad(report) == {(path, None, "corrupt-file") for path in damaged} | {("fox/bitmap.jpg", None, "format-mismatch")}
    assert {f.severity for f in report.findings} == {Severity.ERROR}


def test_every_blank_picture_is_named():
    paths = {path for path, _, name in bad(scanned("broken/blank_pictures")) if name == "constant-image"}
    assert paths == {"fox/black.jpg", "owl/white.jpg", "owl/red.jpg", "owl/pixel.png"}


def test_odd_pictures_are_named_as_information():
    report = scanned("broken/odd_pictures")
    told = {f.evidence["kind"]: {s["path"] for s in f.evidence["samples"]} for f in report.findings if f.rule == "DAT115"}
    assert told["rotated"] == {"rotated.jpg"}
    assert told["animated"] == {"moving.gif"}
    assert told["size"] == {"wide.jpg"}
    assert {f.severity for f in report.findings if f.rule == "DAT115"} == {Severity.INFO}


def test_rows_of_a_spoilt_table_are_named():
    assert bad(scanned("broken/spoilt_table.csv")) >= {
        ("spoilt_table.csv", 40, "non-finite-value"),
        ("spoilt_table.csv", 41, "non-finite-value"),
        ("spoilt_table.csv", 90, "non-finite-value"),
        ("spoilt_table.csv", 17, "outlier"),
    }


def test_exchanged_labels_are_suspected():
    path = SAMPLES / "broken/wrong_labels.csv"
    item = Item(index=0, name=path.name, path=str(path))
    found = inspect(source_of(item), InspectSettings(target="species"))
    findings, _ = judge(Measurements(gathered([Entry(item, found)], doubt_labels=True)), select=["DAT118"])
    rows = {sample["row"] for finding in findings for sample in finding.evidence["samples"]}
    assert {3, 30, 120, 140} <= rows
    assert len(rows) <= 8


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("iris.csv", "species"),
        ("diabetes.csv", "progression"),
        ("digits.npz", None),
        ("digits_0_to_4.safetensors", None),
    ],
)
def test_healthy_data_gives_no_warning(name, column):
    report = scanned(f"data/{name}", target_column=column)
    assert [f.message for f in report.findings if f.severity is not Severity.INFO] == []
