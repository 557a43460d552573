"""``dltool nan-hunt`` from words to report."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest

from dltool.cli.main import main
from dltool.reporters.report_schema import report_schema

NET = '''\
import torch
from torch import nn


class Front(nn.Module):
    def __init__(self):
        super().__init__()
        self.window = nn.Parameter(torch.ones(4))

    def forward(self, x):
        return torch.log((x * self.window).abs().sum(1, keepdim=True)) * x


def data(n=12):
    g = torch.Generator().manual_seed(0)
    return [(torch.randn(8, 4, generator=g), torch.randint(0, 3, (8,), generator=g)) for _ in range(n)]


def model():
    return nn.Sequential(Front(), nn.Linear(4, 3))


def healthy():
    return {"model": nn.Linear(4, 3), "batches": data(), "loss": nn.CrossEntropyLoss()}


def broken():
    batches = data()
    batches[3][0][5] = 0.0
    return {"model": model(), "batches": batches, "loss": nn.CrossEntropyLoss()}


def rare():
    """One bad sample in four hundred batches."""
    batches = data(400)
    batches[317][0][2] = 0.0
    return {"model": model(), "batches": batches, "loss": nn.CrossEntropyLoss()}


class Raises(nn.Linear):
    def forward(self, x):
        raise KeyError("no such layer")


class RaisesLater(nn.Linear):
    calls = 0

    def forward(self, x):
        self.calls += 1
        if self.calls > 4:
            raise KeyError("no such layer")
        return super().forward(x)


def raises():
    return {"model": Raises(4, 3), "batches": data()}


def raises_later():
    return {"model": RaisesLater(4, 3), "batches": data()}


def vector():
    return {"model": model(), "batches": data(), "loss": nn.CrossEntropyLoss(reduction="none")}


def ends():
    return {"model": model(), "batches": iter(data(3)), "epoch_steps": 10}


def none_later():
    once = iter(data(3))
    return {"model": model(), "batches": lambda n: once}


def nothing():
    return {"model": model(), "batches": iter([])}


def wrong():
    return {"modle": model()}


def number():
    return 3


def slow():
    class Slow(nn.Linear):
        def forward(self, x):
            import time

            time.sleep(0.02)
            return super().forward(x)

    return {"model": Slow(4, 3), "batches": data()}
'''
SPEC = """\
version: 1
seed: 0
data:
  synthetic: {blobs: {n: 64, features: 2, classes: 3, spread: 0.5}}
  batch_size: 16
