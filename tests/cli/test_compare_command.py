"""compare as it is typed: exit codes, every format, every wrong kind of file, and two real trainings."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from dltool.cli.main import main

ROOT = Path(__file__).parents[2]
IRIS = str(ROOT / "sample_configs/healthy/iris_mlp.yaml")
HEALTHY = ROOT / "tests/diagnostics/compared/healthy.json"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three trainings: a healthy one, another seed, and a dead layer."""
    from dltool.diagnostics.train import TrainOptions, run

    folder = tmp_path_factory.mktemp("runs")
    dead = "model.layers.0={linear: {out_features: 16, init: {weight: {normal: {std: 0.01}}, bias: {constant: {val: -5}}}}}"
    for name, options in {"healthy": {}, "seed": {"seed": 1}, "dead": {"overrides": (dead,)}}.items():
        run(IRIS, TrainOptions(epochs=15, run_dir=str(folder / name), **options))
    return folder


def test_another_seed_is_no_regression_and_a_dead_layer_is(runs, capsys):
    healthy = str(runs / "healthy")
    assert main(["compare", healthy, str(runs / "seed")]) == 0
    assert "nothing got worse" in capsys.readouterr().out
    assert main(["compare", healthy, str(runs / "dead/report.json"), "--format", "json"]) == 1
    report = json.loads(capsys.readouterr().out)
    names = {finding["name"] for finding in report["findings"]}
    assert {"loss-regressed", "idle-units-grew", "flow-changed"} <= names
    assert {side["kind"] for side in report["measurements"]["sides"].values() if isinstance(side, dict)} == {
        "run folder", "report",
    }  # fmt: skip
    assert main(["compare", str(runs / "dead"), healthy]) == 0


def test_itself_is_no_difference(runs, capsys):
    assert main(["compare", str(runs / "dead"), str(runs / "dead"), "--fail-on", "info"]) == 0
    assert "no difference" in capsys.readouterr().out


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("detail", [[], ["--quiet"], ["--verbose"]])
def test_the_page_fits_its_terminal(runs, width, detail, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    main(["compare", str(runs / "healthy"), str(runs / "dead"), *detail])
    page = capsys.readouterr().out
    assert max(map(len, page.splitlines())) <= width
    assert "loss-regressed" in page
    if not detail:
        assert "Validation loss by epoch" in page
        assert "before" in page


@pytest.mark.parametrize("form", ["json", "jsonl", "junit", "sarif", "github", "gitlab", "markdown", "table"])
def test_every_format_tells_the_regression(runs, form, tmp_path, monkeypatch):
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    out = tmp_path / "out"
    assert main(["compare", str(runs / "healthy"), str(runs / "dead"), "--format", form, "--output", str(out)]) == 1
    text = out.read_text()
    assert "loss-regressed" in text
    if form == "junit":
        failed = {case.get("name") for case in ET.fromstring(text).iter("testcase") if case.find("failure") is not None}
        assert "CMP101 loss-regressed" in failed
    elif form in {"json", "sarif", "gitlab"}:
        json.loads(text)


def test_the_report_follows_its_schema(runs, capsys):
    import jsonschema

    main(["compare", str(runs / "healthy"), str(runs / "dead"), "--format", "json"])
    report = json.loads(capsys.readouterr().out)
    main(["schema", "--report"])
    jsonschema.validate(report, json.loads(capsys.readouterr().out))


def test_fail_on_and_a_baseline_of_its_own(runs, tmp_path, capsys):
    command = ["compare", str(runs / "healthy"), str(runs / "dead")]
    assert main([*command, "--fail-on", "never"]) == 0
    known = str(tmp_path / "known.json")
    assert main([*command, "--write-baseline", known]) == 0
    assert main([*command, "--baseline", known]) == 0
    capsys.readouterr()


def write(folder: Path, content: bytes | str) -> str:
    path = folder / "side.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


TEXT = HEALTHY.read_text()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "is empty"),
        ("{}", "no report of dltool"),
        ("[]", "JSON list, such as --format gitlab writes"),
        ("3", "no report of dltool"),
        ("hello", "is no JSON"),
        (b"\xff\xfe\x00PK\x03", "no text in UTF-8"),
        (TEXT[: len(TEXT) // 2], "cut off"),
        ("{" + TEXT, "no valid JSON"),
        ("[" * 100_000, "nested too deep"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "nested too deep"),
        ('<?xml version="1.0"?><testsuites/>', "is XML, such as --format junit writes"),
        ('{"$schema": "x", "version": "2.1.0", "runs": []}', "is SARIF"),
        ('{"type": "report"}\n{"type": "finding"}\n', "is JSONL"),
        ('{"type": "report", "schema_version": 1}\n', "is JSONL"),
        ("::error file=a::b\n", "--format github writes"),
        ('{"schema_version": 1, "measurements": {}}', "it has no 'command'"),
        ('{"schema_version": 9, "measurements": {}}', "version 9 of its schema"),
        ('{"schema_version": 1, "kind": "dltool-baseline"}', "is not a list"),
        (json.dumps(json.loads(TEXT) | {"findings": [{"severity": "dire"}]}), "no whole report"),
    ],
)
def test_what_is_no_report_is_told_with_what_it_is(tmp_path, content, told, capsys):
    assert main(["compare", str(HEALTHY), write(tmp_path, content)]) == 2
    said = capsys.readouterr().err
    assert told in said
    assert "Traceback" not in said


def test_folders_that_are_no_run(runs, tmp_path, capsys):
    empty, half = tmp_path / "empty", tmp_path / "half"
    empty.mkdir()
    half.mkdir()
    (half / "metrics.jsonl").write_text('{"epoch": 0}\n')
    assert main(["compare", str(empty), str(half)]) == 2
    said = capsys.readouterr().err
    assert "is an empty folder" in said
    assert "a run that has not ended" in said
    assert "--resume" in said
    assert main(["compare", str(runs), str(HEALTHY)]) == 2
    said = capsys.readouterr().err
    assert "holds 3 runs: dead, healthy, seed" in said
    assert "the newest is" in said


def test_missing_sides_are_both_told(tmp_path, capsys):
    assert main(["compare", str(tmp_path / "one.json"), str(tmp_path / "two.json")]) == 2
    said = capsys.readouterr().err
    assert "one.json" in said
    assert "two.json" in said
    assert main(["compare", "a\0b", str(HEALTHY)]) == 2
    assert main(["compare", str(HEALTHY), str(HEALTHY), "--output", str(HEALTHY)]) == 2


def test_a_file_too_large_is_not_read(tmp_path, capsys, monkeypatch):
    from dltool.diagnostics.compare import read

    monkeypatch.setattr(read, "LARGEST_BYTES", 1000)
    assert main(["compare", str(HEALTHY), str(HEALTHY)]) == 2
    assert "more than 1,000 bytes" in capsys.readouterr().err


def test_it_takes_little_time():
    """Processor time of the whole command; the import of torch alone would take three times the limit."""
    code = "import sys, time; from dltool.cli.main import main; main(sys.argv[1:]); print(time.process_time())"
    command = [sys.executable, "-c", code, "compare", str(HEALTHY), str(HEALTHY), "-q"]
    seconds = []
    for _ in range(3):
        began_s = time.perf_counter()
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
        seconds.append(min(time.perf_counter() - began_s, float(done.stdout.splitlines()[-1])))
    assert min(seconds) < 1.5
