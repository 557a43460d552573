"""What is not told by one operator alone: settings of the optimizer, values that were bad before, growth, advice."""

import math
from dataclasses import replace

import pytest
from plain_events import INFINITE, bad, cause, event, facts, grown, mechanism

from dltool.core.measured.non_finite import NonFiniteEvent
from dltool.rules.nonfinite.why.case import Case
from dltool.rules.nonfinite.why.registry import explain

INF, NAN = math.inf, math.nan

LARGE = (facts(high=1e30), facts(high=1.0))


def update(aten, *operands, settings=None, dtype="float32", output=None, **more):
    inputs = tuple(facts(dtype=dtype, low=min(v, 0.0), high=v) for v in operands)
    settings = {"optimizer": "Adam", "lr": 1e-3, "eps": 1e-8, "betas": [0.9, 0.999]} | (settings or {})
    return event(aten, *operands, inputs=inputs, settings=settings, phase="optimizer", parameter="w", output=output, **more)


def test_eps_is_blamed_where_it_is_or_becomes_zero_and_the_divisor_is():
    step = "aten.addcdiv_.default"
    assert mechanism(update(step, 1.0, 0.0, 0.0, settings={"eps": 0})) == "eps-of-zero"
    assert mechanism(update(step, 1.0, 0.0, 0.0, dtype="float16")) == "eps-of-zero"
    assert mechanism(update(step, 1.0, 0.0, 0.0, dtype="bfloat16")) == "divisor-of-zero"
    assert mechanism(update(step, 1.0, 0.0, 0.0, dtype="float16", settings={"eps": 1e-7})) == "divisor-of-zero"
    assert mechanism(update(step, 1.0, 0.0, 1e-8, settings={"eps": 0})) == "finite-to-non-finite"


def test_a_fused_step_is_told_by_gradient_and_state():
    zero = {"minimum": 0.0, "maximum": 1.0, "nan": 0, "inf": 0}
    settings = {"optimizer": "Adam", "eps": 0.0, "gradient": zero, "state": {"exp_avg_sq": zero}}
    given = event("aten._fused_adam_.default", inputs=(facts(), facts()), phase="optimizer", settings=settings)
    assert mechanism(given) == "eps-of-zero"
    positive = {"minimum": 0.1, "maximum": 1.0, "nan": 0, "inf": 0}
    assert mechanism(replace(given, settings=settings | {"state": {"exp_avg_sq": positive}})) == "finite-to-non-finite"


@pytest.mark.parametrize("value", [NAN, INF, "NaN", "-Infinity"])
def test_a_setting_that_is_no_number_comes_first(value):
    given = update("aten.add_.Tensor", 1.0, 1.0, settings={"weight_decay": value})
    assert mechanism(given) == "bad-setting"
    assert "the optimizer's weight_decay is" in cause(given)
    assert mechanism(replace(given, phase="loss")) != "bad-setting"


def test_betas_of_one():
    given = update("aten.addcdiv_.default", 1.0, 1.0, 0.0, settings={"betas": [0.9, 1.0]})
    assert mechanism(given) == "bias-correction-of-zero"
    assert mechanism(update("aten.addcdiv_.default", 1.0, 1.0, 0.0)) == "divisor-of-zero"


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (("AdamW", 1.0, 3.0, 0.0, 2e38), "decay-runaway"),
        (("SGD", 1.0, 3.0, 0.0, 2e38), "decay-runaway"),
        (("SGD", 1.0, 2.0, 0.0, 2e38), "overflow"),
        (("SGD", 1.0, 3.0, 0.9, 2e38), "overflow"),
        (("SGD", 1.0, 3.0, 0.0, 1e3), "overflow"),
        (("SGD", NAN, 3.0, 0.0, 2e38), "bad-setting"),
        (("Adam", 1.0, 3.0, 0.0, 2e38), "overflow"),  # divides its decay by the size of the gradient that it is part of
    ],
)
def test_decay_runs_away_above_two_over_the_rate_and_only_near_the_end_of_the_type(row, expected):
    optimizer, lr, decay, momentum, before = row
    span = {"minimum": -before, "maximum": before, "nan": 0, "inf": 0}
    settings = {"optimizer": optimizer, "lr": lr, "weight_decay": decay, "momentum": momentum, "before": span}
    given = update("aten.mul_.Tensor", 2e38, settings=settings, output=INFINITE, arguments={"other": 1 - 3.0})
    assert mechanism(given) == expected


