"""``train`` from target to report: determinism, resume, data that spoil a run, factories, interruption."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from dltool.core.errors import UserError
from dltool.core.measurements import Measurements
from dltool.core.report import Report
from dltool.diagnostics.train import TrainOptions, run
from dltool.rules.select import judge
from dltool.training.stop import StopFlag

ROOT = Path(__file__).parents[2]
DIGITS = str(ROOT / "sample_configs/healthy/digits_mlp.yaml")
IRIS = str(ROOT / "sample_configs/healthy/iris_mlp.yaml")


def without_timing(report: Report) -> str:
    data = report.to_dict()
    return json.dumps(untimed(data))


def untimed(data: dict[str, Any]) -> dict[str, Any]:
    data["run"].pop("seconds")
    data["measurements"].pop("speed", None)
    return data


def names(report: Report) -> list[str]:
    return [finding.name for finding in report.findings]


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    first = run(IRIS, TrainOptions(run_dir=str(tmp_path / "a"), epochs=3))
    second = run(IRIS, TrainOptions(run_dir=str(tmp_path / "b"), epochs=3))
    assert without_timing(first) == without_timing(second)
    other = run(IRIS, TrainOptions(run_dir=str(tmp_path / "c"), epochs=3, seed=1))
    assert without_timing(other) != without_timing(first)


def test_the_run_folder_is_complete_and_its_report_is_the_report(tmp_path: Path) -> None:
    report = run(IRIS, TrainOptions(run_dir=str(tmp_path / "run"), epochs=3))
    folder = tmp_path / "run"
    assert {p.name for p in folder.iterdir()} == {
        "report.json", "metrics.jsonl", "spec.yaml", "best.safetensors", "last.safetensors", "state.safetensors",
    }  # fmt: skip
    assert json.loads((folder / "report.json").read_text()) == report.to_dict()
    assert len((folder / "metrics.jsonl").read_text().splitlines()) == 3
    again = run(str(folder / "spec.yaml"), TrainOptions(run_dir=str(tmp_path / "again")))
    assert again.measurements["history"] == report.measurements["history"]


def test_a_saved_report_can_be_judged_again(tmp_path: Path) -> None:
    report = run(
        str(ROOT / "sample_configs/broken/symmetric_init.yaml"), TrainOptions(run_dir=str(tmp_path / "run"), epochs=4)
    )
    saved = json.loads((tmp_path / "run/report.json").read_text())
    findings, checks = judge(Measurements.from_dict(saved["measurements"]))
    assert [f.name for f in findings] == names(report)
    assert [c.outcome for c in checks] == [c["outcome"] for c in saved["checks"]]


def test_a_killed_run_resumes_to_the_same_report(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    command = [sys.executable, "-m", "dltool", "train", DIGITS, "train.epochs=150", "--format", "json", "--quiet"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    first = subprocess.run([*command, "--run", str(whole)], capture_output=True, env=environment, check=False)
    assert first.returncode == 0, first.stderr.decode()
    process = subprocess.Popen([*command, "--run", str(killed)], stdout=subprocess.DEVNULL, env=environment)
    deadline = time.monotonic() + 60
    while not (killed / "state.safetensors").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the run ended before it could be killed"
    resumed = subprocess.run([*command, "--run", str(killed), "--resume"], capture_output=True, env=environment, check=False)
    assert resumed.returncode == 0, resumed.stderr.decode()
    one, two = (json.loads((folder / "report.json").read_text()) for folder in (whole, killed))
    assert untimed(one) == untimed(two)
    for name in ("last", "best"):
        a, b = (load_file(folder / f"{name}.safetensors") for folder in (whole, killed))
        assert a.keys() == b.keys()
        assert all(torch.equal(a[key], b[key]) for key in a)
    assert (whole / "metrics.jsonl").read_bytes() == (killed / "metrics.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda x, y: x.__setitem__((3, 1), np.nan), "non-finite-value"),
        (lambda x, y: x.__setitem__((3, 1), np.inf), "non-finite-value"),
        (lambda x, y: y.__iadd__(1), "labels-not-zero-based"),
        (lambda x, y: y.__setitem__(5, 7), "label-out-of-range"),
    ],
)
def test_data_that_spoil_a_run_are_found_before_the_first_step(tmp_path: Path, change, expected: str) -> None:
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(60, 4)).astype(np.float32), generator.integers(0, 3, 60)
    y[:3] = 0, 1, 2
    change(x, y)
    np.savez(tmp_path / "data.npz", x=x, y=y)
    spec = tmp_path / "spec.yaml"
    spec.write_text("data: {npz: data.npz, split: {val: 0.2}}\nmodel: {layers: [{linear: 3}]}\nloss: cross_entropy\n")
    report = run(str(spec), TrainOptions(run_dir=str(tmp_path / "run")))
    assert names(report)[0] == expected
    assert report.measurements["fit_status"] == "inconclusive"
    assert "history" not in report.measurements
    assert (tmp_path / "run/report.json").exists()


FACTORY = """
import torch
from torch import nn

