"""``gradcheck`` on real models: wrong backwards are named, what only looks wrong is not, and nothing is left behind."""

from __future__ import annotations

import copy
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from dltool.core.errors import TargetError
from dltool.core.finding import Severity
from dltool.core.measurements import Measurements
from dltool.core.report import Report
from dltool.diagnostics.gradcheck import GradcheckOptions, examine, run
from dltool.rules.select import judge
from dltool.specs.target import open_target
from dltool.training.stop import StopFlag

ZOO = Path(__file__).with_name("wrong_gradients.py")
SAMPLES = Path(__file__).parents[2] / "sample_configs"
both_depths = pytest.mark.parametrize("full", [False, True], ids=["projections", "full"])


def check(name: str, **options: object) -> Report:
    return run(f"{ZOO}:{name}", GradcheckOptions(**options))  # type: ignore[arg-type]


def names(report: Report) -> list[str]:
    return [finding.name for finding in report.findings]


def errors(report: Report) -> dict[str, float]:
    return {name: record["relative_error"] for name, record in report.measurements["parameters"].items()}


@both_depths
@pytest.mark.parametrize(
    ("name", "function", "cause", "wrong"),
    [
        ("turned", "Turned", "its sign is turned", {"0.weight", "0.bias"}),
        ("doubled", "Doubled", "2 times the true one", {"0.weight", "0.bias"}),
        ("term_missing", "TermMissing", "wrong gradient", {"0.weight", "0.bias"}),
        ("transposed", "Transposed", "wrong gradient", {"0.weight", "0.bias"}),
        ("cut_branch", None, "no gradient", {"0.weight", "0.bias", "1.cut.weight", "1.cut.bias"}),
    ],
)
def test_a_wrong_backward_is_named_with_its_module(name, function, cause, wrong, full):
    report = check(name, full=full)
    (finding,) = report.findings
    assert (finding.rule, finding.severity) == ("GRD101", Severity.ERROR)
    assert finding.where.module == "1"
    assert finding.where.op == (None if function is None else f"{function}Backward")
    assert Path(finding.where.file or "").name == ZOO.name
    assert finding.cause is not None
    assert cause in finding.cause or name == "cut_branch"
    assert set(finding.evidence["parameters"]) == wrong
    assert {n for n, error in errors(report).items() if error > 1e-3} == wrong
    assert all(error < 1e-7 for n, error in errors(report).items() if n not in wrong)
    worst = report.measurements["parameters"]["0.weight"]["worst"]
    assert abs(worst[0]["analytic"] - worst[0]["numeric"]) > 1e-3 * abs(worst[0]["numeric"])


@both_depths
@pytest.mark.parametrize("name", ["plain", "right", "casting"])
def test_right_gradients_stay_below_1e_7(name, full):
    report = check(name, full=full, inputs=True, after_steps=3)
    assert names(report) == []
    assert max(errors(report).values()) < 1e-7
    assert report.measurements["inputs"]["input"]["relative_error"] < 1e-7
    assert [point["after_steps"] for point in report.measurements["points"]["points"]] == [0, 3]


def test_elements_agree_with_torchs_own_gradients_and_differences():
    report = check("doubled", full=True)
    (element, *_) = report.measurements["parameters"]["0.weight"]["worst"]
    assert element["analytic"] == pytest.approx(2 * element["numeric"], rel=1e-6)


@both_depths
@pytest.mark.parametrize("name", ["relu_at_zero", "absolute", "difference", "tied_maxima"])
def test_a_kink_is_no_mismatch(name, full):
    report = check(name, full=full)
    assert set(names(report)) == {"nondifferentiable-point"}
    assert all(finding.severity is Severity.INFO for finding in report.findings)
    assert max(errors(report).values()) < 1e-5


def test_one_sided_slopes_of_a_kink_are_told():
    (kink, *_) = check("absolute", full=True).measurements["parameters"]["1.w"]["kink_examples"]
    assert kink["left"] == pytest.approx(-kink["right"], rel=1e-5)
    assert kink["analytic"] == 0


def test_a_kink_is_gone_after_training():
    report = check("absolute", full=True, after_steps=5)
    first, second = (point["relative_errors"] for point in report.measurements["points"]["points"])
    assert max(*first.values(), *second.values()) < 1e-5


