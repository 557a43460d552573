"""Data sets in sample_configs/broken: what the note beside each promises is found, and the file it names."""

from pathlib import Path

import pytest

from dltool.core.finding import Severity
from dltool.diagnostics.scan.options import ScanOptions
from dltool.diagnostics.scan.run import run

SAMPLES = Path(__file__).parents[2] / "sample_configs"
NOTES = sorted(SAMPLES.glob("broken/*.txt"))


@pytest.mark.parametrize("note", NOTES, ids=lambda note: note.stem)
def test_what_a_note_promises_is_found_and_first(note, monkeypatch):
    monkeypatch.chdir(SAMPLES.parent)
    command, expect, *_ = note.read_text().splitlines()
    program, verb, target, *options = command.removeprefix("# ").split()
    assert (program, verb, target) == ("dltool", "scan", f"sample_configs/broken/{note.stem}")
    column = options[options.index("--target") + 1] if "--target" in options else None
    asked = ScanOptions(target_column=column, labels="--labels" in options, cache=False, workers=1)
    report = run(target, asked)
    grave = [f.name for f in report.findings if f.severity is not Severity.INFO]
    known = [f"{f.name} (information)" for f in report.findings if f.severity is Severity.INFO]
    assert list(dict.fromkeys(grave or known))[: None if grave else 1] == expect.removeprefix("# Expect: ").split(", ")


def test_every_broken_data_set_has_a_note_in_one_form():
    data = {p.name for p in SAMPLES.glob("broken/*") if p.is_dir() or p.suffix not in {".yaml", ".py", ".txt"}}
    assert data - {"__pycache__"} == {note.stem for note in NOTES}
    for note in NOTES:
        lines = note.read_text().splitlines()
        assert lines[0].startswith("# dltool scan ")
        assert lines[1].startswith("# Expect: ")
        assert len(lines) >= 3


def found_in(name, monkeypatch, **options):
    monkeypatch.chdir(SAMPLES.parent)
    report = run(f"sample_configs/broken/{name}", ScanOptions(cache=False, workers=1, **options))
    bad = report.measurements["bad_samples"]
    return report, {(sample["path"], sample["row"], sample["name"]) for sample in bad}


def test_leaky_pictures_are_named_in_every_wrapping(monkeypatch):
    report, bad = found_in("leaky_pictures", monkeypatch)
    pairs = {f.evidence["kind"]: [s["path"] for s in f.evidence["samples"]] for f in report.findings if f.rule == "DAT114"}
    assert pairs == {
        "copies": ["test/calm/24.png", "train/calm/04.png"],
        "look-alikes": ["test/wild/25.jpg", "train/wild/07.png"],
    }
    assert {path for path, _, name in bad if name == "duplicate-sample"} == {"train/calm/02.png", "train/wild/26.png"}


def test_leaky_rows_are_named_by_number(monkeypatch):
    report, bad = found_in("leaky_rows", monkeypatch, target_column="kind")
    both = [("test.csv", row) for row in range(20, 24)] + [("train.csv", row) for row in (3, 14, 15, 41)]
    assert bad == {(path, row, "split-leakage") for path, row in both}
    assert report.findings[0].severity is Severity.ERROR


def test_equal_bytes_are_found_without_decoding(monkeypatch):
    _, bad = found_in("placeholder", monkeypatch, tier="quick")
    assert len({path for path, _, name in bad if name == "duplicate-sample"}) == 12
