"""Exit codes (DESIGN §3), one table for every command: whoever registers a command adds its row here."""

import importlib
import json
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from dltool.cli.main import app, main
from dltool.cli.options import FailOn
from dltool.core.finding import Check, Finding, Severity
from dltool.core.report import Report, RunInfo
from dltool.diagnostics.lint.run import Linted

ROOT = Path(__file__).parents[2]
BROKEN = ROOT / "sample_configs" / "broken"

HEALTHY = """\
version: 1
data: {synthetic: {blobs: {n: 200, features: 2, classes: 3, spread: 0.5}}, split: {val: 0.25}, batch_size: 32}
model: {layers: [{linear: 16}, relu, {linear: 3}]}
loss: cross_entropy
optimizer: {adam: {lr: 1e-2}}
train: {epochs: 10}
"""
ILL = HEALTHY.replace("{linear: 3}]", "{linear: 3}, softmax]")
NO_DATA = HEALTHY.replace(
    "{synthetic: {blobs: {n: 200, features: 2, classes: 3, spread: 0.5}}", "{csv: {path: gone.csv, target: y}"
)
TABLE = "a,b\n" + "\n".join(f"{at},{at * at % 17 - 8}.5" for at in range(200)) + "\n"


@dataclass(frozen=True)
class Row:
    """How a command is called so that it ends well, and so that each kind of mistake happens.

    ``seam`` is what does its work: replaced by something that raises, it is a bug in dltool; of a command that ``judges``
    it returns the report. A kind of mistake that a command cannot meet is None; ``returned`` makes
    of a report what the seam returns.
    """

    clean: tuple[str, ...]
    usage: tuple[str, ...]
    seam: str
    judges: bool = False
    found: tuple[str, ...] | None = None
    spec: tuple[str, ...] | None = None
    data: tuple[str, ...] | None = None
    returned: Callable[[Report], object] = field(default=lambda report: report)


def judging(seam, *more, found=("ill.yaml",), clean=("healthy.yaml",)):
    return Row(
        clean=(*clean, *more),
        usage=("healthy.yaml", "--no-such-option"),
        seam=seam,
        judges=True,
        found=(*found, *more),
        spec=("healthy.yaml", "modle=1"),
        data=("no_data.yaml",),
    )


COMMANDS = {
    "train": judging("dltool.diagnostics.train.run"),
    "gradcheck": judging("dltool.diagnostics.gradcheck.run", found=(f"{BROKEN / 'wrong_backward.py'}:make",)),
    "nan-hunt": judging("dltool.diagnostics.nan_hunt.run", "--steps", "8", found=(f"{BROKEN / 'infinite_slope.py'}:make",)),
    "init-stats": judging("dltool.diagnostics.init_stats.run"),
    "lr-find": judging("dltool.diagnostics.lr_find.run", "--steps", "20", found=("healthy.yaml", "optimizer.adam.lr=1e6")),
    "scan": replace(judging("dltool.diagnostics.scan.run.run", found=("spoilt",), clean=("tables",)), data=("gone",)),
    "lint": replace(judging("dltool.diagnostics.lint.run.lint"), returned=lambda report: Linted(report, ())),
    "compare": replace(
        judging("dltool.diagnostics.compare.run.run", clean=("good.json", "good.json"), found=("good.json", "bad.json")),
        usage=("good.json",),
        spec=("healthy.yaml", "good.json"),
        data=("good.json", "gone.json"),
    ),
    "new": Row(clean=(), usage=("a", "b"), seam="dltool.specs.starter.starter", spec=("--task", "cooking")),
    "show": Row(clean=("healthy.yaml",), usage=(), seam="dltool.specs.load.load", spec=("healthy.yaml", "modle=1")),
    "schema": Row(clean=(), usage=("--no",), seam="dltool.specs.json_schema.spec_schema"),
    "rules": Row(clean=(), usage=("--format", "sarif"), seam="dltool.reporters.table.rules.rules_table"),
    "explain": Row(clean=("dead-relu",), usage=(), seam="dltool.reporters.table.rules.rule_page", spec=("dead-relo",)),
}
JUDGING = [name for name, row in COMMANDS.items() if row.judges]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name, text in (("healthy", HEALTHY), ("ill", ILL), ("no_data", NO_DATA)):
        (tmp_path / f"{name}.yaml").write_text(text)
    for name in ("tables", "spoilt"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "good.csv").write_text(TABLE)
    for name, report in (("good", canned()), ("bad", canned(Severity.ERROR))):
        (tmp_path / f"{name}.json").write_text(json.dumps(report.to_dict()))
    (tmp_path / "spoilt" / "bad.png").write_bytes(b"<html><body>not found</body></html>")
    return tmp_path


def canned(*severities, interrupted=False):
    """A report as a command's work would return it."""
    found = tuple(Finding(rule="ACT101", name="dead-relu", severity=severity, message="m") for severity in severities)
    run = RunInfo(
        seed=0, torch=None, device=None, spec_sha256=None, seconds=0.0, deterministic=True, interrupted=interrupted
    )
    checks = (Check(rule="ACT101", outcome="failed" if found else "passed"),)
    return Report(command="c", target="healthy.yaml", run=run, tool_version="0", findings=found, checks=checks)


