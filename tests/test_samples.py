"""Every sample configuration does what its header promises: the diseased are named, the healthy stay silent."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch

from dltool.cli.main import main
from dltool.core.finding import Severity
from dltool.core.report import Report
from dltool.diagnostics.train import TrainOptions, run

SAMPLES = Path(__file__).parents[1] / "sample_configs"
HEALTHY = sorted(SAMPLES.glob("healthy/*.yaml"))
BROKEN = sorted(SAMPLES.glob("broken/*.yaml"))
BROKEN_CODE = sorted(SAMPLES.glob("broken/*.py"))


def expected(path: Path) -> list[str]:
    """The findings that a sample's header names after "Expect:"."""
    line = next(line for line in path.read_text().splitlines() if line.startswith("# Expect: "))
    return [name.strip() for name in line.removeprefix("# Expect: ").split(",")]


def diagnose(path: Path, tmp_path: Path) -> Report:
    torch.set_num_threads(1)
    return run(str(path), TrainOptions(run_dir=str(tmp_path / "run")))


def test_there_are_samples() -> None:
    assert len(HEALTHY) >= 9
    assert len(BROKEN) >= 12


@pytest.mark.parametrize("path", HEALTHY, ids=lambda path: path.stem)
def test_healthy_samples_stay_silent(path: Path, tmp_path: Path) -> None:
    report = diagnose(path, tmp_path)
    assert [f.name for f in report.findings if f.severity.rank >= Severity.WARNING.rank] == []
    assert report.measurements["fit_status"] == "good-fit"


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_broken_samples_are_named_with_the_cause_first(path: Path, tmp_path: Path) -> None:
    report = diagnose(path, tmp_path)
    names = [f.name for f in report.findings]
    assert names[0] == expected(path)[0], names
    assert set(expected(path)) <= set(names)


@pytest.mark.parametrize("path", HEALTHY + BROKEN, ids=lambda path: path.stem)
def test_headers_give_the_schema_and_the_command_that_runs_them(path: Path) -> None:
    modeline, command, *_ = path.read_text().splitlines()
    assert modeline == "# yaml-language-server: $schema=../../docs/spec.schema.json"
    assert command.startswith(f"# dltool train sample_configs/{path.parent.name}/{path.name}")


@pytest.mark.parametrize("path", BROKEN_CODE, ids=lambda path: path.stem)
def test_broken_code_is_named_by_the_command_in_its_header(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(SAMPLES, tmp_path / "sample_configs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    command = path.read_text().splitlines()[0].removeprefix("# ").split()
    assert command[0] == "dltool"
    assert command[-1] == f"sample_configs/broken/{path.name}:make"
    main([*command[1:], "--format", "json"])
    report = json.loads(capsys.readouterr().out)
    assert [finding["name"] for finding in report["findings"]] == expected(path)
