import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dltool.cli.emit import Output, emit, exit_code, write
from dltool.cli.options import FailOn, Format
from dltool.core.errors import OutputError
from dltool.core.finding import Finding, Severity
from dltool.core.report import Report, RunInfo


def report(*severities, interrupted=False, message="m"):
    found = tuple(Finding(rule="FIT101", name="underfitting", severity=s, message=message) for s in severities)
    run = RunInfo(
        seed=0, torch=None, device=None, spec_sha256=None, seconds=0.0, deterministic=True, interrupted=interrupted
    )
    return Report(command="train", target="x.yaml", tool_version="0", run=run, findings=found)


@pytest.mark.parametrize(
    ("severities", "fail_on", "code"),
    [
        ((), FailOn.INFO, 0),
        ((Severity.INFO,), FailOn.INFO, 1),
        ((Severity.INFO,), FailOn.WARNING, 0),
        ((Severity.INFO, Severity.WARNING), FailOn.WARNING, 1),
        ((Severity.WARNING,), FailOn.ERROR, 0),
        ((Severity.ERROR,), FailOn.ERROR, 1),
        ((Severity.ERROR,), FailOn.NEVER, 0),
    ],
)
def test_the_exit_code_follows_from_the_gravest_finding(severities, fail_on, code):
    assert exit_code(report(*severities), fail_on) == code


@pytest.mark.parametrize("fail_on", FailOn)
def test_an_interrupted_run_is_130_whatever_it_found(fail_on):
    assert exit_code(report(Severity.ERROR, interrupted=True), fail_on) == 130


@pytest.mark.parametrize("form", Format)
def test_every_format_is_written(form, capfd):
    assert emit(report(Severity.ERROR), Output(form=form)) == 1
    out, err = capfd.readouterr()
    assert "underfitting" in out
    assert err == ""


def test_json_on_stdout_is_json_whatever_its_width_and_encoding(monkeypatch):
    bytes_out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(bytes_out, encoding="ascii"))
    emit(report(Severity.ERROR, message="ä‖w‖ " * 60), Output(form=Format.JSON))
    assert json.loads(bytes_out.getvalue().decode("utf-8"))["findings"][0]["message"].startswith("ä‖w‖")


def test_a_table_for_an_ascii_terminal_is_ascii(monkeypatch):
    bytes_out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(bytes_out, encoding="ascii"))
    emit(report(Severity.ERROR, message="‖w‖ too large in größe.py"), Output())
    assert rb"|w| too large in gr\xf6\xdfe.py" in bytes_out.getvalue()


def test_a_file_takes_the_result_and_stdout_stays_empty(tmp_path, capfd):
    path = tmp_path / "report.json"
    path.write_text("older")
    emit(report(), Output(form=Format.JSON, file=path))
    assert json.loads(path.read_text())["schema_version"] == 1
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_for_people_has_no_escape_codes(tmp_path, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    path = tmp_path / "report.txt"
    emit(report(Severity.ERROR), Output(file=path))
    assert "\x1b" not in path.read_text()


def test_a_new_file_has_the_usual_permissions(tmp_path):
    old = os.umask(0o022)
    try:
        write("x", Output(file=tmp_path / "x"))
    finally:
        os.umask(old)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o644


def test_a_full_disk_is_the_users_to_mend():
    with pytest.raises(OutputError, match="cannot write /dev/full: No space left on device"):
        write("x" * 100_000, Output(file=Path("/dev/full")))


def test_what_cannot_be_written_leaves_the_old_file(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("older")
    with pytest.raises(OutputError):
        write("x", Output(file=path / "below-a-file"))
    assert path.read_text() == "older"


def test_colour_follows_the_environment(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TERM"):
        monkeypatch.delenv(name, raising=False)
    assert Output().look().color_system is None
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert Output().look().color_system is not None
    monkeypatch.setenv("NO_COLOR", "1")
    assert Output().look().no_color
    monkeypatch.setenv("TERM", "dumb")
    assert Output().look().color_system is None


def test_a_reader_that_goes_away_is_no_error():
    script = "from dltool.cli.emit import Output, write\nwrite('line\\n' * 200_000, Output())\n"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        child.stdout.readline()
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait() == 0


def test_a_full_stdout_is_told():
    script = "import sys\nfrom dltool.cli.main import main\nsys.exit(main(['schema', '--report']))\n"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-c", script], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: cannot write to stdout: No space left")