def test_an_optimizer_state_that_was_bad_before_is_named():
    given = NonFiniteEvent(
        phase="optimizer", step=0, value="nan", count=2, parameter="w", source="exp_avg_sq", output=bad(nan=2)
    )
    assert cause(given) == "the optimizer's exp_avg_sq held 2 NaN among 4 values before the step: restored with a checkpoint"


def test_a_gradient_that_was_bad_is_told_where_no_operator_tells_more():
    settings = {"gradient": {"minimum": None, "maximum": None, "nan": 3, "inf": 1}}
    given = NonFiniteEvent(phase="optimizer", step=1, value="nan", count=1, settings=settings)
    assert cause(given) == "the gradient that the step used held 3 NaN and 1 Inf"
    assert mechanism(replace(given, settings={"gradient": None})) is None


@pytest.mark.parametrize(
    ("largest", "expected"),
    [(1.8e38, "uninitialised"), (1e10, "uninitialised"), (9e9, "bad-parameter"), (0.1, "bad-parameter"),
     (0.0, "bad-parameter"), (1e-38, "uninitialised")],
)  # fmt: skip
def test_only_absurd_numbers_tell_memory_that_nobody_wrote(largest, expected):
    held = facts(low=0.0, high=largest, nan=1, zeros=2)
    assert mechanism(NonFiniteEvent(phase="parameter", step=0, value="nan", count=1, parameter="w", output=held)) == expected


def test_a_whole_sample_of_nan_is_told_from_a_single_one():
    image = bad(shape=(4, 3, 2), nan=6)
    given = NonFiniteEvent(phase="input", step=1, value="nan", count=6, samples=(2,), source="input", output=image)
    assert "a constant sample is scaled by its own spread" in cause(given)
    assert "constant" not in cause(replace(given, output=bad(shape=(4, 3, 2), nan=5)))
    assert "constant" not in cause(replace(given, output=bad(shape=(4,), nan=1)))
    assert "float16 ends at 65504" in cause(replace(given, output=bad("float16", positive_inf=1)))


@pytest.mark.parametrize(
    ("steps", "ratio", "told"),
    [
        (3, 3.0, True),
        (2, 99.0, False),
        (2, 101.0, True),
        (1, 1e4 + 1, True),
        (1, 9e3, False),
        (3, 2.1, False),
        (30, 1.1, True),
        (0, NAN, False),
        (5, NAN, True),
        (5, INF, True),
    ],
)
def test_growth_is_told_from_three_steps_and_tenfold_on_or_after_a_leap(steps, ratio, told):
    overflow = event("aten.exp.default", 100.0, output=INFINITE, settings={"lr": 0.5, "optimizer": "SGD"})
    found = explain(Case(overflow, grown(steps, ratio)))
    assert found.mechanism == "overflow"
    assert ("gradients had grown" in found.cause) is told
    assert found.advice[0].startswith("lower the learning rate to 0.05") is told
    assert found.advice[0].endswith("`optimizer: {sgd: {lr: 0.05}}` in a spec, lr= in code") is told


def test_growth_does_not_explain_a_division_by_zero_but_what_nothing_else_explains():
    assert "grown" not in cause(event("aten.div.Tensor", 1.0, 0.0), grown(9, 9.0))
    assert mechanism(NonFiniteEvent(phase="loss", step=9, value="nan", count=1), grown(9, 9.0)) == "growth"
    assert mechanism(NonFiniteEvent(phase="parameter", step=9, value="nan", count=1), grown(9, 9.0)) == "bad-parameter"