def test_a_loss_that_is_not_deterministic_is_reported_as_such():
    report = check("counting")
    assert names(report) == []
    assert not report.run.deterministic
    (point,) = report.measurements["points"]["points"]
    assert (point["deterministic"], point["unsteady_module"]) == (False, "1")
    (reason,) = [c.reason for c in report.checks if c.rule == "GRD101"]
    assert "not deterministic" in (reason or "")


@both_depths
def test_what_modules_count_cache_and_draw_is_put_back(full):
    report = check("remembering", full=full)
    assert names(report) == []
    assert report.run.deterministic
    assert max(errors(report).values()) < 1e-7


def test_a_loss_that_is_nan_is_told_by_its_own_rule():
    report = check("nan_loss")
    assert "non-finite-loss" in names(report)
    assert "gradient-mismatch" not in names(report)


def test_a_wrong_backward_in_the_loss_is_found_there():
    (finding,) = check("wrong_loss").findings
    assert (finding.where.phase, finding.where.module) == ("loss", None)


def test_a_deliberate_detach_is_ignored_by_name():
    assert names(check("cut_branch")) == ["gradient-mismatch"]
    assert names(check("cut_branch", detached=("1.cut", "0.*"))) == []
    assert names(check("cut_branch", ignore=("gradient-mismatch",))) == []
    with pytest.raises(TargetError, match=r"1\.cutt.*did you mean"):
        check("cut_branch", detached=("1.cutt",))


def test_frozen_parameters_are_left_out_with_the_reason():
    report = check("frozen")
    assert report.measurements["points"]["not_checked"] == {"0.weight": "frozen", "0.bias": "frozen"}
    assert set(errors(report)) == {"2.weight", "2.bias"}


def test_precision_of_the_model_is_told():
    report = check("plain")
    costs = [r["precision_error"] for r in report.measurements["parameters"].values() if r["precision_error"] is not None]
    assert costs
    assert 1e-9 < max(costs) < 1e-5
    assert report.measurements["points"]["own_precision"] == "float32"
    assert check("casting").measurements["points"]["lifted"]


def test_the_chance_of_missing_a_wrong_parameter_is_stated():
    (point,) = check("plain").measurements["points"]["points"]
    assert 0 < point["miss_probability"] < 1e-5


@both_depths
def test_the_model_is_left_bit_for_bit_as_it_was(full):
    experiment = open_target(f"{ZOO}:plain")
    model = experiment.model
    assert experiment.optimizer is not None
    before = copy.deepcopy(model.state_dict())
    grads = {name: p.grad for name, p in model.named_parameters()}
    modes = [module.training for module in model.modules()]
    generators = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    examine(experiment, GradcheckOptions(full=full, inputs=True, after_steps=4))
    after = model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert {name: p.grad for name, p in model.named_parameters()} == grads
    assert [module.training for module in model.modules()] == modes
    assert not experiment.optimizer.state
    assert not any(
        module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module) for module in model.modules()
    )
    assert torch.get_default_dtype() is torch.float32
    assert torch.equal(torch.get_rng_state(), generators[0])
    assert random.getstate() == generators[1]
    assert (np.random.get_state()[1] == generators[2]).all()  # noqa: NPY002


def test_the_same_seed_gives_the_same_numbers():
    first, second = check("plain", full=True), check("plain", full=True)
    assert first.measurements == second.measurements


def test_a_stop_leaves_what_is_known():
    stop = StopFlag()
    stop.interrupt()
    report = check("plain", full=True, stop=stop)
    assert report.run.interrupted
    assert report.measurements["points"]["stopped"] == "interrupted"


def test_a_saved_report_can_be_judged_again():
    report = check("turned")
    findings, _ = judge(Measurements.from_dict(report.to_dict()["measurements"], "gradcheck"))
    assert [f.fingerprint for f in findings] == [f.fingerprint for f in report.findings]


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", ["digits_cnn", "digits_lstm", "digits_svm", "transfer", "residual_mlp"])
def test_healthy_samples_have_right_gradients(name, seed):
    report = run(str(SAMPLES / f"healthy/{name}.yaml"), GradcheckOptions(seed=seed))
    assert names(report) == []
    assert max(errors(report).values()) < 1e-5


def test_penalties_are_in_both():
    spec = str(SAMPLES / "healthy/iris_mlp.yaml")
    report = run(spec, GradcheckOptions(full=True, overrides=("regularize={l1: 0.1, l2: 3.0}",)))
    assert names(report) == []
    assert max(errors(report).values()) < 1e-7
