"""lr-find on the samples: the rate that is far too low is named, healthy rates are left alone."""

from pathlib import Path

import pytest

from dltool.diagnostics.lr_find import LrFindOptions, run

SAMPLES = Path(__file__).parents[2] / "sample_configs"
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_rate_ten_thousand_times_too_low_is_named(seed):
    report = run(str(SAMPLES / "broken/rate_too_low.yaml"), LrFindOptions(seed=seed, steps=40))
    assert [f.name for f in report.findings] == ["learning-rate-too-low"]
    assert report.findings[0].evidence["suggested_lr"] == report.measurements["suggested_lr"] > 0.01


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_rate_that_throws_the_weights_is_named(seed):
    report = run(str(SAMPLES / "broken/dying_relu.yaml"), LrFindOptions(seed=seed, steps=40))
    assert [f.name for f in report.findings] == ["learning-rate-too-high"]
    assert report.findings[0].evidence["lr"] == 5.0 > report.measurements["lr_range"][1]


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", ["digits_mlp", "diabetes_regression", "digits_svm"])
def test_healthy_rates_are_left_alone(name, seed):
    report = run(str(SAMPLES / f"healthy/{name}.yaml"), LrFindOptions(seed=seed, steps=40))
    assert report.findings == ()
    assert report.measurements["lr_answer"]["outcome"] == "found"
