"""The specs that are shipped: healthy ones stay silent, broken ones name their rule."""

from pathlib import Path

import pytest
from design_specs import asked

from dltool.specs.design.of_spec import design_of
from dltool.specs.load import load

ROOT = Path(__file__).parents[3]
HEALTHY = sorted((ROOT / "sample_configs/healthy").glob("*.yaml"))
STARTERS = sorted((ROOT / "dltool/specs/starters").glob("*.yaml"))
BROKEN = {
    "softmax_before_cross_entropy": "softmax-before-cross-entropy",
    "symmetric_init": "constant-init",
    "dying_relu": "learning-rate-out-of-range",
    "rate_too_low": "learning-rate-out-of-range",
    "deep_sigmoid": "init-activation-mismatch",
    "exploding_linear": "missing-nonlinearity",
    "vanishing_linear": "missing-nonlinearity",
}


@pytest.mark.parametrize("path", [*HEALTHY, *STARTERS], ids=lambda path: path.stem)
def test_healthy_samples_and_starters_are_silent(path):
    findings, _ = asked(design_of(load(str(path)), look_at_data=path.stem != "images"))
    assert findings == []


@pytest.mark.parametrize(("sample", "name"), BROKEN.items())
def test_broken_samples_name_their_rule(sample, name):
    findings, _ = asked(design_of(load(str(ROOT / f"sample_configs/broken/{sample}.yaml"))))
    assert [finding.name for finding in findings] == [name]


@pytest.mark.parametrize("sample", ["memorising", "too_small", "unnormalised_target", "shuffled_labels", "saturated_tanh"])
def test_what_only_a_run_can_tell_is_not_guessed(sample):
    findings, _ = asked(design_of(load(str(ROOT / f"sample_configs/broken/{sample}.yaml"))))
    assert findings == []
