"""What is ignored on purpose, from spec and code to the report."""

import json

import pytest

from dltool.cli.main import main
from dltool.core.finding import Check, Finding, Severity, Where
from dltool.core.suppression import Order, Suppression
from dltool.diagnostics.ignored_lines import without_ignored_lines
from dltool.rules.select import Judged

RELU = Finding(
    rule="ACT101", name="dead-relu", severity=Severity.ERROR, message="m", where=Where(key="model.layers.1", module="1")
)
CHECKS = (
    Check(rule="ACT101", outcome="failed"),
    Check(rule="FIT102", outcome="passed"),
    Check(rule="NAN106", outcome="skipped", reason="not measured"),
)


def order(*rules, key="model.layers.1"):
    why = Suppression(by="comment", reason="r", file="s.yaml", line=4)
    return Order(rules=rules, suppression=why, first_line=4, last_line=4, keys=frozenset({key}))


@pytest.mark.parametrize("word", ["dead-relu", "ACT101", "ACT", "ACT1"])
def test_a_finding_on_the_line_is_ignored_with_the_reason(word):
    judged = without_ignored_lines(Judged(findings=(RELU,), checks=CHECKS), [order(word)])
    assert (judged.findings, judged.stale) == ((), ())
    assert [(each.finding, each.suppression.reason) for each in judged.suppressed] == [(RELU, "r")]
    assert judged.checks[0] == Check(rule="ACT101", outcome="passed", reason="1 ignored")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (order("overfitting"), ["need not be ignored here: it found nothing"]),
        (
            order("dead-relu", key="loss"),
            ["found something, but not here; `rules: {ignore: {dead-relu: reason}}` is for all places"],
        ),
        (order("non-finite-backward"), []),
        (order("class-imbalance"), []),
    ],
    ids=["in vain", "elsewhere", "skipped", "not selected"],
)
def test_orders_in_vain_are_told_where_the_rule_was_judged(asked, said):
    judged = without_ignored_lines(Judged(findings=(RELU,), checks=CHECKS), [asked])
    assert judged.findings == (RELU,)
    assert [each.message for each in judged.stale] == said


SPEC = """\
version: 1
data: {synthetic: {blobs: {n: 60, features: 2, classes: 3, spread: 1.0}}}
model:
  layers:
    - linear: 3
    - softmax  # dltool: ignore[softmax-before-cross-entropy] a lesson
loss: cross_entropy
optimizer: {sgd: {lr: 0.1}}
train: {epochs: 2}
rules: {ignore: {diverged: never}}
"""


def run(capfd, *words):
    code = main([*words, "--format", "json"])
    return code, json.loads(capfd.readouterr().out)


def test_a_comment_in_a_spec_from_end_to_end(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.yaml").write_text(SPEC)
    code, report = run(capfd, "init-stats", "s.yaml")
    assert (code, report["findings"]) == (0, [])
    (ignored,) = report["suppressed"]
    assert ignored["name"] == "softmax-before-cross-entropy"
    assert ignored["suppression"] == {"by": "comment", "reason": "a lesson", "file": "s.yaml", "line": 6}
    assert "stale" not in report, "what init-stats cannot judge is not in vain"
    (tmp_path / "s.yaml").write_text(SPEC.replace("    - softmax  #", "    - relu  #"))
    code, report = run(capfd, "train", "s.yaml", "--fail-on", "never")
    told = {(each["rule"], each["suppression"]["by"], each["suppression"]["line"]) for each in report["stale"]}
    assert told == {("softmax-before-cross-entropy", "comment", 6), ("diverged", "spec", 10)}
    code, report = run(capfd, "train", "s.yaml", "--fail-on", "never", "--select", "ACT")
    assert "stale" not in report


def test_what_is_left_out_on_the_command_line_is_listed_too(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.yaml").write_text(SPEC.replace("dltool:", ""))
    code, report = run(capfd, "init-stats", "s.yaml", "--ignore", "SPC,INI")
    assert (code, report["findings"]) == (0, [])
    assert [each["suppression"]["by"] for each in report["suppressed"]] == ["command-line"]
    assert {c["reason"] for c in report["checks"] if c["rule"] == "SPC101"} == {"ignored on the command line"}
    assert "stale" not in report, "a precaution is no order in vain"


NET = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 1)

    def forward(self, x):
        return torch.sqrt(self.inner(x) - 100.0){comment}


def make():
    return {{"model": Net(), "batches": [(torch.ones(8, 4), torch.ones(8, 1))] * 4}}
"""


def test_a_comment_in_code_from_end_to_end(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    net = tmp_path / "net.py"
    net.write_text(NET.format(comment=""))
    code, report = run(capfd, "nan-hunt", "net.py:make")
    (finding,) = report["findings"]
    assert (code, finding["where"]["file"], finding["where"]["line"]) == (1, "net.py", 11)
    net.write_text(NET.format(comment=f"  # dltool: ignore[{finding['name']}, dead-rellu] on purpose"))
    code, report = run(capfd, "nan-hunt", "net.py:make")
    assert (code, report["findings"]) == (0, [])
    assert report["suppressed"][0]["suppression"]["reason"] == "on purpose"
    assert [each["rule"] for each in report["stale"]] == ["dead-rellu"]
