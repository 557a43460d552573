"""``dltool lr-find`` from words to report and, with --write, to the spec."""

import json

import jsonschema
import pytest

from dltool.cli.main import main
from dltool.core.measured.lr_find import LrRange, SuggestedLr
from dltool.core.measurements import Measurements
from dltool.core.report import Report
from dltool.reporters.base import Detail, Look
from dltool.reporters.report_schema import report_schema
from dltool.reporters.table.reporter import TableReporter

SPEC = """\
version: 1
seed: 0
data:
  synthetic: {blobs: {n: 120, features: 2, classes: 3, spread: 0.5}}
  split: {val: 0.25, stratify: true}
  batch_size: 30
model: {layers: [{linear: 8}, relu, {linear: 3}]}
loss: cross_entropy
optimizer: {adam: {lr: 1e-2}}   # as in the paper
train: {epochs: 10}
"""
SHORT = ["--steps", "8"]
FACTORY = """\
import torch
from torch import nn

def make():
    torch.manual_seed(0)
    inputs, labels = torch.randn(64, 4), torch.randint(0, 2, (64,))
    return {"model": nn.Linear(4, 2), "batches": [(inputs, labels)], "optimizer": lambda p: %s}
"""


@pytest.fixture
def spec(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spec.yaml").write_text(SPEC)
    return "spec.yaml"


def asked(capsys, *words):
    code = main(["lr-find", *words, "--format", "json"])
    caught = capsys.readouterr()
    return code, json.loads(caught.out, parse_constant=pytest.fail), caught.err


def test_the_report_fits_its_schema_and_says_what_was_found(spec, tmp_path, capsys):
    code, report, _ = asked(capsys, spec, *SHORT)
    assert code == 0
    jsonschema.validate(report, report_schema())
    measured = report["measurements"]
    assert measured["lr_range"][0] <= measured["suggested_lr"] <= measured["lr_range"][1]
    assert {"lr", "loss", "smoothed", "slope"} <= set(measured["curve"][0])
    assert (tmp_path / "spec.yaml").read_text() == SPEC
    assert [path.name for path in tmp_path.iterdir()] == ["spec.yaml"]
    read_back = Measurements.from_dict(measured, "lr-find")
    assert read_back[SuggestedLr].lr == measured["suggested_lr"]
    assert list(read_back[LrRange].ends) == measured["lr_range"]
    _, again, _ = asked(capsys, spec, *SHORT)
    assert {**again, "run": None} == {**report, "run": None}


def test_the_rate_goes_into_the_spec_and_nothing_else(spec, tmp_path, capsys):
    _, report, said = asked(capsys, spec, *SHORT, "--write")
    lr = report["measurements"]["suggested_lr"]
    assert (tmp_path / "spec.yaml").read_text() == SPEC.replace("lr: 1e-2", f"lr: {lr:g}")
    assert f"optimizer.adam.lr is {lr:g} now" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere.yaml"], "nowhere.yaml"),
        (["spec.yaml", "--steps", "0"], "--steps"),
        (["spec.yaml", "--select", "dead-rellu"], "dead-relu"),
        (["spec.yaml", "--write", "optimizer=sgd"], "command line"),
        (["net.py:make", "--write"], "--write"),
        (["rateless.py:make"], "no learning rate"),
        ([], "TARGET"),
        (["spec.yaml", "--epochs", "3"], "--epochs"),
        (["spec.yaml", "--timeout", "0"], "--timeout"),
        (["spec.yaml", "--seed", "-1"], "--seed"),
        (["spec.yaml", "--device", "tpu"], "tpu"),
        (["spec.yaml", "--output", "spec.yaml"], "overwrite"),
        (["spec.yaml", "optimizer.adam.lr=-1"], "above 0"),
        (["spec.yaml", "optimiser=sgd"], "optimiser"),
        (["net.py:nothing"], "nothing"),
    ],
)
def test_what_cannot_be_searched_is_2_without_a_traceback(spec, tmp_path, words, said, capsys):
    (tmp_path / "net.py").write_text(FACTORY % "torch.optim.SGD(p, lr=0.1)")
    bare = "type('Bare', (torch.optim.Optimizer,), {'step': lambda self, closure=None: None})(p, {})"
    (tmp_path / "rateless.py").write_text(FACTORY % bare)
    assert main(["lr-find", *words]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "Traceback" not in err


def test_a_rate_that_diverges_is_a_finding_and_one_that_trains_is_none(spec, capsys):
    code, report, _ = asked(capsys, spec, *SHORT, "optimizer={sgd: {lr: 1e+9}}")
    assert code == 1
    assert [f["name"] for f in report["findings"]] == ["learning-rate-too-high"]
    assert report["findings"][0]["severity"] == "error"
    code, report, _ = asked(capsys, spec, *SHORT, "optimizer={sgd: {lr: 1e-9}}", "--fail-on", "warning")
    assert (code, [f["name"] for f in report["findings"]]) == (1, ["learning-rate-too-low"])
    code, report, _ = asked(capsys, spec, *SHORT, "--fail-on", "info")
    assert (code, report["findings"]) == (0, [])


def test_a_search_that_finds_none_writes_none(spec, tmp_path, capsys):
    code, report, said = asked(capsys, spec, *SHORT, "--write", "optimizer.adam.lr=1", "--timeout", "0.000001")
    assert code == 0
    assert report["measurements"]["suggested_lr"] is None
    assert "left as it is" in said
    assert (tmp_path / "spec.yaml").read_text() == SPEC


def test_lbfgs_is_said_to_be_meaningless(spec, capsys):
    code, report, _ = asked(capsys, spec, *SHORT, "optimizer=lbfgs", "data.batch_size=full")
    assert code == 0
    assert report["measurements"]["suggested_lr"] is None
    assert report["measurements"]["lr_answer"]["outcome"] == "meaningless"


def test_spoilt_data_are_told_instead_of_a_rate(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rows = "\n".join(f"{i / 10},{'nan' if i == 7 else i % 5},{i % 2}" for i in range(40))
    (tmp_path / "d.csv").write_text(f"a,b,label\n{rows}\n")
    data = "  csv: {path: d.csv, target: label}\n  split: {val: 0.25}\n"
    (tmp_path / "spec.yaml").write_text(
        f"version: 1\ndata:\n{data}model: {{layers: [{{linear: 2}}]}}\nloss: cross_entropy\noptimizer: adam\n"
    )
    code, report, _ = asked(capsys, "spec.yaml")
    assert code == 1
    assert report["findings"][0]["name"] == "non-finite-value"
    assert report["measurements"]["suggested_lr"] is None
    assert report["measurements"]["curve"] == []


@pytest.mark.parametrize("width", [60, 80, 140])
@pytest.mark.parametrize("unicode", [True, False])
def test_the_page_shows_the_curve_its_marks_and_the_answer(spec, width, unicode, capsys):
    _, made, _ = asked(capsys, spec, *SHORT)
    text = TableReporter(Look(width=width, unicode=unicode)).render(Report.from_dict(made))
    assert text.index("Loss by rate") < text.index("By decade") < text.index("Tried") < text.index("Learning rate")
    assert "loss inf" not in text
    lr = made["measurements"]["suggested_lr"]
    assert f"{'▲' if unicode else '^'} {lr:g} suggested" in " ".join(text.split())
    assert all(len(line) <= width for line in text.splitlines()), max(text.splitlines(), key=len)
    assert unicode or text.isascii()
    quiet = TableReporter(Look(width=width, unicode=unicode, detail=Detail.QUIET)).render(Report.from_dict(made))
    assert f"{lr:g}" in quiet
    assert "By decade" not in quiet
