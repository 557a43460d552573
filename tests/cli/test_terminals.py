"""What shells, terminals and locales do to the output: real processes, in real encodings."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from rich.cells import cell_len

from dltool.cli.emit import Output, emit
from dltool.cli.main import app, main
from dltool.cli.options import Format
from dltool.core.finding import Finding, Severity, Where
from dltool.core.report import Report, RunInfo
from dltool.rules.catalogue import RULES

NAME = "größe_日本.yaml"
SPEC = """\
version: 1
data: {csv: {path: "größe_日本.csv", target: "größe"}}
model: {layers: [{linear: 3}]}
loss: cross_entropy
optimizer: {sgd: {lr: 0.1}}
"""
PLAIN = {key: value for key, value in os.environ.items() if not key.startswith(("LC_", "LANG", "PYTHON"))}
FEW = {
    "ascii": {"PYTHONIOENCODING": "ascii", "LC_ALL": "C.UTF-8"},
    "latin-1": {"PYTHONIOENCODING": "latin-1", "LC_ALL": "C.UTF-8"},
    "cp1252": {"PYTHONIOENCODING": "cp1252", "LC_ALL": "C.UTF-8"},
    "posix": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}
"""Places without all characters; "posix" is what a cron job or a minimal container gives."""


def dltool(*words, cwd, **environment):
    command = [sys.executable, "-m", "dltool", *words]
    path = {"PYTHONPATH": os.pathsep.join(sys.path), "XDG_CACHE_HOME": str(cwd / "cache")}
    return subprocess.run(command, capture_output=True, check=False, cwd=cwd, env=PLAIN | path | environment)


def spelt(encoding, text):
    """A name as it has to arrive: as it is where the encoding has it, otherwise spelt."""
    return text.encode(encoding, "backslashreplace")


@pytest.fixture
def here(tmp_path):
    (tmp_path / NAME).write_text(SPEC, encoding="utf-8")
    (tmp_path / "größe").mkdir()
    (tmp_path / "größe" / "日本.png").write_bytes(b"<html><body>not found</body></html>")
    return tmp_path


@pytest.mark.parametrize("place", FEW)
def test_names_reach_every_place_whole(place, here):
    encoding = "ascii" if place == "posix" else place
    done = dltool("scan", "größe", "--quiet", cwd=here, **FEW[place])
    assert (done.returncode, done.stderr) == (1, b"")
    text = done.stdout.decode(encoding)
    if place == "posix":  # the name came as bytes that are no ASCII: half characters, one for each
        assert re.search(r"\\udce6\\udc97\\udca5|\\u65e5\\u672c", text)
    else:
        assert spelt(encoding, "日本.png") in done.stdout
    assert "?" not in text
    assert "\x1b" not in text


@pytest.mark.parametrize("place", FEW)
def test_mistakes_are_told_whole_in_every_place(place, here):
    done = dltool("show", NAME, "modle=1", "optimizer.sgd.lr=-1", cwd=here, **FEW[place])
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"Traceback" not in done.stderr
    assert done.stderr.count(b"error: ") == 2
    assert b"?; " not in done.stderr


@pytest.mark.parametrize("place", ["ascii", "cp1252"])
def test_yaml_that_is_shown_can_be_read_back_from_every_place(place, here):
    done = dltool("show", NAME, cwd=here, **FEW[place])
    assert done.returncode == 0
    assert yaml.safe_load(done.stdout.decode(place))["data"]["csv"]["path"] == "größe_日本.csv"


def test_a_file_that_the_locale_cannot_name_is_told(here):
    (here / "größe_日本.csv").write_text("größe,x\n1,2\n3,4\n")
    (here / "plain.yaml").write_text(SPEC, encoding="utf-8")
    done = dltool("train", "plain.yaml", cwd=here, **FEW["posix"])
    assert done.returncode == 2
    assert b"cannot be opened in this locale (ascii); set PYTHONUTF8=1" in done.stderr


def report():
    long = "a name that " + "goes_on_and_on." * 12
    found = Finding(
        rule="ACT101",
        name="dead-relu",
        severity=Severity.ERROR,
        message=f"‖w‖ × 2 is too large in {long}",
        where=Where(module="größe", file="日本.py", line=3),
        advice=("lower the learning rate",),
    )
    run = RunInfo(seed=0, torch=None, device=None, spec_sha256=None, seconds=0.0, deterministic=True)
    return Report(command="train", target=NAME, run=run, tool_version="0", findings=(found,))


def page(monkeypatch, encoding="utf-8", **environment):
    """The page as it arrives at a stream that is no terminal."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM", "COLUMNS", "CI", "TTY_COMPATIBLE", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding=encoding))
    emit(report(), Output(form=Format.TABLE))
    return out.getvalue().decode(encoding)


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 140, 400])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_no_width_loses_a_word(columns, encoding, monkeypatch):
    text = page(monkeypatch, encoding, COLUMNS=str(columns))
    if encoding == "utf-8":  # spelt names are longer than those that were measured
        assert max(cell_len(line) for line in text.splitlines()) <= max(32, min(columns, 140))
    joined = re.sub(r"\s+", "", text)
    assert "goes_on_and_on." * 12 in joined
    for word in ("dead-relu", "ACT101", "lowerthelearningrate", "error"):
        assert word in joined


