import math
from dataclasses import replace

import pytest
from rule_sections import GOOD, NOTHING, OPTIMISATION, fit, judged, parameter, stack, summary

from dltool.core.finding import Severity
from dltool.core.measured.training import GradientTrace, Mixing, Parameters
from dltool.rules.base import Skip
from dltool.rules.gradients.batch_mixing import BatchMixing
from dltool.rules.gradients.exploding_gradient import ExplodingGradient
from dltool.rules.gradients.parameter_not_optimised import ParameterNotOptimised
from dltool.rules.gradients.parameter_without_gradient import ParameterWithoutGradient
from dltool.rules.gradients.vanishing_gradient import VanishingGradient

VANISHING = [10.0 ** (i - 8) for i in range(8)]
SLOW = [1e-8] * 7 + [1e-3]


@pytest.mark.parametrize(
    ("parameters", "verdict", "fires"),
    [
        (stack(VANISHING, SLOW), NOTHING, True),
        (stack(VANISHING, SLOW), fit("not-converged", 0.2), True),
        (stack(VANISHING, 1e-3), NOTHING, True),  # Adam moves every layer, and still nothing was learnt
        (stack(VANISHING, math.nan), fit("underfitting", 0.1), True),
        # healthy, though they look guilty
        (stack(VANISHING, 1e-3), fit("not-converged", 0.2), False),  # Adam moves every layer, and it learns
        (stack(VANISHING, SLOW), GOOD, False),
        (stack([1e-9] * 8, 1e-8), NOTHING, False),  # tiny everywhere: no trend (a rate that is too low)
        (stack([1e-3, 1e-9, 1e-3, 1e-3, 1e-3, 1e-3], 1e-8), NOTHING, False),  # one odd layer is no trend
        (stack([0.41**i for i in range(6, 0, -1)], 1e-4), NOTHING, False),  # PyTorch's default initialisation, six layers
        (stack(list(reversed(VANISHING)), SLOW), NOTHING, False),
    ],
)
def test_vanishing_needs_a_trend_and_a_harm(parameters, verdict, fires):
    findings = judged(VanishingGradient, parameters, verdict)
    assert len(findings) == fires
    if fires:
        assert findings[0].where.parameter == "l0.weight"
        assert findings[0].severity is Severity.ERROR


@pytest.mark.parametrize(("decay", "fires"), [(1e-3, True), (1.01e-3, False)])
def test_vanishing_boundary(decay, fires):
    rms = [decay ** ((7 - i) / 7) for i in range(8)]
    assert len(judged(VanishingGradient, stack(rms, SLOW), NOTHING, decay=1e-3 * (1 + 1e-9))) == fires


@pytest.mark.parametrize(("first", "step"), [(VANISHING, 0), ([1e-3] * 8, None)])
def test_vanishing_from_the_start_is_told_from_vanishing_later(first, step):
    records = zip(stack(VANISHING, SLOW).parameters, first, strict=True)
    changed = tuple(replace(r, gradient_rms=summary(r.gradient_rms.median, first=f)) for r, f in records)
    assert [f.where.step for f in judged(VanishingGradient, Parameters(parameters=changed, steps=10), NOTHING)] == [step]


@pytest.mark.parametrize(
    ("growth", "verdict", "fires"),
    [
        (11.0, fit("diverged"), True),
        (9.9, fit("diverged"), False),
        (11.0, NOTHING, False),
        (69.0, NOTHING, False),
    ],
)
def test_a_run_that_blew_up_needs_less_growth(growth, verdict, fires):
    assert len(judged(ExplodingGradient, stack([growth ** (i / 7) for i in range(7, -1, -1)]), verdict)) == fires


def test_parameters_that_no_module_registered():
    hidden = Parameters(parameters=(parameter("head.weight"),), steps=10, unregistered=((64, 64), (64,)))
    finding = judged(ParameterNotOptimised, hidden)[0]
    assert "2 parameters" in finding.message
    assert "nn.ModuleList" in finding.advice[0]


def test_update_ratio_at_its_limit_is_healthy():
    assert judged(VanishingGradient, stack(VANISHING, 1e-5), fit("underfitting", 0.1)) == []
    assert judged(VanishingGradient, stack(VANISHING, 0.99e-5), fit("underfitting", 0.1))


def test_biases_see_what_weights_of_a_shrinking_signal_do_not():
    weights = [parameter(f"l{i}.weight", i, rms=1e-9, update=1e-8) for i in range(8)]
    biases = [parameter(f"l{i}.bias", i, rms=r) for i, r in enumerate(VANISHING)]
    together = Parameters(parameters=(*weights, *biases), steps=10)
    assert judged(VanishingGradient, together, NOTHING)
    assert judged(VanishingGradient, Parameters(parameters=tuple(weights), steps=10), NOTHING) == []


