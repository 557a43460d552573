import math
from dataclasses import replace

import pytest
from rule_sections import FACTS, GOOD, NOTHING, REGRESSION, TASK, fit, judged, layer

from dltool.core.finding import Severity
from dltool.core.measured.task import DataProblemRows
from dltool.core.measured.training import Baseline, EpochRecord, History, LabelSignal, Layers
from dltool.rules.base import Skip
from dltool.rules.data.class_imbalance import ClassImbalance
from dltool.rules.data.constant_feature import ConstantFeature
from dltool.rules.data.label_out_of_range import LabelOutOfRange
from dltool.rules.data.labels_not_zero_based import LabelsNotZeroBased
from dltool.rules.data.missing_class import MissingClass
from dltool.rules.data.non_finite_value import NonFiniteValue
from dltool.rules.data.shuffled_labels import ShuffledLabels
from dltool.rules.data.unnormalised_input import UnnormalisedInput
from dltool.rules.data.unnormalised_target import UnnormalisedTarget

ROWS = DataProblemRows(split="train", column="petal", count=7, rows=(3, 5, 8))


def test_non_finite_values_of_inputs_and_targets_are_one_finding():
    assert judged(NonFiniteValue, FACTS) == []
    spoilt = replace(FACTS, non_finite_inputs=(ROWS,), non_finite_targets=(replace(ROWS, column=None, count=1),))
    (finding,) = judged(NonFiniteValue, spoilt)
    assert finding.message.startswith("8 rows")
    assert "petal" in finding.message
    assert finding.where.samples == (3, 5, 8)


def test_constant_features_matter_less_when_the_run_learnt():
    constant = replace(FACTS, constant_features=tuple(range(12)))
    assert judged(ConstantFeature, FACTS) == []
    assert judged(ConstantFeature, constant, NOTHING)[0].severity is Severity.WARNING
    assert judged(ConstantFeature, constant, GOOD)[0].severity is Severity.INFO


@pytest.mark.parametrize(
    ("mean", "std", "fires"),
    [
        (0.0, 1.0, False),
        (0.5, 0.3, False),
        (4.9, 6.0, False),  # pixels from 0 to 16
        (0.0, 10.0, False),
        (0.0, 10.1, True),
        (33.0, 78.0, True),  # pixels from 0 to 255
        (0.0, 0.01, False),
        (0.0, 0.009, True),
        (math.nan, 1.0, True),
        (0.0, math.inf, True),
    ],
)
def test_unnormalised_input(mean, std, fires):
    assert len(judged(UnnormalisedInput, replace(FACTS, input_mean=mean, input_std=std), NOTHING)) == fires


def test_input_normalisation_inside_the_net_or_no_scale_at_all():
    raw = replace(FACTS, input_std=100.0)
    norm_first = Layers(layers=(layer("flatten", "Flatten"), layer("bn", "BatchNorm1d", parameters=8)))
    assert judged(UnnormalisedInput, raw, norm_first) == []
    assert judged(UnnormalisedInput, raw, Layers(layers=(layer("fc", "Linear", parameters=8),)))
    assert isinstance(judged(UnnormalisedInput, replace(FACTS, input_mean=None, input_std=None)), Skip)
    assert judged(UnnormalisedInput, raw, GOOD)[0].severity is Severity.INFO


@pytest.mark.parametrize(
    ("mean", "std", "fires"),
    [
        (0.0, 1.0, False),
        (10.0, 10.0, False),
        (10.1, 1.0, True),
        (-152.0, 77.0, True),
        (0.0, 11.0, True),
        (0.0, 0.001, False),
        (0.0, 0.0009, True),
        (math.nan, 1.0, True),
        (0.0, math.nan, True),
        (0.0, math.inf, True),
    ],
)
def test_unnormalised_target(mean, std, fires):
    assert len(judged(UnnormalisedTarget, replace(REGRESSION, target_mean=mean, target_std=std), NOTHING)) == fires


def test_target_scale_matters_for_squared_losses_that_did_not_learn():
    far = replace(REGRESSION, target_mean=1000.0)
    assert judged(UnnormalisedTarget, far, GOOD)[0].severity is Severity.INFO
    for task in (TASK, replace(far, loss="l1"), replace(far, target_mean=None)):
        assert isinstance(judged(UnnormalisedTarget, task), Skip)


def test_labels_outside_the_outputs():
    assert judged(LabelOutOfRange, FACTS) == []
    (finding,) = judged(LabelOutOfRange, replace(FACTS, label_max=5, out_of_range=(ROWS,)))
    assert "0 to 2" in finding.message


@pytest.mark.parametrize(
    ("low", "high", "outputs", "fires"),
    [(1, 3, 3, True), (0, 2, 3, False), (1, 2, 3, False), (0, 3, 3, False), (1, 4, 3, False)],
)
def test_labels_from_one(low, high, outputs, fires):
    facts = replace(FACTS, label_min=low, label_max=high, outputs=outputs)
    assert len(judged(LabelsNotZeroBased, facts)) == fires


