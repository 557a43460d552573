"""``dltool init-stats`` from words to page and report."""

import json
import subprocess
import sys

import jsonschema
import pytest
from rich.cells import cell_len

from dltool.cli.main import main
from dltool.core.measured.init_stats import InitLayers
from dltool.core.measurements import Measurements
from dltool.core.report import Report
from dltool.reporters.base import Detail, Look
from dltool.reporters.report_schema import report_schema
from dltool.reporters.table.reporter import TableReporter

SPEC = """\
version: 1
data:
  synthetic: {blobs: {n: 200, features: 4, classes: 3, spread: 0.5}}
  batch_size: 50
model:
  layers: [{linear: 16}, relu, {residual: [{linear: 16}, relu]}, {residual: [{linear: 16}, tanh]}, {linear: 3}]
loss: cross_entropy
optimizer: {adam: {lr: 1e-2}}
"""
WORDS = ["--compare", "normal:1.0,orthogonal,lsuv", "--widths", "8,16,32", "--seeds", "2"]


@pytest.fixture
def spec(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spec.yaml").write_text(SPEC)
    return "spec.yaml"


@pytest.fixture
def report(spec, tmp_path, capsys):
    assert main(["init-stats", spec, *WORDS, "--format", "json", "--output", "r.json", "--fail-on", "never"]) == 0
    assert capsys.readouterr().out == ""
    return json.loads((tmp_path / "r.json").read_text(), parse_constant=pytest.fail)


def test_the_report_fits_its_schema_and_can_be_read_back(report):
    jsonschema.validate(report, report_schema())
    measured = Measurements.from_dict(report["measurements"], "init-stats")
    assert [layer.name for layer in measured[InitLayers].layers][-1] == "4"
    assert measured.to_dict().items() <= report["measurements"].items()


@pytest.mark.parametrize(
    "look",
    [
        Look(width=80),
        Look(width=140, detail=Detail.VERBOSE),
        Look(width=80, unicode=False),
        Look(width=60, detail=Detail.QUIET),
    ],
)
def test_the_page_keeps_to_its_width_and_its_characters(report, look):
    text = TableReporter(look).render(Report.from_dict(report))
    assert max(cell_len(line) for line in text.splitlines()) <= look.width
    assert look.unicode or text.isascii()
    assert "Initialisation to use" in text
    assert "Verdict on the widths" in text
    parts = ("Start, layer by layer", "Histograms", "Initialisations", "Coordinate check", "first loss", "residual")
    assert all((part in text) == (look.detail is not Detail.QUIET) for part in parts)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--compare", "kaimin_normal"], "did you mean 'kaiming_normal'"),
        (["--compare", "normal:-1"], "normal cannot start so"),
        (["--widths", "64"], "two or more"),
        (["--widths", "a,b"], "whole numbers"),
        (["--select", "vanishing"], "no rule has this id"),
        (["optimizer=lbfgs", "--widths", "8,16"], "searches for its own steps"),
        (["data.batch_size=1"], "two samples"),
    ],
)
def test_mistakes_are_2_without_a_traceback(spec, words, said, capsys):
    assert main(["init-stats", spec, *words]) == 2
    err = " ".join(capsys.readouterr().err.split())
    assert said in err
    assert "Traceback" not in err


def test_findings_decide_the_exit_code(spec, capsys):
    words = ["init-stats", spec, "model.init={constant: {val: 0.1}}"]
    assert main(words) == 1
    assert "symmetric-units" in capsys.readouterr().out


def test_the_published_schema_knows_the_sections_of_this_command(report):
    written = subprocess.run(
        [sys.executable, "-m", "dltool", "schema", "--report"], capture_output=True, check=True, text=True
    ).stdout
    jsonschema.validate(report, json.loads(written))
    assert set(report["measurements"]) <= set(json.loads(written)["properties"]["measurements"]["properties"])