def test_frozen_embeddings_and_normalisation_are_left_out():
    tail = [parameter(f"l{i}.weight", i + 3, rms=1e-3) for i in range(5)]
    odd = (
        parameter("frozen.weight", 0, rms=1e-12, update=0.0, requires_grad=False),
        parameter("emb.weight", 1, rms=1e-12, update=1e-9, role="embedding"),
        parameter("norm.weight", 2, rms=1e-12, update=1e-9, role="normalisation"),
    )
    assert judged(VanishingGradient, Parameters(parameters=(*odd, *tail), steps=10), NOTHING) == []


def test_three_layers_are_too_few():
    assert isinstance(judged(VanishingGradient, stack([1e-9, 1e-5, 1.0], 1e-9), NOTHING), Skip)
    assert isinstance(judged(ExplodingGradient, stack([1e9, 1e5, 1.0])), Skip)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_non_finite_gradients_have_no_trend(bad):
    assert isinstance(judged(VanishingGradient, stack([bad, 1e-4, 1e-3, 1e-2]), NOTHING), Skip)


EXPLODING = list(reversed([10.0 ** (i - 8) for i in range(8)]))
FLAT = stack([1e-3] * 5)


def trace(*norms):
    return GradientTrace(steps=tuple(range(len(norms))), norms=norms)


@pytest.mark.parametrize(
    ("sections", "step"),
    [
        ((stack(EXPLODING), fit("diverged")), 0),
        ((stack(EXPLODING), NOTHING), 0),
        ((stack(EXPLODING),), 0),
        ((FLAT, trace(*[1.0] * 10, 5.0, 2e3), fit("diverged")), 11),
        ((FLAT, trace(*[1.0] * 10, math.inf), fit("diverged")), 10),
        ((FLAT, trace(*[1.0] * 10, math.nan), fit("diverged")), 10),
        # healthy
        ((stack(EXPLODING), GOOD), None),  # clipped, and it learns
        ((FLAT, trace(*[1.0] * 10, 2e3), GOOD), None),
        ((FLAT, trace(*[1.0] * 10, 1e3), NOTHING), None),
        ((stack([1e-3, 5e-2, 1e-3, 8e-3, 2e-3]), NOTHING), None),
        ((FLAT, trace(math.nan, math.nan), NOTHING), None),
    ],
)
def test_exploding_over_depth_or_over_steps(sections, step):
    findings = judged(ExplodingGradient, *sections, OPTIMISATION)
    assert [f.where.step for f in findings] == ([] if step is None else [step])


@pytest.mark.parametrize(("growth", "fires"), [(70.0, True), (69.0, False)])
def test_exploding_boundary(growth, fires):
    rms = [growth ** ((5 - i) / 5) for i in range(6)]
    assert len(judged(ExplodingGradient, stack(rms), NOTHING, growth=70.0 * (1 - 1e-9))) == fires


def test_the_first_look_counts_not_the_median():
    later = [parameter(f"l{i}.weight", i, gradient_rms=summary(r, first=1e-3)) for i, r in enumerate(EXPLODING)]
    assert judged(ExplodingGradient, Parameters(parameters=tuple(later), steps=9), NOTHING) == []


def test_no_gradient_at_all_is_reported_by_module():
    records = (
        parameter("a.weight", gradient="none"),
        parameter("a.bias", gradient="none"),
        parameter("b.weight", gradient="zero"),
        parameter("c.weight", gradient="unseen"),
        parameter("d.weight", gradient="none", requires_grad=False),
        parameter("e.weight"),
    )
    findings = judged(ParameterWithoutGradient, Parameters(parameters=records, steps=10))
    assert [(f.where.module, f.evidence["parameters"]) for f in findings] == [("a", ["a.weight", "a.bias"])]


def test_left_out_of_the_optimizer():
    records = (
        parameter("a.weight", in_optimizer=False),
        parameter("b.weight", in_optimizer=False, requires_grad=False),
        parameter("c.weight", in_optimizer=False, gradient="none"),
        parameter("d.weight", in_optimizer=False, gradient="zero"),
        parameter("e.weight"),
    )
    findings = judged(ParameterNotOptimised, Parameters(parameters=records, steps=10))
    assert [f.where.module for f in findings] == ["a", "d"]


@pytest.mark.parametrize(
    ("change", "fires"), [(0.0, False), (1e-6, False), (1e-3, False), (1.1e-3, True), (math.inf, True), (math.nan, True)]
)
def test_mixing(change, fires):
    assert len(judged(BatchMixing, Mixing(batch_size=8, largest_change_ratio=change))) == fires


def test_mixing_cannot_be_told_of_one_sample_or_a_spoilt_model():
    assert isinstance(judged(BatchMixing, Mixing(batch_size=1, largest_change_ratio=1.0)), Skip)
    assert isinstance(judged(BatchMixing, Mixing(batch_size=8, largest_change_ratio=math.nan), fit("diverged")), Skip)
