import os
import signal
import subprocess
import sys
import time

import pytest

from dltool.cli.main import main
from dltool.core.errors import Location, Problem, SpecError
from dltool.core.version import VERSION

SCHEMA = "dltool.reporters.report_schema.report_schema"


def raising(error):
    def fail():
        raise error

    return fail


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"dltool {VERSION}\n"


def test_help_lists_every_command_on_one_line_each(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert "..." not in out.split("Commands:")[1]
    assert "Exit codes: 0" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trian", "x.yaml"], "Did you mean 'train'?"),
        (["train"], "Missing argument 'TARGET'"),
        (["train", "x.yaml", "--epochs", "0"], "--epochs"),
        (["train", "x.yaml", "--steps", "-1"], "--steps"),
        (["train", "x.yaml", "--seed", "one"], "--seed"),
        (["train", "x.yaml", "--timeout", "nan"], "nan is not a time"),
        (["train", "x.yaml", "--timeout", "0"], "0 is not a time"),
        (["train", "x.yaml", "--format", "yaml"], "--format"),
        (["rules", "--format", "sarif"], "--format"),
        (["train", "x.yaml", "--fail-on", "never ever"], "--fail-on"),
        (["train", "x.yaml", "--output", "no/such/folder/report.json"], "the folder no/such/folder does not exist"),
        (["train", "x.yaml", "--output", "/"], "is a folder"),
        (["train", "x.yaml", "--output", "./x.yaml"], "would overwrite the target"),
        (["train", "./net.py:build", "--output", "net.py"], "would overwrite the target"),
        (["train", "x.yaml", "-q", "-v"], "contradict"),
        (["show", "x.yaml", "--output", "x.yaml"], "would overwrite the target"),
        ([], "Usage: dltool"),
    ],
)
def test_a_slip_on_the_command_line_is_2_and_says_which(words, said, capsys):
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert said in err + out
    assert "Traceback" not in err


def test_every_mistake_of_the_user_is_told_at_once(monkeypatch, capsys):
    mistakes = SpecError(
        Problem(
            message="unknown key",
            location=Location(file="s.yaml", line=3, column=5),
            key="modle",
            value="{}",
            suggestion="model",
        ),
        Problem(message="[out] of range", key="optimizer.adam.lr", value="-1", expected="a number above 0"),
    )
    monkeypatch.setattr(SCHEMA, raising(mistakes))
    assert main(["schema", "--report", "--debug"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "error: s.yaml:3:5: modle: unknown key (found {}); did you mean 'model'?",
        "error: optimizer.adam.lr: [out] of range (found -1); expected a number above 0",
    ]


def test_a_bug_is_3_and_says_where(monkeypatch, capsys):
    monkeypatch.setattr(SCHEMA, raising(ZeroDivisionError("oh")))
    assert main(["schema", "--report"]) == 3
    err = capsys.readouterr().err
    assert "dltool failed: ZeroDivisionError: oh" in err
    assert "cli/schema.py:" in err
    assert "--debug" in err
    assert "Traceback" not in err


def test_debug_shows_the_traceback_of_a_bug(monkeypatch, capsys):
    monkeypatch.setattr(SCHEMA, raising(RuntimeError("oh")))
    assert main(["schema", "--report", "--debug"]) == 3
    assert "Traceback" in capsys.readouterr().err


def test_an_interrupt_is_130(monkeypatch):
    monkeypatch.setattr(SCHEMA, raising(KeyboardInterrupt()))
    assert main(["schema", "--report"]) == 130


def test_the_handler_of_sigterm_is_put_back():
    before = signal.getsignal(signal.SIGTERM)
    main(["--version"])
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_outside_of_training_ends_with_130(number):
    script = (
        "import sys, time, dltool.reporters.report_schema as module\n"
        "module.report_schema = lambda: (print('ready', flush=True), time.sleep(60))\n"
        "from dltool.cli.main import main\nsys.exit(main(['schema', '--report']))\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"ready\n"
        time.sleep(0.05)
        os.kill(child.pid, number)
        assert child.wait(10) == 130
        assert b"Traceback" not in child.stderr.read()


def test_help_into_a_closed_pipe_is_quiet():
    with subprocess.Popen(
        [sys.executable, "-m", "dltool", "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        child.stdout.close()
        assert child.stderr.read() == b""


def test_github_actions_get_no_escape_codes():
    environment = os.environ | {"GITHUB_ACTIONS": "true", "CI": "true"}
    for words in (["--help"], ["train"], ["explain", "nothing-like-this"]):
        done = subprocess.run([sys.executable, "-m", "dltool", *words], capture_output=True, env=environment, check=False)
        assert b"\x1b" not in done.stdout + done.stderr