def test_advice_does_not_ask_for_what_the_run_does_already():
    def advice(settings, lead_up):
        given = event("aten.mul.Tensor", 1e30, 1e30, output=INFINITE, settings=settings)
        return " ".join(explain(Case(given, lead_up)).advice)

    growth = grown(9, 9.0)
    assert "clip" not in advice({"lr": 0.0, "clip_norm": 1.0}, growth)
    assert "learning rate" not in advice({"lr": 0.0, "clip_norm": 1.0}, growth)
    assert "clip_norm: 1.0" in advice({"clip_norm": 50.0}, growth)
    assert "learning rate to 0.01" in advice({"lr": 0.1}, growth)


@pytest.mark.parametrize("lead_up", [None, grown(0, 1.0), grown(2, 2.0)])
def test_without_growth_that_was_measured_nobody_is_told_to_lower_the_rate_or_to_clip(lead_up):
    for aten, operands in (("aten.mul.Tensor", (1e30, 1e30)), ("aten.pow.Tensor_Scalar", (1e30, 2.0))):
        given = event(aten, *operands, output=INFINITE, settings={"lr": 0.1, "optimizer": "SGD"})
        advice = " ".join(explain(Case(given, lead_up)).advice)
        assert "learning rate" not in advice
        assert "clip_norm" not in advice


def test_growth_under_a_decay_that_runs_away_is_the_decays_and_not_the_rates():
    def told(optimizer, decay, lead_up):
        settings = {"optimizer": optimizer, "lr": 1e-3, "weight_decay": decay}
        return explain(Case(event("aten.mse_loss.default", inputs=LARGE, output=INFINITE, settings=settings), lead_up))

    found = told("SGD", 1e5, grown(4, 99.0))
    assert found.mechanism == "decay-runaway"
    assert "lr × weight_decay is 100, so that every step multiplies a weight by -99; gradients had grown" in found.cause
    assert found.advice[0].startswith("lower the decay")
    assert not any("learning rate" in line for line in found.advice)
    for optimizer, decay, lead_up in (("SGD", 1e-2, grown(4, 99.0)), ("SGD", 1e5, None), ("Adam", 1e5, grown(4, 99.0))):
        assert told(optimizer, decay, lead_up).mechanism == "overflow"


def test_a_ratio_that_overflows_itself_is_not_printed():
    given = event("aten.mse_loss.default", inputs=LARGE, output=INFINITE)
    assert cause(given, grown(5, INF)).startswith("gradients had grown more than 1e+06-fold a step for 5 steps")
    assert cause(given, grown(5, 1e102)).startswith("gradients had grown more than 1e+06-fold a step for 5 steps")


def test_fill_values_and_first_steps_tell_where_a_huge_number_comes_from():
    def product(high, step):
        inputs = (facts(high=high), facts(high=1e10))
        return event("aten.mul.Tensor", high, 1e10, inputs=inputs, output=INFINITE, step=step)

    assert "is what files hold for a missing value" in cause(product(9.969209968386869e36, 5))
    assert "before the first update" in cause(product(1e30, 0))
    assert cause(product(1e30, 5)).endswith("ends at 3.403e+38")


def test_a_step_that_cannot_be_repeated_is_not_explained_by_what_it_did():
    given = event("aten.div.Tensor", 1.0, 0.0, source="unrepeatable")
    assert mechanism(given) == "unrepeatable"
    assert mechanism(replace(given, source="compiled")) == "compiled-only"


def test_a_gradient_hook_computes_forward():
    given = event("aten.div.Tensor", 0.0, 0.0, phase="backward", op="AccumulateGrad")
    assert mechanism(given) == "divisor-of-zero"
    assert mechanism(replace(given, op="DivBackward0", forward_op="div")) == "unselected-branch"
