"""``dltool train`` from words to report, on a net that trains in a moment."""

import json
import os
import signal
import subprocess
import sys
import time

import jsonschema
import pytest

from dltool.cli.main import main
from dltool.reporters.report_schema import report_schema

SPEC = """\
version: 1
seed: 0
data:
  synthetic: {blobs: {n: 200, features: 2, classes: 3, spread: 0.5}}
  split: {val: 0.25, stratify: true}
  batch_size: 32
model: {layers: [{linear: 16}, relu, {linear: 3}]}
loss: cross_entropy
metrics: [accuracy]
optimizer: {adam: {lr: 1e-2}}
train: {epochs: 10}
"""


@pytest.fixture
def spec(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spec.yaml").write_text(SPEC)
    return "spec.yaml"


def test_the_report_fits_its_schema_and_is_the_one_in_the_run_folder(spec, tmp_path, capsys):
    words = ["train", spec, "--format", "json", "train.epochs=3", "--output", "r.json", "seed=4", "--fail-on", "never"]
    assert main(words) == 0
    assert capsys.readouterr().out == ""
    text = (tmp_path / "r.json").read_text()
    assert (tmp_path / "runs/spec-1/report.json").read_text() == text
    report = json.loads(text, parse_constant=pytest.fail)
    jsonschema.validate(report, report_schema())
    assert report["run"]["seed"] == 4
    assert len(report["measurements"]["history"]["epochs"]) == 3
    assert {"fit_status", "history", "layers"} <= set(report["measurements"])


def test_the_page_ends_with_the_verdict(spec, capsys):
    assert main(["train", spec, "--epochs", "4", "--run", "here", "--fail-on", "never"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("dltool train  spec.yaml\nseed 0 · cpu · torch")
    assert out.index("Layers") < out.index("Loss by epoch") < out.index("Verdict")


def test_findings_decide_the_exit_code(spec, capsys):
    assert main(["train", spec, "optimizer.adam.lr=1e-7", "--epochs", "5", "--run", "a", "--fail-on", "warning"]) == 1
    assert "learning-rate-too-low" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere.yaml"], "nowhere.yaml"),
        (["spec.yaml", "modle=1"], "did you mean 'model'"),
        (["spec.yaml", "--select", "dead-rellu"], "dead-relu"),
        (["spec.yaml", "--device", "tpu9"], "device"),
        (["nowhere.py:make"], "nowhere.py"),
        (["spec"], "spec"),
    ],
)
def test_what_cannot_be_run_is_2_without_a_traceback(spec, words, said, capsys):
    assert main(["train", *words]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert said in err
    assert "Traceback" not in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_reports_what_is_known(spec, tmp_path, number):
    command = [sys.executable, "-m", "dltool", "train", spec, "--epochs", "100000", "--run", "r", "--format", "json"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as child:
        metrics = tmp_path / "r/metrics.jsonl"
        for _ in range(600):
            if metrics.is_file() and metrics.stat().st_size:
                break
            time.sleep(0.05)
        os.kill(child.pid, number)
        out, err = child.communicate(timeout=60)
    assert child.returncode == 130, err.decode()
    report = json.loads(out)
    assert report["run"]["interrupted"] is True
    assert report["measurements"]["history"]["epochs"]
    assert "Traceback" not in err.decode()


def test_an_interruption_while_loading_breaks_nothing(spec):
    command = [sys.executable, "-X", "importtime", "-m", "dltool", "train", spec, "--epochs", "1"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True) as child:
        assert child.stderr is not None
        # importtime names a module once it is there: the first ones of numpy long before the last
        assert any("numpy" in line for line in iter(child.stderr.readline, ""))
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
    assert (child.returncode, out) == (130, "")
    assert "Traceback" not in err
    assert "dltool failed" not in err
