import math
from dataclasses import replace

import pytest
from rule_sections import GOOD, NOTHING, OUTPUT, REGRESSION, TASK, judged, parameter

from dltool.core.finding import Severity
from dltool.core.measured.training import Parameters, SymmetricUnits, Symmetry
from dltool.rules.base import Skip
from dltool.rules.initialisation.surprising_initial_loss import SurprisingInitialLoss
from dltool.rules.initialisation.symmetric_units import SymmetricUnitsAtStart
from dltool.rules.spec.softmax_before_cross_entropy import SoftmaxBeforeCrossEntropy

TRAINED = Parameters(parameters=(parameter("a.weight"),), steps=10)


@pytest.mark.parametrize(
    ("weights", "gradients", "last", "fires"),
    [
        (1, 1, 1, True),
        (32, 32, 32, True),  # half: the boundary
        (33, 1, 1, False),
        (1, 64, 64, False),  # a head that starts at zero
        (1, 1, 64, False),  # dropout broke the symmetry
        (64, 64, 64, False),
    ],
)
def test_symmetric_units(weights, gradients, last, fires):
    units = SymmetricUnits(
        module="a",
        parameter="a.weight",
        units=64,
        distinct_weights=weights,
        distinct_gradients=gradients,
        distinct_weights_last=last,
    )
    assert len(judged(SymmetricUnitsAtStart, Symmetry(layers=(units,)), TRAINED)) == fires


def test_frozen_filters_may_be_alike_and_without_steps_nothing_is_known():
    units = SymmetricUnits(
        module="a", parameter="a.weight", units=8, distinct_weights=1, distinct_gradients=1, distinct_weights_last=1
    )
    frozen = Parameters(parameters=(parameter("a.weight", requires_grad=False),), steps=10)
    assert judged(SymmetricUnitsAtStart, Symmetry(layers=(units,)), frozen) == []
    assert isinstance(judged(SymmetricUnitsAtStart, Symmetry(layers=(units,)), replace(TRAINED, steps=0)), Skip)


@pytest.mark.parametrize(
    ("start", "fires"),
    [(2.3, False), (3.7, False), (6.9, False), (6.91, True), (14.0, True), (0.2, False)],
)
def test_initial_loss(start, fires):
    output = replace(OUTPUT, initial_loss=start, expected_initial_loss=2.3)
    assert len(judged(SurprisingInitialLoss, output, TASK, NOTHING, ratio=3.0 * (1 + 1e-9))) == fires
    assert all(f.severity is Severity.INFO for f in judged(SurprisingInitialLoss, output, TASK, GOOD))


@pytest.mark.parametrize(
    ("output", "task"),
    [
        (OUTPUT, REGRESSION),
        (replace(OUTPUT, initial_loss=None), TASK),
        (replace(OUTPUT, expected_initial_loss=None), TASK),
        (replace(OUTPUT, expected_initial_loss=math.nan), TASK),
        (replace(OUTPUT, expected_initial_loss=0.0), TASK),
        (replace(OUTPUT, initial_loss=math.nan), TASK),  # another rule's matter, and no cause of what made it so
        (replace(OUTPUT, initial_loss=math.inf), TASK),
    ],
)
def test_initial_loss_without_something_to_expect(output, task):
    assert isinstance(judged(SurprisingInitialLoss, output, task), Skip)


SOFTMAX = replace(OUTPUT, rows_sum_to_one=True, non_negative=True, final_activation="softmax")


@pytest.mark.parametrize(
    ("output", "fires"),
    [
        (SOFTMAX, True),
        (replace(SOFTMAX, final_activation=None), True),  # a functional softmax in the user's forward
        (replace(SOFTMAX, loss_expects="probabilities"), False),
        (replace(SOFTMAX, non_negative=False), False),
        (replace(SOFTMAX, rows_sum_to_one=False, final_activation="log_softmax"), False),
        (OUTPUT, False),
    ],
)
def test_softmax_before_cross_entropy(output, fires):
    assert len(judged(SoftmaxBeforeCrossEntropy, output, TASK)) == fires


def test_softmax_before_another_loss_is_another_matter():
    assert judged(SoftmaxBeforeCrossEntropy, SOFTMAX, replace(TASK, loss="hinge")) == []
    assert isinstance(judged(SoftmaxBeforeCrossEntropy, replace(SOFTMAX, rows_sum_to_one=None), TASK), Skip)
    assert isinstance(judged(SoftmaxBeforeCrossEntropy, replace(SOFTMAX, loss_expects="unknown"), TASK), Skip)
