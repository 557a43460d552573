"""The commands that need no training, from words to output."""

import json

import jsonschema
import pytest
import yaml

from dltool.cli.main import main
from dltool.rules.catalogue import RULES, every_rule

SPEC = """\
version: 1
data: {synthetic: {blobs: {n: 60, features: 2, classes: 3, spread: 1.0}}}
model: {layers: [{linear: 3}]}
loss: cross_entropy
optimizer: {sgd: {lr: 0.1}}
"""


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC)
    return str(path)


def test_new_writes_to_stdout_or_a_new_file_and_never_over_another(tmp_path, capsys):
    assert main(["new"]) == 0
    text = capsys.readouterr().out
    path = tmp_path / "new.yaml"
    assert main(["new", str(path)]) == 0
    assert path.read_text() == text
    path.write_text("mine")
    assert main(["new", str(path)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert path.read_text() == "mine"


def test_new_into_a_folder_that_is_not_there_is_told(tmp_path, capsys):
    assert main(["new", str(tmp_path / "no" / "new.yaml")]) == 2
    assert "cannot write" in capsys.readouterr().err


@pytest.mark.parametrize("task", ["classification", "regression", "images"])
def test_each_starter_is_a_spec(task, capsys):
    assert main(["new", "--task", task]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["version"] == 1


def test_an_unknown_task_is_told_with_what_was_meant(capsys):
    assert main(["new", "--task", "regresion"]) == 2
    assert "did you mean 'regression'" in capsys.readouterr().err


def test_show_takes_overrides_and_options_in_any_order(spec, tmp_path, capsys):
    assert main(["show", spec, "optimizer.sgd.lr=1e-2", "--debug", "seed=7"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown["seed"] == 7
    assert shown["optimizer"]["sgd"]["lr"] == 0.01
    assert main(["show", "--output", str(tmp_path / "shown.yaml"), spec, "optimizer.sgd.lr=-1", "~loss"]) == 2
    assert not (tmp_path / "shown.yaml").exists()


def test_show_tells_every_mistake_at_once(spec, capsys):
    assert main(["show", spec, "modle=1", "optimizer.sgd.lr=-1"]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2
    assert all(line.startswith("error: ") for line in errors)


def test_a_spec_that_is_not_there_is_told(capsys):
    assert main(["show", "nowhere.yaml"]) == 2
    assert "nowhere.yaml" in capsys.readouterr().err


@pytest.mark.parametrize("report", [[], ["--report"]])
def test_schemas_are_draft_07(report, capsys):
    assert main(["schema", *report]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    jsonschema.Draft7Validator.check_schema(schema)


def test_rules_lists_every_rule(capsys):
    assert main(["rules"]) == 0
    text = capsys.readouterr().out
    assert all(rule.id in text and rule.name in text for rule in RULES)
    assert main(["rules", "--format", "json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [entry["id"] for entry in listed] == [rule.id for rule in RULES]
    assert all(entry["summary"] for entry in listed)


@pytest.mark.parametrize("rule", every_rule(), ids=lambda rule: rule.name)
def test_explain_knows_every_rule_by_id_and_name(rule, capsys):
    assert main(["explain", rule.id.lower()]) == 0
    by_id = capsys.readouterr().out
    assert main(["explain", rule.name]) == 0
    assert capsys.readouterr().out == by_id
    assert rule.name in by_id
    assert all(threshold.name in by_id for threshold in rule.thresholds)


def test_explain_as_json(capsys):
    assert main(["explain", RULES[0].name, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["id"] == RULES[0].id


def test_an_unknown_rule_is_told_with_what_was_meant(capsys):
    assert main(["explain", "dead-rellu"]) == 2
    assert "did you mean 'dead-relu'" in capsys.readouterr().err
