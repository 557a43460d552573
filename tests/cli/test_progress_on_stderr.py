import doctest
import io
import sys

import pytest

from dltool.cli import progress
from dltool.cli.progress import Bar, Lines, progress_on_stderr
from dltool.reporters.base import Detail
from dltool.training.progress import Silent


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(progress).failed == 0


@pytest.mark.parametrize("ci", [None, "true"])
def test_lines_where_stderr_is_no_terminal_or_a_ci_log(monkeypatch, ci):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.delenv("CI", raising=False)
    if ci:
        monkeypatch.setenv("CI", ci)
        monkeypatch.setenv("FORCE_COLOR", "1")
    assert isinstance(progress_on_stderr(Detail.NORMAL), Lines)


def test_a_bar_at_a_terminal_and_nothing_when_quiet(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    for name in ("CI", "NO_COLOR", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert isinstance(progress_on_stderr(Detail.NORMAL), Bar)
    assert isinstance(progress_on_stderr(Detail.QUIET), Silent)


def test_a_line_every_ten_seconds(capsys):
    clock = Clock()
    lines = Lines(clock=clock)
    lines.start(1000)
    for second in range(25):
        clock.now = float(second)
        lines.advance(step=40 * second, loss=0.512345, rate_per_s=40.0)
    lines.note("a note")
    lines.close()
    assert capsys.readouterr().err.splitlines() == [
        "step 400 of 1,000, loss 0.512, 40.0 steps/s, 0:15 left",
        "step 800 of 1,000, loss 0.512, 40.0 steps/s, 0:05 left",
        "a note",
    ]


def test_a_bar_shows_step_loss_rate_and_time_left_and_goes_away(monkeypatch):
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    bar = Bar()
    bar.start(200, done_steps=50)
    bar.advance(step=100, loss=float("nan"), rate_per_s=10.0)
    bar.note("[a note]")
    bar.close()
    shown = stderr.getvalue()
    assert "100/200" in shown
    assert "loss NaN" in shown
    assert "0:10 left" in shown
    assert "[a note]" in shown
    assert shown.endswith("\x1b[2K")


def test_closing_what_never_started_is_fine(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    Bar().close()
    Lines().close()


def test_no_rate_is_no_time_left(capsys):
    clock = Clock()
    lines = Lines(clock=clock)
    lines.start(10, done_steps=2)
    clock.now = 11.0
    lines.advance(step=3, loss=1.0, rate_per_s=0.0)
    assert capsys.readouterr().err.splitlines() == [
        "resuming after 2 of 10 steps",
        "step 3 of 10, loss 1.00, 0 steps/s, - left",
    ]
