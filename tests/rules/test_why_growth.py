"""Growth before a bad step: which series, by how much, what lies behind it, and the rate that would have held."""

import math
from dataclasses import replace

import pytest
from plain_events import INFINITE, event, facts, grown

from dltool.core.measured.hunt import FixTrial
from dltool.rules.nonfinite.why.case import Case
from dltool.rules.nonfinite.why.registry import explain

LARGE = (facts(high=1e30), facts(high=1.0))


def explained(settings, lead_up, *trials):
    given = event("aten.mse_loss.default", inputs=LARGE, output=INFINITE, settings={"optimizer": "SGD"} | settings)
    return explain(Case(given, lead_up, trials))


def diverges(lr, momentum, curvature=1.0):
    """Heavy-ball SGD on a parabola, step by step: the factor of the last steps, or None where it converges."""
    x, buffer, seen = 1.0, 0.0, []
    for _ in range(400):
        buffer = momentum * buffer + curvature * x
        x -= lr * buffer
        seen.append(abs(x))
        if not 1e-30 < abs(x) < 1e30:
            break
    return (seen[-1] / seen[-5]) ** 0.25 if seen[-1] > 1 else None


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("lr", [4.0, 7.0, 30.0, 300.0])
def test_the_advised_rate_converges_where_the_bound_is_that_of_a_parabola(lr, momentum):
    factor = diverges(lr, momentum)
    found = explained({"lr": lr, "momentum": momentum}, grown(20, factor))
    advised = float(found.advice[0].removeprefix("lower the learning rate to ").partition(" ")[0])
    assert advised <= lr / 10 * (1 + 1e-9)
    assert diverges(advised, momentum) is None
    bound = float(found.advice[0].partition("by that growth ")[2].partition(" ")[0])
    assert bound == pytest.approx(2 * (1 + momentum), rel=0.06)


@pytest.mark.parametrize(
    ("settings", "rate"),
    [
        ({"lr": 0.1}, "0.001"),
        ({"lr": 0.1, "optimizer": "Adam"}, "0.01"),
        ({"lr": 0.1, "momentum": 0.9, "nesterov": True}, "0.01"),
        ({"lr": 0.1, "clip_norm": 5.0}, "0.01"),
        ({"lr": 0.1, "dampening": 0.5}, "0.01"),
        ({"lr": 0.3}, "0.003"),
    ],
)
def test_only_growth_of_plain_sgd_tells_a_bound(settings, rate):
    advice = explained(settings, grown(9, 99.0)).advice[0]
    assert f"`optimizer: {{{settings.get('optimizer', 'sgd').lower()}: {{lr: {rate}}}}}`" in advice
    assert ("by that growth" in advice) == (rate != "0.01")


def test_rates_that_were_tried_are_heeded():
    def rate(*trials):
        advice = explained({"lr": 0.1, "optimizer": "Adam"}, grown(9, 9.0), *trials).advice[0]
        return advice.removeprefix("lower the learning rate to ").partition(":")[0]

    def tried(ratio, healed):
        return FixTrial(fix="a lower rate", healed=healed, steps=9, rate_ratio=ratio)

    assert rate() == "0.01"
    assert rate(tried(0.1, True)) == "0.01"
    assert rate(tried(0.1, False), tried(0.01, True)) == "0.001"
    assert rate(tried(0.1, False), tried(0.01, False)) == "0.0001"
    assert rate(FixTrial(fix="the gradient norm clipped at 1", healed=True, steps=9)) == "0.01"


def test_what_grew_is_named():
    lead = grown(9, 9.0)
    assert explained({"lr": 0.1}, lead).cause.startswith("gradients had grown 9-fold a step")
    found = explained({"lr": 0.1}, replace(lead, growing="loss"))
    assert found.cause.startswith("the loss had grown 9-fold a step")
    assert "by that growth" not in found.advice[0]


@pytest.mark.parametrize(("momentum", "told"), [(0.999, False), (1.0, True), (1.9, True), (9.0, True), (math.inf, False)])
def test_a_momentum_of_one_and_more_is_cured_by_no_rate(momentum, told):
    found = explained({"lr": 0.1, "momentum": momentum}, grown(9, 1.9))
    assert (found.mechanism == "momentum-runaway") is told
    assert ("momentum: 0.9" in found.advice[0]) is told
    assert any("learning rate to" in line for line in found.advice) is not told
    assert explained({"lr": 0.1, "momentum": momentum}, None).mechanism == "overflow"


@pytest.mark.parametrize(("largest", "told"), [(1e38, True), (1e30, False)])
def test_a_momentum_buffer_that_overflows_by_itself(largest, told):
    held = {"momentum_buffer": {"minimum": -largest, "maximum": 1.0}}
    settings = {"optimizer": "SGD", "lr": 0.1, "momentum": 9.0, "state": held}
    given = event("aten.mul_.Tensor", 1e38, phase="optimizer", output=INFINITE, settings=settings, arguments={"other": 9.0})
    assert (explain(Case(given)).mechanism == "momentum-runaway") is told


@pytest.mark.parametrize(
    ("losses", "mechanism"),
    [
        ((-1.0, -1e6), "unbounded-loss"),
        ((1.0, -1e6), "unbounded-loss"),
        ((1.0, 1e6), "overflow"),
        ((-9.0, -8e4), "overflow"),
    ],
)
def test_a_loss_that_falls_for_ever_is_told_from_one_that_rises(losses, mechanism):
    assert explained({"lr": 0.1}, replace(grown(9, 9.0), losses=losses)).mechanism == mechanism