def test_labels_from_one_cannot_be_told_without_labels():
    assert isinstance(judged(LabelsNotZeroBased, replace(FACTS, label_min=None)), Skip)


@pytest.mark.parametrize(("counts", "missing"), [((5, 5), None), ((5, 0, 2, 0), [1, 3]), ((), None)])
def test_missing_class(counts, missing):
    findings = judged(MissingClass, replace(TASK, class_counts=counts))
    assert [f.evidence["missing"] for f in findings] == ([] if missing is None else [missing])
    assert [f.severity for f in judged(MissingClass, replace(TASK, class_counts=(5, 0)), NOTHING)] == [Severity.WARNING]
    assert [f.severity for f in judged(MissingClass, replace(TASK, class_counts=(5, 0)), GOOD)] == [Severity.INFO]
    assert isinstance(judged(MissingClass, REGRESSION), Skip)


@pytest.mark.parametrize(
    ("counts", "fires"), [((99, 10), False), ((100, 10), True), ((100, 0, 90), False), ((1000, 1, 5), True)]
)
def test_imbalance(counts, fires):
    findings = judged(ClassImbalance, replace(TASK, class_counts=counts), NOTHING)
    assert len(findings) == fires
    assert all(f.severity is Severity.INFO for f in judged(ClassImbalance, replace(TASK, class_counts=counts), GOOD))


def test_imbalance_cannot_be_told_of_one_class():
    assert isinstance(judged(ClassImbalance, replace(TASK, class_counts=(5, 0))), Skip)
    assert isinstance(judged(ClassImbalance, REGRESSION), Skip)


SIGNAL = LabelSignal(samples=500, neighbours=5, agreement_ratio=0.1, chance_ratio=0.1, z=0.3)
TRIVIAL = Baseline(description="frequencies", train_loss=2.3, val_loss=2.3)


def validated(*losses):
    epochs = tuple(
        EpochRecord(epoch=i, step=i, lr=0.1, running_loss=1.0, train_loss=0.1, val_loss=loss)
        for i, loss in enumerate(losses)
    )
    return History(epochs=epochs, best_epoch=0)


@pytest.mark.parametrize(
    ("signal", "losses", "explained", "fires"),
    [
        (SIGNAL, (2.4, 3.0), 0.9, True),
        (replace(SIGNAL, z=math.nan), (2.4, 3.0), 0.9, True),
        (SIGNAL, (math.nan, math.nan), 0.9, True),
        (replace(SIGNAL, z=2.326), (2.4, 3.0), 0.9, False),  # neighbours agree
        (SIGNAL, (2.2, 3.0), 0.9, False),  # validation was once better than trivial
        (SIGNAL, (2.4, 3.0), 0.1, False),  # nothing was memorised: a net that does not learn
    ],
)
def test_shuffled_labels(signal, losses, explained, fires):
    assert len(judged(ShuffledLabels, signal, validated(*losses), TRIVIAL, fit("overfitting", explained))) == fires


@pytest.mark.parametrize(
    ("blocks", "fires"),
    [
        ((0.9, 0.94, 0.95, 0.92), False),  # below the baseline in every block
        ((0.5, 1.4, 0.6, 1.2), True),  # below on average, by the luck of single blocks
        ((0.9, 0.94, 0.95, math.nan), True),
        ((), False),  # no blocks to tell noise by: the margin decides
    ],
)
def test_validation_acquits_only_beyond_its_noise(blocks, fires):
    history = validated(0.93 * TRIVIAL.val_loss)
    epochs = tuple(replace(e, val_blocks=tuple(b * TRIVIAL.val_loss for b in blocks)) for e in history.epochs)
    trivial = replace(TRIVIAL, val_blocks=(TRIVIAL.val_loss,) * 4)
    assert len(judged(ShuffledLabels, SIGNAL, replace(history, epochs=epochs), trivial, fit("overfitting", 0.9))) == fires


@pytest.mark.parametrize(
    ("signal", "history", "baseline", "verdict"),
    [
        (replace(SIGNAL, samples=99), validated(3.0), TRIVIAL, fit("overfitting", 0.9)),
        (SIGNAL, validated(None), TRIVIAL, fit("overfitting", 0.9)),
        (SIGNAL, validated(3.0), replace(TRIVIAL, val_loss=None), fit("overfitting", 0.9)),
        (SIGNAL, validated(3.0), TRIVIAL, fit("overfitting", None)),
    ],
)
def test_shuffled_labels_cannot_be_told(signal, history, baseline, verdict):
    assert isinstance(judged(ShuffledLabels, signal, history, baseline, verdict), Skip)
