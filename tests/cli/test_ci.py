"""What GitHub and GitLab give a command and take from it."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from dltool.cli.ci import SUMMARY_BYTES, ground
from dltool.cli.emit import Output, emit
from dltool.cli.main import main
from dltool.cli.options import FailOn, Format
from dltool.core.finding import Check, Finding, Severity, Where
from dltool.core.report import Report, RunInfo

HERE = str(Path(__file__).parent)
HOSTILE = "ä‖\udcff\x1b[31m\n𝕏.png"
MACHINES = [form for form in Format if form is not Format.TABLE]


def report(*findings, interrupted=False):
    run = RunInfo(
        seed=0, torch=None, device=None, spec_sha256=None, seconds=0.0, deterministic=True, interrupted=interrupted
    )
    checks = (Check(rule="DAT102", outcome="failed"),)
    return Report(command="scan", target="data", tool_version="0", run=run, findings=findings, checks=checks)


def corrupt(name="a.png", severity=Severity.ERROR):
    where = Where(file=f"data/{name}", key=name)
    return Finding(rule="DAT102", name="corrupt-file", severity=severity, message=f"{name}: cut off", where=where)


@pytest.fixture(autouse=True)
def _no_ci(monkeypatch):
    for name in ("GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE", "CI_PROJECT_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def summary(tmp_path, monkeypatch):
    path = tmp_path / "summary.md"
    path.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    return path


def test_the_summary_grows_by_a_page(summary, capsys):
    assert emit(report(corrupt()), Output(form=Format.GITHUB)) == 1
    emit(report(), Output(form=Format.GITHUB))
    text = summary.read_text()
    assert text.startswith("before\n\n## ✖ dltool scan: 1 error\n")
    assert "\n\n## ✔ dltool scan: no findings\n" in text
    assert capsys.readouterr().out.startswith("::error file=data/a.png,title=corrupt-file (DAT102)::a.png: cut off\n")


@pytest.mark.parametrize("form", [form for form in Format if form is not Format.GITHUB])
def test_other_formats_leave_the_summary_alone(form, summary):
    emit(report(corrupt()), Output(form=form))
    assert summary.read_text() == "before\n"


def test_a_summary_that_is_full_stays_as_it_is(summary, capsys):
    summary.write_text("x" * (SUMMARY_BYTES - 1_000))
    assert emit(report(corrupt()), Output(form=Format.GITHUB)) == 1
    assert summary.stat().st_size == SUMMARY_BYTES - 1_000
    assert "the job summary is full" in capsys.readouterr().err


def test_the_summary_keeps_githubs_limit(summary):
    summary.write_text("x" * (SUMMARY_BYTES - 20_000))
    emit(report(*(corrupt("n" * 200 + str(i)) for i in range(2_000))), Output(form=Format.GITHUB))
    assert SUMMARY_BYTES - 20_000 < summary.stat().st_size <= SUMMARY_BYTES


def test_a_summary_that_cannot_be_written_is_said_and_the_result_stands(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    assert emit(report(corrupt()), Output(form=Format.GITHUB)) == 1
    out, err = capsys.readouterr()
    assert out.startswith("::error ")
    assert err.startswith(f"note: cannot write the job summary {tmp_path}: ")


@pytest.mark.parametrize("name", ["GITHUB_WORKSPACE", "CI_PROJECT_DIR"])
def test_files_are_told_from_the_checkout(name, tmp_path, monkeypatch, capsys):
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    monkeypatch.setenv(name, str(tmp_path))
    emit(report(corrupt()), Output(form=Format.GITLAB))
    assert json.loads(capsys.readouterr().out)[0]["location"]["path"] == "sub/data/a.png"


def test_a_checkout_elsewhere_does_not_count(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path / "there"))
    assert ground().root == ground().here


@pytest.mark.parametrize("fail_on", FailOn)
@pytest.mark.parametrize("severity", Severity)
def test_junit_and_sarif_agree_with_the_exit_code(fail_on, severity, tmp_path):
    for form in (Format.JUNIT, Format.SARIF):
        code = emit(report(corrupt(severity=severity)), Output(form=form, fail_on=fail_on, file=tmp_path / form))
    assert ET.parse(tmp_path / "junit").getroot().get("failures") == str(code)
    (run,) = json.loads((tmp_path / "sarif").read_text())["runs"]
    assert run["invocations"][0]["exitCode"] == code


@pytest.mark.parametrize("form", MACHINES)
def test_a_locale_without_unicode_changes_no_byte(form, tmp_path):
    script = (
        "import sys; sys.path.insert(0, sys.argv[2]); from test_ci import *\n"
        "sys.exit(emit(report(corrupt(HOSTILE)), Output(form=Format(sys.argv[1]))))\n"
    )
    words = [sys.executable, "-c", script, form, HERE]
    environment = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(words, env=environment, capture_output=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, b"")
    emit(report(corrupt(HOSTILE)), Output(form=form, file=tmp_path / "out"))
    assert done.stdout == (tmp_path / "out").read_bytes()
    assert b"\x1b" not in done.stdout
    done.stdout.decode("utf-8")


@pytest.mark.parametrize("form", ["jsonl", "junit", "sarif", "github", "gitlab", "markdown"])
def test_a_reader_that_goes_away_is_no_error(form, tmp_path):
    script = (
        "import sys; sys.path.insert(0, sys.argv[2]); from test_ci import *\n"
        "sys.exit(emit(report(*(corrupt(f'{i}.png') for i in range(3000))), Output(form=Format(sys.argv[1]))))\n"
    )
    words = [sys.executable, "-c", script, form, HERE]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path) as child:
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait() == 1


LOADED = """
import sys
sys.path.insert(0, sys.argv[2])
import test_ci
test_ci.emit(test_ci.report(test_ci.corrupt()), test_ci.Output(form=test_ci.Format(sys.argv[1])))
heavy = {"torch", "numpy", "rich", "jinja2", "yaml"}
sys.stderr.write(" ".join({name.split(".")[0] for name in sys.modules} & heavy))
"""


@pytest.mark.parametrize("form", ["jsonl", "junit", "sarif", "github", "gitlab", "markdown"])
def test_formats_for_machines_load_nothing_heavy(form, tmp_path):
    words = [sys.executable, "-c", LOADED, form, HERE]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stderr == ""


def test_a_scan_speaks_every_format(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "50%, a:b.png").write_bytes(b"")
    for form in MACHINES:
        assert main(["scan", "data", "--no-cache", "--workers", "1", "--format", form, "--output", f"r.{form}"]) == 1
        assert "corrupt-file" in (tmp_path / f"r.{form}").read_text(encoding="utf-8")
    assert capsys.readouterr().out == ""
    first = json.loads((tmp_path / "r.gitlab").read_text())[0]
    assert first["location"]["path"] == "data/50%, a:b.png"
    (run,) = json.loads((tmp_path / "r.sarif").read_text())["runs"]
    uri = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == "data/50%25%2C%20a%3Ab.png"
