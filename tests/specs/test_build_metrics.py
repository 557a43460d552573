"""Metrics by hand."""

import pytest
import torch

from dltool.specs.build.metrics import METRICS, MetricContext, build_metric
from dltool.specs.misfit import MisfitError
from dltool.specs.schema import metrics as schema

LOGITS = MetricContext(boundary=0.0, channels_last=False, target_variance=4.0)
PROBABILITIES = MetricContext(boundary=0.5, channels_last=False, target_variance=None)
SCORES = torch.tensor([[3.0, 1.0, 2.0], [0.0, 1.0, 2.0], [5.0, 4.0, 0.0]])


def value(metric, output, target, context=LOGITS):
    return build_metric(metric, context).update(output, target)


def test_every_name_is_built():
    assert {metric.kind for metric in schema.METRICS} == set(METRICS)


def test_accuracy_of_classes_steps_and_one_hot():
    assert value(schema.Accuracy(), SCORES, torch.tensor([0, 1, 0])) == (2.0, 3)
    assert value(schema.Accuracy(), SCORES, torch.tensor([0, -100, 1])) == (1.0, 2)
    steps = MetricContext(boundary=0.0, channels_last=True, target_variance=None)
    assert value(schema.Accuracy(), SCORES[None], torch.tensor([[0, 2, -100]]), steps) == (2.0, 2)
    assert value(schema.Accuracy(), SCORES, torch.eye(3)) == (1.0, 3)


def test_accuracy_of_one_output_uses_its_boundary():
    output, yes = torch.tensor([[0.3], [0.7], [-1.0]]), torch.tensor([1, 1, 0])
    assert value(schema.Accuracy(), output, yes) == (3.0, 3)
    assert value(schema.Accuracy(), output, yes, PROBABILITIES) == (2.0, 3)
    assert value(schema.Accuracy(), output, torch.tensor([1.0, -1.0, -1.0])) == (2.0, 3)


def test_top_k():
    assert value(schema.TopK(k=2), SCORES, torch.tensor([2, 0, 1])) == (2.0, 3)
    with pytest.raises(MisfitError, match="more than there are classes"):
        value(schema.TopK(), SCORES, torch.tensor([2, 0, 1]))


def test_errors_and_r2():
    output, target = torch.tensor([[1.0], [5.0]]), torch.tensor([2.0, 2.0])
    assert value(schema.MseMetric(), output, target) == (10.0, 2)
    assert value(schema.MaeMetric(), output, target) == (4.0, 2)
    assert value(schema.R2(), output, target) == pytest.approx((2 - 10 / 4, 2))
    assert not build_metric(schema.MseMetric(), LOGITS).higher_is_better
    with pytest.raises(MisfitError, match="r2 needs numbers"):
        build_metric(schema.R2(), PROBABILITIES)