def replaced(monkeypatch, seam, work):
    module, _, name = seam.rpartition(".")
    monkeypatch.setattr(importlib.import_module(module), name, work)


def raising(error):
    def fail(*_args, **_kwargs):
        raise error

    return fail


def test_the_table_has_every_command():
    registered = {command.name or command.callback.__name__.replace("_", "-") for command in app.registered_commands}
    assert set(COMMANDS) == registered, "add a row to COMMANDS"


CASES = [
    (name, case, code)
    for name, row in COMMANDS.items()
    for case, code in (("clean", 0), ("found", 1), ("usage", 2), ("spec", 2), ("data", 2))
    if getattr(row, case) is not None and not (case == "usage" and not row.usage and not row.clean)
]


@pytest.mark.parametrize(("command", "case", "code"), CASES)
def test_each_ending_has_its_code(command, case, code, here, capfd):
    assert main([command, *getattr(COMMANDS[command], case)]) == code
    out, err = capfd.readouterr()
    assert "Traceback" not in err
    assert bool(out) == (code < 2), "the result is on stdout, and a mistake is not"
    if code == 2:
        assert "rror: " in err


@pytest.mark.parametrize("command", JUDGING)
def test_fail_on_is_the_same_everywhere(command, here, monkeypatch, capfd):
    order = [FailOn.INFO, FailOn.WARNING, FailOn.ERROR, FailOn.NEVER]
    row = COMMANDS[command]
    for at, severity in enumerate(Severity):
        replaced(monkeypatch, row.seam, lambda *_: row.returned(canned(severity)))  # noqa: B023 - called in this turn
        codes = [main([command, *row.clean, "--fail-on", level]) for level in order]
        assert codes == [1] * (at + 1) + [0] * (3 - at), severity
        assert main([command, *row.clean]) == codes[order.index(FailOn.ERROR)]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_bug_of_ours_is_3_and_says_where(command, here, monkeypatch, capfd):
    replaced(monkeypatch, COMMANDS[command].seam, raising(ZeroDivisionError("oh")))
    assert main([command, *COMMANDS[command].clean]) == 3
    out, err = capfd.readouterr()
    assert out == ""
    assert "ZeroDivisionError: oh" in err
    assert "Traceback" not in err
    assert main([command, *COMMANDS[command].clean, "--debug"]) == 3
    assert "Traceback" in capfd.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_an_interruption_is_130(command, here, monkeypatch, capfd):
    replaced(monkeypatch, COMMANDS[command].seam, raising(KeyboardInterrupt()))
    assert main([command, *COMMANDS[command].clean]) == 130
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("command", JUDGING)
def test_an_interrupted_run_is_130_with_what_is_known(command, here, monkeypatch, capfd):
    row = COMMANDS[command]
    replaced(monkeypatch, row.seam, lambda *_: row.returned(canned(Severity.ERROR, interrupted=True)))
    words = [command, *COMMANDS[command].clean, "--format", "json", "--fail-on", "never", "--write-baseline", "b.json"]
    assert main(words) == 130
    out, err = capfd.readouterr()
    assert json.loads(out)["run"]["interrupted"] is True
    assert "b.json is left as it was" in err
    assert not Path("b.json").exists()


UNREAD = """
import importlib, io, json, os, sys
sys.path.insert(0, sys.argv[1])
import test_exit_codes as table
codes = {}
for name, row in table.COMMANDS.items():
    if row.judges:
        module, _, work = row.seam.rpartition(".")
        found = row.returned(table.canned(table.Severity.ERROR))
        setattr(importlib.import_module(module), work, lambda *_, found=found: found)
    reading, writing = os.pipe()
    os.close(reading)
    os.dup2(writing, 1)
    sys.stdout = io.TextIOWrapper(open(1, "wb", closefd=False))
    codes[name] = table.main([name, *row.clean])
print(json.dumps(codes), file=sys.stderr)
"""


def test_a_pipe_that_nobody_reads_is_quiet_and_changes_no_code(here):
    """``dltool ... | head -0``: the code is that of the result, and stderr holds nothing."""
    words = [sys.executable, "-c", UNREAD, str(Path(__file__).parent)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert json.loads(done.stderr) == {name: 1 if row.judges else 0 for name, row in COMMANDS.items()}
    assert done.returncode == 0


SIGNALLED = textwrap.dedent("""
    import os, signal, sys, time
    sys.path.insert(0, sys.argv[1])
    import test_exit_codes as table
    import dltool.diagnostics.scan.run as work

    def run(target, options):
        os.kill(os.getpid(), getattr(signal, sys.argv[2]))
        while options.stop.reason is None:
            time.sleep(0.01)
        return table.canned(interrupted=options.stop.reason == "interrupted")

    work.run = run
    sys.exit(table.main(["scan", "tables", "--format", "json"]))
""")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_ends_a_run_with_130_and_a_report(name, here):
    """As the commands are called: those that do real work have such a test of their own."""
    words = [sys.executable, "-c", SIGNALLED, str(Path(__file__).parent), name]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "")
    assert json.loads(done.stdout)["run"]["interrupted"] is True
