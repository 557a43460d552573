"""Scans of specs: the files behind them, their data against their model, and lists that a spec leaves out."""

import json

import numpy as np
import pytest
from PIL import Image

from dltool.core.errors import DataError, SpecError
from dltool.diagnostics.scan.options import ScanOptions
from dltool.diagnostics.scan.run import run
from dltool.diagnostics.train import TrainOptions
from dltool.diagnostics.train import run as run_train

MODEL = "model: {layers: [flatten, {linear: 8}, relu, {linear: 2}]}\nloss: cross_entropy\ntrain: {epochs: 1}\n"


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def written(data, rest=MODEL):
        (tmp_path / "spec.yaml").write_text(f"version: 1\ndata: {data}\n{rest}")
        return "spec.yaml"

    return written


def scan(target, **options):
    return run(target, ScanOptions(cache=False, workers=1, **options))


def csv(path, *, first=0, scale=1.0, bad=()):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 3)) * scale
    rows = [",".join("nan" if i in bad and k == 1 else str(v) for k, v in enumerate(row)) for i, row in enumerate(x)]
    lines = [f"{row},{first + int(values[0] > 0)}" for row, values in zip(rows, x, strict=True)]
    path.write_text("\n".join(["a,b,c,label", *lines]) + "\n")


def names(report):
    return {finding.name for finding in report.findings}


def test_labels_and_scale_are_judged_against_the_model(write, tmp_path):
    csv(tmp_path / "t.csv", first=1, scale=600)
    report = scan(write("{csv: {path: t.csv, target: label}, batch_size: 8}"))
    assert {"labels-not-zero-based", "label-out-of-range", "unnormalised-input"} <= names(report)
    assert report.measurements["classes"]["outputs"] == 2
    report = scan(write("{csv: {path: t.csv, target: label}, batch_size: 8, normalize: standard}"))
    assert "unnormalised-input" not in names(report)
    rest = MODEL + "rules: {ignore: {labels-not-zero-based: known}}\n"
    report = scan(write("{csv: {path: t.csv, target: label}}", rest))
    assert "labels-not-zero-based" not in names(report)
    assert ("DAT110", "skipped", "known") in {(c.rule, c.outcome, c.reason) for c in report.checks}


def test_a_clean_table_and_its_model_give_nothing(write, tmp_path):
    csv(tmp_path / "t.csv")
    report = scan(write("{csv: {path: t.csv, target: label}, split: 0.2}"), probe=True)
    assert report.findings == ()
    assert report.measurements["probe"]["samples"] == 90
    assert report.run.spec_sha256 is not None


def test_rows_that_are_excluded_are_not_told_again(write, tmp_path):
    csv(tmp_path / "t.csv", bad=(4, 50))
    target = write("{csv: {path: t.csv, target: label}}")
    report = scan(target, bad_samples="bad.jsonl", probe=True)
    assert [(f.name, f.where.file, f.where.samples) for f in report.findings] == [("non-finite-value", "t.csv", (4, 50))]
    assert scan(target, overrides=("data.exclude=bad.jsonl",)).findings == ()
    trained = run_train(target, TrainOptions(overrides=("data.exclude=bad.jsonl",)))
    assert "history" in trained.measurements


def test_layers_that_do_not_fit_are_a_finding_at_their_line(write, tmp_path):
    np.savez(tmp_path / "d.npz", x=np.random.default_rng(0).normal(size=(50, 2, 5, 5)), y=np.arange(50) % 3)
    target = write("{npz: d.npz}", "model: {layers: [flatten, {linear: {in_features: 7, out_features: 3}}]}\n")
    (found,) = scan(target).findings
    assert (found.name, found.where.file, found.where.line) == ("shape-mismatch", "spec.yaml", 3)
    assert "in_features does not match what arrives (found 7); expected 50" in found.message


def test_data_that_is_made_up_is_scanned_as_the_model_gets_it(write):
    report = scan(write("{synthetic: {blobs: {n: 120, classes: 2}}, split: 0.2}"), probe=True)
    assert report.findings == ()
    assert report.measurements["samples_scanned"] == 120


def test_mistakes_in_the_spec_are_the_users(write, tmp_path):
    with pytest.raises(DataError, match=r"spec.yaml:2:.*data.csv.path: no such file: t.csv"):
        scan(write("{csv: {path: t.csv, target: label}}"))
    csv(tmp_path / "t.csv")
    with pytest.raises(SpecError):
        scan(write("{csv: {path: t.csv, target: label}, shufle: true}"))
    with pytest.raises(DataError, match="lable"):
        scan(write("{csv: {path: t.csv, target: lable}}"))


def pictures(folder):
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for at in range(8):
            pixels = rng.integers(0, 255, (16, 16, 3), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{at}.png")
    (folder / "cat/0.png").write_bytes(b"<!DOCTYPE html><html></html>")
    (folder / "dog/3.png").write_bytes((folder / "dog/3.png").read_bytes()[:200])
    (folder / "dog/5.png").write_bytes((folder / "dog/6.png").read_bytes())


@pytest.mark.parametrize("listed", ["bad.jsonl", "clean.jsonl"])
def test_a_folder_is_trained_on_without_what_its_scan_found(write, tmp_path, listed):
    pictures(tmp_path / "pets")
    found = scan("pets", bad_samples="bad.jsonl", manifest="clean.jsonl")
    assert {f.where.key for f in found.findings if f.name == "corrupt-file"} == {"cat/0.png", "dog/3.png"}
    assert [json.loads(line)["path"] for line in (tmp_path / "bad.jsonl").read_text().splitlines()] == [
        "cat/0.png",
        "dog/3.png",
        "dog/6.png",
    ]
    target = write("{images: pets, batch_size: 4}")
    with pytest.raises(DataError, match="not a readable image"):
        run_train(target, TrainOptions())
    overrides = (f"data.exclude={listed}",)
    trained = run_train(target, TrainOptions(overrides=overrides))
    assert trained.measurements["task"]["train_samples"] == 13
    again = scan(target, overrides=overrides, probe=True)
    assert {f.name for f in again.findings} <= {"outlier"}
    assert (again.measurements["samples_scanned"], again.measurements["probe"]["samples"]) == (13, 13)
    broken = scan(target)
    assert names(broken) >= {"corrupt-file", "duplicate-sample"}
    assert any("The model was not tried" in text for text in broken.run.assumptions)


def test_two_folders_are_told_apart(write, tmp_path):
    pictures(tmp_path / "sets/train")
    pictures(tmp_path / "sets/val")
    report = scan(write("{train: {images: sets/train}, val: {images: sets/val}}"), bad_samples="bad.jsonl")
    bad = {sample["path"] for sample in report.measurements["bad_samples"] if sample["name"] == "corrupt-file"}
    assert bad == {f"sets/{split}/{name}" for split in ("train", "val") for name in ("cat/0.png", "dog/3.png")}
    assert "split-leakage" in names(report)


def test_the_probe_of_a_folder(tmp_path):
    for name, value in (("fine", 0.5), ("bad", np.nan)):
        pixels = np.random.default_rng(0).random((12, 12)).astype(np.float32)
        pixels[3, 4] = value
        (tmp_path / "scans").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "scans" / f"{name}.tiff")
    report = scan(str(tmp_path / "scans"), probe=True)
    probed = report.measurements["probe"]
    assert probed["samples"] + probed["not_probed"] <= 2
    assert "non-finite-value" in names(report) or [bad["path"] for bad in probed["bad"]] == ["bad.tiff"]