@pytest.mark.parametrize(
    ("environment", "colours"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, False),
        ({"CI": "true"}, False),
        ({"CI": "true", "GITHUB_ACTIONS": "true"}, False),
    ],
    ids=str,
)
def test_colours_are_asked_for_or_stay_away(environment, colours, monkeypatch):
    text = page(monkeypatch, **environment)
    assert bool(re.search(r"\x1b\[[0-9;]*3[0-7]m", text)) is colours
    if "FORCE_COLOR" not in environment:
        assert "\x1b" not in text


@pytest.mark.parametrize("columns", [40, 50])
def test_the_catalogue_keeps_its_summaries_where_it_is_narrow(columns, monkeypatch, capfd):
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main(["rules"]) == 0
    text = re.sub(r"\s+", " ", capfd.readouterr().out)
    assert (
        "The outputs are probabilities" in text or "The model ends in a softmax, and the loss applies another one." in text
    )
    assert all(rule.name in text and rule.id in text for rule in RULES)


def test_every_help_is_readable_at_80_columns(monkeypatch, capfd):
    monkeypatch.setenv("COLUMNS", "80")
    names = [command.name or command.callback.__name__.replace("_", "-") for command in app.registered_commands]
    for name in (*names, None):
        assert main([name, "--help"] if name else ["--help"]) == 0
        text = capfd.readouterr().out
        assert text.isascii(), name
        assert max(map(len, text.splitlines())) <= 80, name
        assert "\x1b" not in text
        assert text.startswith("Usage: dltool")


def completed(shell, line, cwd):
    """What the installed completion would get for ``line``, in the words of the shell's own script."""
    words = line.split(" ")
    environment = {"_DLTOOL_COMPLETE": f"complete_{shell}"}
    if shell == "bash":
        environment |= {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    else:
        environment |= {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    done = dltool(cwd=cwd, **environment)
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode()
    return re.findall(r'^\s*\(?"?([^"\s(]+)', text, re.MULTILINE) if shell != "zsh" else re.findall(r'"([^":]+)"', text)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_rules_are_completed_in_every_shell(shell, tmp_path):
    assert completed(shell, "dltool explain dead", tmp_path) == ["dead-relu"]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("dltool nan", ["nan-hunt"]),
        ("dltool explain GRD10", [f"GRD10{n}" for n in range(1, 8)]),
        ("dltool train --select GRD", ["GRD", *(f"GRD10{n}" for n in range(1, 8))]),
        ("dltool scan --ignore corrupt-file,outl", ["corrupt-file,outlier"]),
        ("dltool train --format s", ["sarif"]),
        ("dltool train --fail-on w", ["warning"]),
        ("dltool gradcheck --device c", ["cpu", "cuda"]),
        ("dltool new --task re", ["regression"]),
        ("dltool train --write-b", ["--write-baseline"]),
    ],
)
def test_bash_is_offered_names_formats_devices_and_options(line, offered, monkeypatch, capfd):
    words = line.split(" ")
    monkeypatch.setenv("_DLTOOL_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    assert main([]) == 0
    assert capfd.readouterr().out.split() == offered


def test_completion_imports_nothing_heavy(tmp_path):
    script = "import sys\nfrom dltool.cli.main import main\nmain([])\n"
    script += "sys.exit(' '.join({n.split('.')[0] for n in sys.modules} & {'torch', 'numpy', 'rich', 'yaml'}))"
    environment = {"_DLTOOL_COMPLETE": "complete_bash", "COMP_WORDS": "dltool train --select de", "COMP_CWORD": "3"}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=PLAIN | environment)
    assert (done.stdout.strip(), done.stderr.strip()) == ("dead-relu", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_is_one_that_its_shell_takes(shell, tmp_path):
    script = dltool("--show-completion", shell, cwd=tmp_path)
    assert script.returncode == 0
    assert b"_DLTOOL_COMPLETE" in script.stdout
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"no {shell} here")
    checked = subprocess.run([found, "-n"], input=script.stdout, capture_output=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, b"")


def test_json_is_the_same_bytes_in_every_place(tmp_path):
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from test_terminals import *\n"
        "sys.exit(emit(report(), Output(form=Format.JSON)))\n"
    )
    command = [sys.executable, "-c", script, str(Path(__file__).parent)]
    answers = {
        subprocess.run(command, capture_output=True, check=False, cwd=tmp_path, env=PLAIN | FEW[place]).stdout
        for place in ("cp1252", "posix")
    }
    (only,) = answers
    assert json.loads(only.decode("utf-8"))["target"] == NAME
