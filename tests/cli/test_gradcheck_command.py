"""``dltool gradcheck`` from words to page and exit code."""

import json
from pathlib import Path

import jsonschema
import pytest

from dltool.cli.main import main
from dltool.reporters.report_schema import report_schema

SAMPLES = Path(__file__).parents[2] / "sample_configs"
HEALTHY = str(SAMPLES / "healthy/iris_mlp.yaml")
WRONG = f"{SAMPLES / 'broken/wrong_backward.py'}:make"
KINK = f"{SAMPLES / 'broken/relu_at_zero.py'}:make"


def test_right_gradients_are_0_and_fit_the_schema(capsys):
    assert main(["gradcheck", HEALTHY, "--full", "--inputs", "--format", "json"]) == 0
    report = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    jsonschema.validate(report, report_schema())
    assert report["command"] == "gradcheck"
    assert all(record["relative_error"] < 1e-7 for record in report["measurements"]["parameters"].values())


def test_a_wrong_backward_is_1_and_its_page_names_it(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert main(["gradcheck", WRONG]) == 1
    page = capsys.readouterr().out
    assert "gradient-mismatch" in page
    assert "LeakyBackward in backward" in page
    assert page.index("Gradients") < page.index("worst elements") < page.index("Checked") < page.index("Findings")
    assert "with a probability of" in page


def test_a_kink_is_told_and_fails_nothing(capsys):
    assert main(["gradcheck", KINK]) == 0
    assert "nondifferentiable-point" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--detached", "0.weigth"], "0.weight"),
        (["--select", "gradient-mismach"], "gradient-mismatch"),
        (["--after-steps", "-1"], "after-steps"),
        (["--device", "tpu"], "device"),
    ],
)
def test_mistakes_are_2(words, said, capsys):
    assert main(["gradcheck", HEALTHY, *words]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "Traceback" not in err


def test_a_spec_without_trainable_parameters_is_2(capsys):
    assert main(["gradcheck", str(SAMPLES / "broken/frozen_everything.yaml")]) == 2
    assert "no parameter is trainable" in capsys.readouterr().err