def make():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(256, 8, generator=generator)
    y = (x[:, 0] + x[:, 1] > 0).long()
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
    return {"model": model, "batches": [(a, b) for a, b in zip(x.split(32), y.split(32))], "loss": nn.CrossEntropyLoss(),
            "val_batches": [(x, y)]}
"""


def test_a_factory_is_trained_and_its_assumptions_are_told(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(FACTORY)
    report = run(f"{tmp_path / 'net.py'}:make", TrainOptions(run_dir=str(tmp_path / "run"), epochs=30))
    assert {f.name for f in report.findings} <= {"not-converged"}
    assert any("AdamW" in sentence for sentence in report.run.assumptions)
    assert report.measurements["task"]["kind"] == "classification"
    assert {layer["name"] for layer in report.measurements["layers"]} == {"0", "1", "2"}


def test_an_interrupted_run_reports_what_is_known(tmp_path: Path) -> None:
    stop = StopFlag()
    stop.interrupt()
    report = run(IRIS, TrainOptions(run_dir=str(tmp_path / "run"), stop=stop))
    assert report.run.interrupted
    assert report.measurements["optimisation"]["stopped"] == "interrupted"
    assert (tmp_path / "run/report.json").exists()


def test_a_timeout_ends_a_run_without_calling_it_interrupted(tmp_path: Path) -> None:
    report = run(DIGITS, TrainOptions(run_dir=str(tmp_path / "run"), epochs=100_000, timeout_s=3.0))
    assert not report.run.interrupted
    assert report.measurements["optimisation"]["stopped"] == "timeout"


def test_findings_point_at_the_line_of_the_spec(tmp_path: Path) -> None:
    report = run(
        str(ROOT / "sample_configs/broken/saturated_tanh.yaml"), TrainOptions(run_dir=str(tmp_path / "run"), epochs=4)
    )
    where = next(f.where for f in report.findings if f.name == "saturated-activation")
    assert where.key == "model.layers.2"
    assert where.file is not None
    line = Path(where.file).read_text().splitlines()[(where.line or 0) - 1]
    assert "tanh" in line


def test_causes_stay_linked_when_findings_get_their_place(tmp_path: Path) -> None:
    report = run(
        str(ROOT / "sample_configs/broken/deep_sigmoid.yaml"), TrainOptions(run_dir=str(tmp_path / "run"), epochs=4)
    )
    known = [f.fingerprint for f in report.findings]
    for index, finding in enumerate(report.findings):
        assert finding.caused_by is None or finding.caused_by in known[:index]


def test_unknown_rules_are_told_before_any_training(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no rule"):
        run(IRIS, TrainOptions(run_dir=str(tmp_path / "run"), select=("GRD1O3",)))


def test_a_run_is_never_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run(IRIS, TrainOptions(run_dir=str(folder), epochs=2))
    before = (folder / "report.json").read_bytes()
    with pytest.raises(UserError, match="not empty"):
        run(IRIS, TrainOptions(run_dir=str(folder), epochs=2))
    assert (folder / "report.json").read_bytes() == before


def test_a_refused_resume_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run(IRIS, TrainOptions(run_dir=str(folder), epochs=2))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(UserError, match="lr"):
        run(IRIS, TrainOptions(run_dir=str(folder), epochs=2, resume=True, overrides=("optimizer.adam.lr=0.5",)))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_the_terminal_run_leaves_the_spec_folder_alone(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "sample_configs", tmp_path / "configs")
    before = sorted(p.name for p in (tmp_path / "configs").rglob("*"))
    run(str(tmp_path / "configs/healthy/iris_mlp.yaml"), TrainOptions(run_dir=str(tmp_path / "run"), epochs=2))
    assert sorted(p.name for p in (tmp_path / "configs").rglob("*")) == before
