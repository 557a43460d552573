"""The rules on growth at the start: boundaries, and what looks guilty and is not."""

import math
from dataclasses import replace

import pytest
from rule_sections import judged

from dltool.core.measured.init_stats import Growth, InitLayer, InitLayers, SignalGrowth
from dltool.core.measured.training import UnitShare
from dltool.rules.base import Skip
from dltool.rules.initialisation.exploding_activations import ExplodingActivations
from dltool.rules.initialisation.exploding_gradients_at_init import ExplodingGradientsAtInit
from dltool.rules.initialisation.vanishing_activations import VanishingActivations
from dltool.rules.initialisation.vanishing_gradients_at_init import VanishingGradientsAtInit

LEVEL = Growth(factor=1.0, per_layer=1.0, steady=True, layers=10, blocks=0, start="a", end="z")
BACK = replace(LEVEL, start="z", end="a")
GROWTH = SignalGrowth(forward=LEVEL, backward=BACK, samples=512, variance_ratio=1.0)
LAYER = InitLayer(
    name="a", kind="Linear", depth=0, call=0, role="weights", activation=None, output_shape=(4,), parameters=20,
    trainable=True, is_output=False, inside=None, mean=0.0, std=1.0, signal_std=1.0, gradient_norm=1.0,
    weight_gradient_norm=1.0,
)  # fmt: skip
EVERY = (VanishingActivations, ExplodingActivations, VanishingGradientsAtInit, ExplodingGradientsAtInit)


def ask(rule, growth=GROWTH, *layers):
    return judged(rule, growth, InitLayers(layers=layers or (LAYER,)))


def forward(**changes):
    return replace(GROWTH, forward=replace(LEVEL, **changes))


def backward(**changes):
    return replace(GROWTH, backward=replace(BACK, **changes))


def share(lower):
    return UnitShare(share=lower, lower=lower, upper=1.0, tolerance_ratio=0.01, units=64, observations=512)


@pytest.mark.parametrize("rule", EVERY)
def test_a_level_net_passes(rule):
    assert list(ask(rule)) == []


@pytest.mark.parametrize(
    ("rule", "change", "factor", "fires"),
    [
        (VanishingActivations, forward, 1e-3, True),
        (VanishingActivations, forward, 1.01e-3, False),
        (VanishingActivations, forward, math.nan, True),
        (ExplodingActivations, forward, 100.0, True),
        (ExplodingActivations, forward, 99.0, False),
        (ExplodingActivations, forward, math.nan, True),
        (VanishingGradientsAtInit, backward, 1e-3, True),
        (VanishingGradientsAtInit, backward, 1.01e-3, False),
        (VanishingGradientsAtInit, backward, math.nan, True),
        (ExplodingGradientsAtInit, backward, 200.0, True),
        (ExplodingGradientsAtInit, backward, 199.0, False),
        (ExplodingGradientsAtInit, backward, math.nan, True),
    ],
)
def test_the_limit_and_what_makes_no_trend(rule, change, factor, fires):
    assert len(ask(rule, change(factor=factor))) == fires
    assert len(ask(rule, change(factor=factor, steady=False))) == 0
    assert len(ask(rule, change(factor=factor, layers=3))) == 0
    assert isinstance(ask(rule, replace(change(factor=factor), input_finite=False)), Skip)


@pytest.mark.parametrize("rule", EVERY)
def test_nothing_to_follow_is_a_skip(rule):
    assert isinstance(ask(rule, replace(GROWTH, forward=None, backward=None)), Skip)


def test_a_cut_fires_at_any_depth_but_for_a_head_that_starts_at_zero():
    cut = {"factor": 0.0, "cut_at": "b", "layers": 2}
    assert ask(VanishingActivations, forward(**cut))[0].where.module == "b"
    assert ask(VanishingGradientsAtInit, backward(**cut))[0].where.module == "b"
    assert isinstance(ask(VanishingGradientsAtInit, replace(backward(**cut), zero_head=True)), Skip)


def test_what_is_not_finite_is_blamed_on_the_way_where_it_came_up():
    bad = {"factor": math.inf, "non_finite_at": "b"}
    assert ask(ExplodingActivations, forward(**bad))[0].where.module == "b"
    assert ask(ExplodingGradientsAtInit, backward(**bad))[0].where.module == "b"
    both = replace(forward(**bad), backward=replace(BACK, **bad))
    assert isinstance(ask(ExplodingGradientsAtInit, both), Skip)


@pytest.mark.parametrize(("lower", "output", "fires"), [(0.9, False, True), (0.89, False, False), (1.0, True, False)])
def test_dead_layers(lower, output, fires):
    layer = replace(LAYER, dead=share(lower), is_output=output)
    assert len(ask(VanishingActivations, GROWTH, layer)) == fires


@pytest.mark.parametrize(("lower", "output", "fires"), [(0.5, False, True), (0.49, False, False), (1.0, True, False)])
def test_saturated_layers(lower, output, fires):
    layer = replace(LAYER, saturated=share(lower), saturated_values=0.9, is_output=output)
    assert len(ask(VanishingGradientsAtInit, GROWTH, layer)) == fires


@pytest.mark.parametrize(
    ("factor", "steps", "fires"),
    [(10.0, 4, True), (10.0, 3, False), (0.5, 1000, False), (1.001, 100, False), (math.inf, 2, True), (math.nan, 9, True)],
)
def test_growth_through_time(factor, steps, fires):
    layer = replace(LAYER, through_time=factor, time_steps=steps)
    assert len(judged(ExplodingGradientsAtInit, GROWTH, InitLayers(layers=(layer,)), through_time=999.0)) == fires


def test_weights_are_blamed_only_for_what_they_can_have_done():
    small, large = replace(forward(factor=1e-9), variance_ratio=0.1), replace(forward(factor=1e-9), variance_ratio=10.0)
    assert "variance is 0.1 times" in ask(VanishingActivations, small)[0].cause
    assert ask(VanishingActivations, large)[0].cause is None
    assert "variance is 10 times" in ask(ExplodingActivations, replace(forward(factor=1e9), variance_ratio=10.0))[0].cause
