"""Lint over files, folders and factories: one report, every mistake at its line, nothing of the user's run."""

import json
import shutil
from pathlib import Path

import pytest

from dltool.cli.main import main
from dltool.core.errors import UserError
from dltool.core.measured.lint import LintedSpecs
from dltool.core.measurements import Measurements
from dltool.diagnostics.lint.options import LintOptions
from dltool.diagnostics.lint.run import lint, run
from dltool.specs.load import load_text

SAMPLES = Path(__file__).parents[2] / "sample_configs"
SOFTMAX = SAMPLES / "broken/softmax_before_cross_entropy.yaml"
FAULTY = """\
version: 1
data: {synthetic: {blobs: {n: 60}}}
model:
  layers:
    - linear: 8
    - relu
    - linear: 3
    - softmax
loss: cross_entropy
train: {epochs: 80}
"""
FACTORY = """\
import torch
from torch import nn

def faulty():
    data = [(torch.randn(4, 3), torch.tensor([0, 1, 2, 0])) for _ in range(3)]
    return {"model": nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 3), nn.Softmax(dim=1)), "batches": data}
"""


def names(report):
    return [finding.name for finding in report.findings]


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("healthy/*.yaml")), ids=lambda path: path.stem)
def test_healthy_samples_are_clean(path):
    assert names(run(str(path), LintOptions())) == []


def test_a_finding_has_its_line_and_the_corrected_ones():
    (finding,) = run(str(SOFTMAX), LintOptions()).findings
    assert (finding.where.file, finding.where.line, finding.where.key) == (str(SOFTMAX), 20, "model.layers.6")
    assert finding.evidence["written"] == "- softmax"
    assert finding.evidence["correction"] == [{"line": 20, "found": ["    - softmax"], "corrected": []}]


def test_every_correction_of_the_samples_loads_and_silences_its_rule(tmp_path):
    mended = 0
    shutil.copytree(SAMPLES, tmp_path / "all")
    for path in sorted((tmp_path / "all/broken").glob("*.yaml")):
        for finding in run(str(path), LintOptions()).findings:
            if "correction" not in finding.evidence:
                continue
            lines = path.read_text().splitlines()
            for hunk in reversed(finding.evidence["correction"]):
                lines[hunk["line"] - 1 : hunk["line"] - 1 + len(hunk["found"])] = hunk["corrected"]
            again = path.with_name(f"again_{path.name}")
            again.write_text("\n".join(lines) + "\n")
            assert finding.name not in names(run(str(again), LintOptions())), path.stem
            mended += 1
            again.unlink()
    assert mended >= 5


def test_an_override_changes_one_spec_and_has_no_lines():
    report = run(str(SOFTMAX), LintOptions(overrides=("~model.layers.6",)))
    assert names(report) == []
    (finding,) = run(str(SOFTMAX), LintOptions(overrides=("train.epochs=11",))).findings
    assert "correction" not in finding.evidence
    with pytest.raises(UserError, match="here are 2"):
        lint([str(SOFTMAX), str(SAMPLES / "healthy/iris_mlp.yaml")], LintOptions(overrides=("seed=1",)))


def test_several_specs_make_one_report():
    linted = lint([str(SAMPLES / "healthy"), str(SOFTMAX)], LintOptions())
    assert names(linted.report) == ["softmax-before-cross-entropy"]
    specs = Measurements.from_dict(linted.report.measurements, "lint")[LintedSpecs].specs
    assert len(specs) == len(list(SAMPLES.glob("healthy/*.yaml"))) + 1
    assert {spec.findings for spec in specs} == {0, 1}
    assert linted.report.target == str(SAMPLES)
    outcomes = {check.rule: check.outcome for check in linted.report.checks}
    assert outcomes["SPC101"] == "failed"
    assert outcomes["SPC119"] == "passed"
    assert outcomes["NAN101"] == "skipped"


def test_one_unreadable_spec_keeps_none_of_the_others_from_being_judged(tmp_path, capsys):
    (tmp_path / "good.yaml").write_text(FAULTY)
    (tmp_path / "bad.yaml").write_text(FAULTY.replace("relu", "rleu").replace("epochs: 80", "epoch: 3"))
    (tmp_path / "gone.yaml").write_text(FAULTY.replace("synthetic: {blobs: {n: 60}}", "csv: {path: no.csv, target: y}"))
    assert (
        main(["lint", *(str(tmp_path / name) for name in ("bad.yaml", "gone.yaml", "good.yaml")), "--format", "json"]) == 2
    )
    out, err = capsys.readouterr()
    assert [finding["name"] for finding in json.loads(out)["findings"]] == ["softmax-before-cross-entropy"]
    assert len(err.splitlines()) == 3
    assert "bad.yaml:6:7: model.layers.1: 'rleu' is not a layer" in err
    assert "unknown key" in err
    assert "no such file" in err
    specs = json.loads(out)["measurements"]["specs"]
    assert [spec["findings"] for spec in specs] == [None, None, 1]


def test_yaml_of_other_tools_is_passed_over_where_nobody_named_it(tmp_path, capsys):
    others = {
        "compose.yml": "services: {web: {image: nginx}}\n",
        "hydra.yaml": "model:\n  _target_: a.B\n  num_layers: 3\ndata:\n  path: x\n",
        "lightning.yaml": "model: {class_path: a.B}\ndata: {class_path: a.C}\ntrainer: {max_epochs: 3}\n",
        "helm.yaml": "a: {{ .Values.x }}\n",
    }
    for name, text in others.items():
        (tmp_path / name).write_text(text)
    named = [str(tmp_path / name) for name in others]
    assert main(["lint", "--specs-only", *named]) == 0
    assert main(["lint", named[0]]) == 2
    assert main(["lint", str(tmp_path / "*.yaml")]) == 2
    assert "no spec is among these files" in capsys.readouterr().err
    (tmp_path / "spec.yaml").write_text(FAULTY)
    assert main(["lint", str(tmp_path / "*.yaml")]) == 1
    assert main(["lint", "--specs-only", *named, str(tmp_path / "spec.yaml")]) == 1
    assert main(["lint", "--specs-only", str(tmp_path / "gone.yaml")]) == 2