model: {layers: [{linear: 8}, relu, {linear: 3}]}
loss: cross_entropy
optimizer: {sgd: {lr: 1e-2}}
train: {epochs: 3}
"""
SLOW = ["net.py:slow", "--steps", "100000", "--format", "json"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "spec.yaml").write_text(SPEC)
    return tmp_path


def hunt(*words):
    return main(["nan-hunt", *words])


def report(*words):
    """The exit code and the report, which fits the schema."""
    code = hunt(*words, "--format", "json", "--output", "r.json")
    made = json.loads(Path("r.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    jsonschema.validate(made, report_schema())
    return code, made


def test_a_healthy_run_is_0_and_takes_100_steps(capsys):
    assert hunt("net.py:healthy") == 0
    out = capsys.readouterr().out
    assert out.startswith("dltool nan-hunt  net.py:healthy\nseed 0 · cpu · torch")
    assert "100 steps" in out
    assert "no findings" in out


def test_a_spec_runs_its_own_epochs_and_its_resolved_form_is_kept(here):
    code, made = report("spec.yaml", "optimizer.sgd.lr=1e-3")
    assert (code, made["measurements"]["steps_run"], made["measurements"]["first_bad_step"]) == (0, 12, None)
    assert "0.001" in (here / "runs/spec-1/spec.yaml").read_text()


@pytest.mark.parametrize("detail", [[], ["--quiet"], ["--verbose"]])
def test_a_finding_is_1_and_on_one_line(detail, capsys):
    assert hunt("net.py:broken", *detail) == 1
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("net.py:11: ")]
    assert line.startswith("net.py:11: NAN104 non-finite-forward: ")


def test_the_report_is_the_one_in_the_run_folder_beside_the_evidence(here):
    code, made = report("net.py:broken")
    assert code == 1
    assert made["measurements"]["first_bad_step"] == 3
    assert made["findings"][0]["where"] | {"phase": "forward", "op": "log", "samples": [5]} == made["findings"][0]["where"]
    assert json.loads((here / "runs/net-1/report.json").read_text()) == made
    assert {path.name for path in (here / "runs/net-1/nan").iterdir()} == {"batch.pt", "state.pt", "replay.py"}


def test_the_same_seed_gives_the_same_bytes():
    first, second = (report("net.py:broken", "--run", name)[1] for name in ("a", "b"))
    for made, name in ((first, "a"), (second, "b")):
        made["run"].pop("seconds")
        assert made["measurements"].pop("evidence") == f"{name}/nan"
    assert json.dumps(first) == json.dumps(second)


def test_a_value_that_goes_bad_once_in_hundreds_of_steps_is_found():
    code, made = report("net.py:rare", "--steps", "400", "--snapshot-every", "50")
    assert code == 1
    assert made["measurements"]["first_bad_step"] == 317
    assert made["findings"][0]["where"]["samples"] == [2]
    assert made["measurements"]["guarding"]["snapshot_every"] == 50


def test_inputs_only_takes_no_step(capsys):
    assert hunt("net.py:broken", "--inputs-only") == 1
    out = capsys.readouterr().out
    assert "96 samples in 12 batches passed" in out
    assert "    3  5        log in module 0" in out
    code, made = report("net.py:broken", "--inputs-only")
    assert (code, made["measurements"]["bad_inputs"]["batches"][0]["samples"]) == (1, [5])
    assert hunt("net.py:healthy", "--inputs-only") == 0


def test_fixes_are_tried_and_told(capsys):
    assert hunt("net.py:broken", "--fix-check", "--steps", "10") == 1
    assert "without sample 5" in capsys.readouterr().out


def test_what_may_be_decides_the_exit_code():
    assert hunt("net.py:broken", "--fail-on", "never", "--run", "a") == 0
    assert hunt("net.py:broken", "--ignore", "NAN", "--run", "b") == 0
    assert hunt("net.py:broken", "--select", "NAN104", "--run", "c") == 1
    assert hunt("net.py:broken", "--steps", "3", "--run", "d") == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["net.py:raises"], "no such layer"),
        (["net.py:raises_later"], "no such layer"),
        (["net.py:raises", "--inputs-only"], "no such layer"),
        (["net.py:vector"], "the loss must be one number"),
        (["net.py:ends"], "3 batches"),
        (["net.py:none_later"], "none"),
        (["net.py:nothing"], "no batch"),
        (["net.py:wrong"], "did you mean 'model'"),
        (["net.py:number"], "int"),
        (["net.py:brokn"], "did you mean 'broken'"),
        (["nowhere.py:make"], "nowhere.py"),
        (["spec.yaml", "modle=1"], "did you mean 'model'"),
        (["net.py:broken", "x=1"], "a factory has none"),
        (["net.py:broken", "--device", "tpu9"], "device"),
        (["net.py:broken", "--select", "NAN1066"], "NAN106"),
        (["net.py:broken", "--run", "."], "not empty"),
    ],
)  # fmt: skip
def test_what_cannot_be_run_is_2_without_a_traceback(words, said, capsys):
    assert hunt(*words) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert said in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


def test_cuda_without_one_is_2(monkeypatch, capsys):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert hunt("net.py:broken", "--device", "cuda") == 2
    assert "no CUDA device" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--steps", "5"], ["--fix-check"], ["--snapshot-every", "3"]])
def test_what_inputs_only_leaves_no_room_for_is_2(words, capsys):
    assert hunt("net.py:broken", "--inputs-only", *words) == 2
    assert "takes no steps" in capsys.readouterr().err


def test_a_deadline_ends_it_in_good_order():
    code, made = report(*SLOW[:3], "--timeout", "1")
    assert code == 0
    assert 0 < made["measurements"]["steps_run"] < made["measurements"]["steps_planned"] == 100000
    assert made["run"]["interrupted"] is False


def test_an_interrupted_hunt_reports_what_is_known(here):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "CI": "1"}
    command = [sys.executable, "-m", "dltool", "nan-hunt", *SLOW, "--run", "r"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as child:
        for _ in range(600):
            if (here / "r").is_dir():
                break
            time.sleep(0.05)
        time.sleep(0.5)
        os.kill(child.pid, signal.SIGTERM)
        out, err = child.communicate(timeout=60)
    assert child.returncode == 130, err.decode()
    made = json.loads(out)
    assert made["run"]["interrupted"] is True
    assert made["measurements"]["first_bad_step"] is None
    assert "Traceback" not in err.decode()


def test_a_dumb_terminal_gets_letters_only(capsys, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    hunt("net.py:broken")
    assert "\x1b" not in capsys.readouterr().out
