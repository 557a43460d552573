"""``--baseline`` and ``--write-baseline`` from words to exit code."""

import json
import subprocess
import sys

import pytest

from dltool.cli.emit import Output, emit
from dltool.cli.gate import Gate
from dltool.cli.main import app, main
from dltool.cli.options import FailOn, Format
from dltool.core.finding import Check, Finding, Severity, Where
from dltool.core.report import Report, RunInfo

HTML = b"<html><body>not found</body></html>"


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "good.csv").write_text("a,b\n" + "\n".join(f"{at},{at * at % 17 - 8}.5" for at in range(200)) + "\n")
    return folder


def scan(capfd, *words):
    code = main(["scan", "data", "--format", "json", *words])
    out, err = capfd.readouterr()
    return code, json.loads(out), err


def test_a_gate_is_red_for_what_is_new_and_green_for_what_is_known(data, capfd):
    (data / "old.png").write_bytes(HTML)
    assert scan(capfd)[0] == 1
    code, report, err = scan(capfd, "--write-baseline", "b.json")
    assert (code, report["findings"], err) == (0, [], "b.json: 1 known finding of scan data\n")
    code, report, _ = scan(capfd, "--baseline", "b.json", "--fail-on", "info")
    assert (code, report["findings"], report["baseline"]) == (0, [], "b.json")
    assert [each["where"]["key"] for each in report["suppressed"]] == ["old.png"]
    assert report["measurements"]["bad_samples"], "what is bad stays bad: known is not clean"
    (data / "new.png").write_bytes(HTML)
    code, report, _ = scan(capfd, "--baseline", "b.json")
    assert (code, [each["where"]["key"] for each in report["findings"]]) == (1, ["new.png"])
    (data / "old.png").unlink()
    code, report, _ = scan(capfd, "--baseline", "b.json")
    assert [each["message"] for each in report["stale"]] == ["no longer occurs at old.png"]
    assert code == 1


def test_with_both_the_first_decides_and_the_second_keeps(data, capfd):
    (data / "old.png").write_bytes(HTML)
    scan(capfd, "--write-baseline", "b.json")
    (data / "new.png").write_bytes(HTML)
    code, report, err = scan(capfd, "--baseline", "b.json", "--write-baseline", "b.json")
    assert (code, len(report["findings"]), err) == (1, 1, "b.json: 2 known findings of scan data\n")
    assert scan(capfd, "--baseline", "b.json")[0] == 0
    before = (data.parent / "b.json").read_bytes()
    assert scan(capfd, "--baseline", "b.json", "--write-baseline", "b.json")[0] == 0
    assert (data.parent / "b.json").read_bytes() == before


def test_a_baseline_holds_in_another_checkout_and_from_another_folder(data, capfd, monkeypatch, tmp_path):
    (data / "old.png").write_bytes(HTML)
    scan(capfd, "--write-baseline", "b.json")
    other = tmp_path / "other"
    other.mkdir()
    for name in ("data", "b.json"):
        (tmp_path / name).rename(other / name)
    assert main(["scan", "other/data", "--baseline", "other/b.json"]) == 0
    monkeypatch.chdir(other / "data")
    assert main(["scan", ".", "--baseline", "../b.json"]) == 0
    assert main(["scan", str(other / "data"), "--baseline", str(other / "b.json")]) == 0


ILL = """\
version: 1
data: {synthetic: {blobs: {n: 60, features: 2, classes: 3, spread: 1.0}}}
model: {layers: [{linear: 3}, softmax]}
loss: cross_entropy
optimizer: {sgd: {lr: 0.1}}
train: {epochs: 100}
"""