def test_folders_hold_specs_among_other_yaml(tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / ".hidden").mkdir()
    for name in ("a/b/spec.yml", ".hidden/spec.yaml"):
        (tmp_path / name).write_text(FAULTY)
    (tmp_path / "a/compose.yaml").write_text("services: {web: {image: x}}\n")
    (tmp_path / "a/variant.yaml").write_text("extends: b/spec.yml\nmodel: {init: kaiming_normal}\n")
    linted = lint([str(tmp_path)], LintOptions())
    assert not linted.problems
    assert [spec["spec"] for spec in linted.report.measurements["specs"]] == [
        str(tmp_path / "a/variant.yaml"),
        str(tmp_path / "a/b/spec.yml"),
    ]
    assert linted.report.findings[0].where.file == str(tmp_path / "a/b/spec.yml")


def test_a_pattern_that_no_shell_expanded(tmp_path):
    (tmp_path / "one.yaml").write_text(FAULTY)
    assert len(lint([str(tmp_path / "*.yaml")], LintOptions()).report.findings) == 1


def test_without_data_shapes_follow_from_the_model(tmp_path):
    (tmp_path / "spec.yaml").write_text(
        FAULTY.replace("synthetic: {blobs: {n: 60}}", "csv: {path: no.csv, target: y}").replace(
            "model:", "model:\n  input: [4]"
        )
    )
    report = run(str(tmp_path / "spec.yaml"), LintOptions(look_at_data=False))
    assert names(report) == ["softmax-before-cross-entropy"]
    assert report.run.assumptions


def test_what_is_ignored_is_set_aside(tmp_path):
    (tmp_path / "spec.yaml").write_text(FAULTY.replace("- softmax", "- softmax  # dltool: ignore[SPC101] on purpose"))
    report = run(str(tmp_path / "spec.yaml"), LintOptions())
    assert names(report) == []
    assert [each.finding.where.line for each in report.suppressed] == [8]
    (tmp_path / "spec.yaml").write_text(f"{FAULTY}rules: {{ignore: {{softmax-before-cross-entropy: on purpose}}}}\n")
    assert names(run(str(tmp_path / "spec.yaml"), LintOptions())) == []


def test_code_is_judged_by_the_same_rules(tmp_path):
    (tmp_path / "net.py").write_text(FACTORY)
    linted = lint([f"{tmp_path / 'net.py'}:faulty"], LintOptions())
    assert "softmax-before-cross-entropy" in names(linted.report)


def test_a_finding_in_what_is_extended_stands_in_that_file(tmp_path):
    (tmp_path / "base.yaml").write_text(FAULTY)
    (tmp_path / "spec.yaml").write_text("extends: base.yaml\nseed: 3\n")
    (finding,) = run(str(tmp_path / "spec.yaml"), LintOptions()).findings
    assert (finding.where.file, finding.where.line) == (str(tmp_path / "base.yaml"), 8)


def test_json_is_the_same_at_every_run():
    texts = []
    for _ in range(2):
        report = lint([str(SAMPLES / "broken")], LintOptions()).report.to_dict()
        report["run"]["seconds"] = 0
        texts.append(json.dumps(report))
    assert texts[0] == texts[1]


WRONG = [
    (["nowhere.yaml"], "there is no such file"),
    (["empty"], "no spec is in this folder"),
    (["*.nothing"], "no file is called like this"),
    (["spec.yaml", "optimizer.lr=1"], "command line: optimizer: 'lr' is not an optimizer"),
    (["spec.yaml", "--select", "SPC999"], "no rule has this id"),
    (["net.txt"], "the spec is empty"),
]


@pytest.mark.parametrize(("words", "said"), WRONG)
def test_wrong_inputs(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "net.txt").touch()
    (tmp_path / "spec.yaml").write_text(FAULTY)
    assert main(["lint", *words]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "Traceback" not in err


@pytest.mark.parametrize("width", [80, 140])
def test_the_page_shows_both_lines(width, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spec.yaml").write_text(FAULTY.replace("train:", "optimizer: {sgd: {lr: 50.0}}\ntrain:"))
    assert main(["lint", "spec.yaml"]) == 1
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= width
    assert "spec.yaml:8" in out
    assert "8 - - softmax" in out
    assert "10 - optimizer: {sgd: {lr: 50.0}}" in out
    assert "10 + optimizer: {sgd: {lr: " in out


def test_train_tells_what_lint_finds(tmp_path):
    from dltool.diagnostics.train import TrainOptions
    from dltool.diagnostics.train import run as train

    (tmp_path / "spec.yaml").write_text(FAULTY)
    report = train(str(tmp_path / "spec.yaml"), TrainOptions(run_dir=str(tmp_path / "run"), epochs=3))
    told = next(finding for finding in report.findings if finding.rule == "SPC101")
    assert told.where.line == 8
    assert told.evidence["correction"]
    assert [finding.rule for finding in report.findings].count("SPC101") == 1
    load_text((tmp_path / "spec.yaml").read_text(), "spec.yaml")
