import math
from dataclasses import replace

import pytest
from rule_sections import GOOD, NOTHING, OPTIMISATION, OUTPUT, fit, judged, layer, parameter, share, summary

from dltool.core.finding import Severity
from dltool.core.measured.training import Layers, Parameters
from dltool.rules.activations.collapsed_representation import CollapsedRepresentation
from dltool.rules.activations.dead_relu import DeadRelu
from dltool.rules.activations.saturated_activation import SaturatedActivation
from dltool.rules.base import Skip


def layers(*records):
    return Layers(layers=records)


@pytest.mark.parametrize(
    ("dead", "fires"),
    [
        (share(1.0), True),
        (share(0.4), True),
        (share(math.nan), True),
        (share(math.inf), True),
        (share(0.399), False),
        (share(0.0, seen=0.9), False),  # sparse: seldom seen to fire, and not proven dead
    ],
)
def test_dead_units_count_once_they_are_proven(dead, fires):
    findings = judged(DeadRelu, layers(layer(dead=dead)), NOTHING)
    assert [f.where.module for f in findings] == ["relu"] * fires


def test_dead_relu_of_a_run_that_learnt_is_a_warning_and_the_threshold_is_the_users():
    one = layers(layer(dead=share(0.5)))
    assert judged(DeadRelu, one, NOTHING)[0].severity is Severity.ERROR
    assert judged(DeadRelu, one, GOOD)[0].severity is Severity.INFO
    assert judged(DeadRelu, one, NOTHING, fraction=0.6) == []


def test_dead_units_are_no_disease_where_they_are_spare_or_the_signal_stops_elsewhere():
    half, all_dead = layer(dead=share(0.5)), layer("other", dead=share(1.0))
    assert judged(DeadRelu, layers(half), fit("overfitting", 0.9))[0].severity is Severity.INFO
    assert judged(DeadRelu, layers(half), fit("ignores-input", 0.0))[0].severity is Severity.INFO
    assert {f.severity for f in judged(DeadRelu, layers(half, all_dead), fit("ignores-input", 0.0))} == {Severity.ERROR}


@pytest.mark.parametrize(("at_start", "dead", "saturated"), [(0.4, 0, 99), (0.5, 0, 0), (0.39, 99, 99), (None, None, 99)])
def test_step_tells_units_that_were_idle_from_the_start(at_start, dead, saturated):
    steps = Parameters(parameters=(), steps=100)
    one = layers(layer(dead=share(0.5), idle_at_start=at_start))
    assert [f.where.step for f in judged(DeadRelu, one, NOTHING, steps)] == [dead]
    one = layers(layer(saturated=share(0.5), idle_at_start=at_start))
    assert [f.where.step for f in judged(SaturatedActivation, one, NOTHING, steps)] == [saturated]


def test_a_layer_that_was_half_dead_at_the_start_and_lost_the_rest_died_on_the_way():
    steps = Parameters(parameters=(), steps=100)
    (died,) = judged(DeadRelu, layers(layer(dead=share(1.0), idle_at_start=0.45)), NOTHING, steps)
    (born,) = judged(DeadRelu, layers(layer(dead=share(1.0), idle_at_start=0.5)), NOTHING, steps)
    assert (died.where.step, born.where.step) == (99, 0)
    assert "learning rate" in died.advice[0]
    assert "before the first step" in born.advice[0]


def test_output_layers_and_other_activations_are_left_out():
    assert isinstance(judged(DeadRelu, layers(layer(dead=share(1.0), is_output=True), layer("tanh"))), Skip)
    assert isinstance(judged(SaturatedActivation, layers(layer(saturated=share(1.0), is_output=True))), Skip)


def test_a_shared_relu_is_judged_once_by_its_worst_call():
    shared = layers(layer(dead=share(0.5)), layer(dead=share(0.9), call=1), layer("other", dead=share(0.6)))
    findings = judged(DeadRelu, shared)
    assert [(f.where.module, f.evidence["dead_lower"]) for f in findings] == [("relu", 0.9), ("other", 0.6)]


@pytest.mark.parametrize(("lower", "fires"), [(0.5, True), (0.49, False), (1.0, True), (math.nan, True)])
def test_saturated(lower, fires):
    tanh = layers(layer("tanh", "Tanh", activation="tanh", saturated=share(lower)))
    assert len(judged(SaturatedActivation, tanh, NOTHING)) == fires
    assert all(f.severity is Severity.INFO for f in judged(SaturatedActivation, tanh, GOOD))


@pytest.mark.parametrize(
    ("spread", "verdict", "fires"),
    [
        (0.0, NOTHING, True),
        (1e-4, NOTHING, True),
        (1.1e-4, NOTHING, False),
        (math.nan, NOTHING, True),
        (1e-5, GOOD, False),  # a target that hardly varies around a large mean
        (0.05, NOTHING, False),  # a fresh net
    ],
)
def test_collapsed(spread, verdict, fires):
    assert len(judged(CollapsedRepresentation, replace(OUTPUT, spread_ratio=spread), verdict)) == fires


@pytest.mark.parametrize(
    ("decay", "last", "told"),
    [(1.0, 0.1, True), (1.0, 0.11, False), (1.0, math.nan, False), (0.0, 1e-3, False)],
)
def test_collapse_by_penalties_says_so(decay, last, told):
    weight = parameter("l.weight", weight_norm=replace(summary(1.0), last=last))
    sections = (Parameters(parameters=(weight,), steps=10), replace(OPTIMISATION, weight_decay=decay))
    finding = judged(CollapsedRepresentation, replace(OUTPUT, spread_ratio=0.0), fit("ignores-input"), *sections)[0]
    assert (finding.cause is not None) == told
    assert finding.advice[0].startswith("lower the weight decay") == told


def test_collapse_is_not_judged_where_it_was_not_measured_or_the_run_blew_up():
    assert isinstance(judged(CollapsedRepresentation, replace(OUTPUT, spread_ratio=None)), Skip)
    assert isinstance(judged(CollapsedRepresentation, replace(OUTPUT, spread_ratio=0.0), fit("diverged")), Skip)