def test_specs_that_are_linted_together_are_known_one_by_one(tmp_path, monkeypatch, capfd):
    """The finding has the same fingerprint in both: mended in one, it is new in the other."""
    monkeypatch.chdir(tmp_path)
    well = ILL.replace(", softmax", "")
    for name, text in (("a", ILL), ("b", well)):
        (tmp_path / f"{name}.yaml").write_text(text)
    assert main(["lint", "a.yaml", "b.yaml", "--write-baseline", "base.json"]) == 0
    assert "base.json: 1 known finding of lint" in capfd.readouterr().err
    assert [each["target"] for each in json.loads((tmp_path / "base.json").read_text())["targets"]] == ["a.yaml", "b.yaml"]
    assert main(["lint", ".", "--baseline", "base.json"]) == 0
    assert main(["lint", "a.yaml", "--baseline", "base.json"]) == 0
    for name, text in (("a", well), ("b", ILL)):
        (tmp_path / f"{name}.yaml").write_text(text)
    capfd.readouterr()
    assert main(["lint", "a.yaml", "b.yaml", "--baseline", "base.json", "--format", "json"]) == 1
    report = json.loads(capfd.readouterr().out)
    assert [each["where"]["file"] for each in report["findings"]] == ["b.yaml"]
    assert [each["rule"] for each in report["stale"]] == ["softmax-before-cross-entropy"]


def test_a_report_stands_in_for_a_baseline(data, capfd):
    (data / "old.png").write_bytes(HTML)
    assert main(["scan", "data", "--format", "json", "--output", "report.json"]) == 1
    assert scan(capfd, "--baseline", "report.json")[0] == 0
    assert main(["scan", "data", "--write-baseline", "report.json"]) == 2
    assert "is a report, and is not overwritten" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--baseline", "gone.json"], "gone.json: there is no such baseline"),
        (["--baseline", "."], "is a folder, not a baseline"),
        (["--baseline", "data/good.csv"], "is no JSON"),
        (["--write-baseline", "data/good.csv"], "is no JSON"),
        (["--write-baseline", "."], ". is a folder"),
        (["--write-baseline", "no/b.json"], "the folder no does not exist"),
    ],
)
def test_mistakes_are_told_before_the_work(words, said, data, monkeypatch, capfd):
    monkeypatch.setattr("dltool.diagnostics.scan.run.run", lambda *_: pytest.fail("it was begun"))
    before = (data / "good.csv").read_bytes()
    assert main(["scan", "data", *words]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert said in err
    assert (data / "good.csv").read_bytes() == before


def test_every_command_that_judges_has_both_options():
    for command in app.registered_commands:
        names = command.callback.__annotations__
        assert ("fail_on" in names) == ("baseline" in names) == ("write_baseline" in names), command.callback


RUN = RunInfo(seed=0, torch=None, device=None, spec_sha256=None, seconds=0.0, deterministic=True)


def canned(severity=Severity.ERROR):
    found = Finding(rule="ACT101", name="dead-relu", severity=severity, message="m", where=Where(module="1"))
    checks = (Check(rule="ACT101", outcome="failed"),)
    return Report(command="train", target="s.yaml", run=RUN, tool_version="0", findings=(found,), checks=checks)


@pytest.mark.parametrize("form", Format)
@pytest.mark.parametrize("fail_on", FailOn)
def test_known_findings_fail_in_no_format_and_at_no_level(form, fail_on, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    path = tmp_path / "b.json"
    assert emit(canned(), Output(form=form, fail_on=fail_on, gate=Gate.open(None, path))) == 0
    out = capfd.readouterr().out
    assert emit(canned(), Output(form=form, fail_on=fail_on, gate=Gate.open(path, None))) == 0
    assert capfd.readouterr().out.replace(str(path), "b.json") == out.replace(str(path), "b.json")


def test_a_gate_costs_no_heavy_import(tmp_path):
    script = (
        "import sys\nimport dltool.cli.gate\n"
        "sys.exit(' '.join({name.split('.')[0] for name in sys.modules} & {'torch', 'numpy', 'rich', 'yaml', 'pydantic'}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stderr.strip() == ""
