"""Labels that belong to their inputs show in the neighbours, whatever else the inputs hold."""

import pytest
import torch
from torch import Tensor

from dltool.core.measurements import LabelSignal, TaskKind
from dltool.probes.label_signal import label_signal

CORNERS = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 3.0]])


def clouds(samples: int = 150) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(samples) % 3
    return CORNERS[labels] + torch.randn(samples, 2, generator=generator), labels


def measure(features: Tensor, labels: Tensor, task: TaskKind = "classification") -> LabelSignal:
    signal = label_signal([(features, labels)], task=task)
    assert signal is not None
    return signal


def slow_agreement(features: Tensor, labels: Tensor, count: int) -> float:
    """Neighbour by neighbour, without a matrix product."""
    scaled = features.double() / features.double().std(0, correction=0)
    shared = 0
    for i in range(len(features)):
        distances = [(float((scaled[i] - scaled[j]).square().sum()), j) for j in range(len(features)) if j != i]
        shared += sum(int(labels[j] == labels[i]) for _, j in sorted(distances)[:count])
    return shared / (count * len(features))


def test_agreement_is_that_of_a_slow_search() -> None:
    features, labels = clouds()
    assert measure(features, labels).agreement_ratio == pytest.approx(slow_agreement(features, labels, 5))


@pytest.mark.parametrize("value", [0.0, -1.2345, 1e6])
def test_constant_features_change_nothing(value: float) -> None:
    """The border of a digit is the same in every picture, and must not outweigh the rest."""
    features, labels = clouds()
    padded = torch.cat([features, torch.full((len(features), 40), value)], 1)
    assert measure(padded, labels).agreement_ratio == measure(features, labels).agreement_ratio


def test_a_common_offset_changes_nothing() -> None:
    features, labels = clouds()
    assert measure(features + 1000.0, labels).agreement_ratio == pytest.approx(
        measure(features, labels).agreement_ratio, abs=0.01
    )


def test_shuffled_labels_agree_by_chance_and_true_ones_do_not() -> None:
    features, labels = clouds()
    shuffled = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(1))]
    assert abs(measure(features, shuffled).z) < 3.0
    assert measure(features, labels).z > 10.0


def test_numbers_agree_where_they_follow_the_features() -> None:
    features, _ = clouds()
    assert measure(features, features.sum(1, keepdim=True), "regression").agreement_ratio > 0.8
