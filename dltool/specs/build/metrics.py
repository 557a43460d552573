"""Metrics of the spec: each gives (sum, count) of a batch, so that batches can be put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from dltool.specs.build.loss_functions import IGNORED
from dltool.specs.build.loss_shapes import class_scores, same_shape
from dltool.specs.misfit import MisfitError
from dltool.specs.schema.metrics import Metric as MetricSpec
from dltool.training.experiment import Metric

Update = Callable[[Any, Any], tuple[float, int]]


@dataclass(frozen=True, slots=True)
class MetricContext:
    """What a metric must know beside output and target.

    ``boundary`` parts the two classes of a single output (0 for logits, 0.5 for probabilities), ``channels_last`` is True
    for a model that returns (N, T, C), ``target_variance`` is that of the training targets.
    """

    boundary: float
    channels_last: bool
    target_variance: float | None


def _one_output(output: Tensor, target: Tensor) -> bool:
    return output.shape == target.shape or output.numel() == target.numel()


def _accuracy(_: Any, context: MetricContext) -> Update:
    def update(output: Tensor, target: Tensor) -> tuple[float, int]:
        if _one_output(output, target) and (output.dim() < 2 or output.shape[1] == 1 or not target.is_floating_point()):
            scores, wanted = same_shape(output, target)
            right = (scores > context.boundary) == (wanted > (0.5 if wanted.min() >= 0 else 0.0))
            return float(right.sum()), right.numel()
        scores, labels = class_scores(output, target, channels_last=context.channels_last)
        labels = labels.argmax(1) if labels.is_floating_point() else labels
        counted = labels != IGNORED
        return float((scores.argmax(1)[counted] == labels[counted]).sum()), int(counted.sum())

    return update


def _top_k(args: Any, context: MetricContext) -> Update:
    def update(output: Tensor, target: Tensor) -> tuple[float, int]:
        scores, labels = class_scores(output, target, channels_last=context.channels_last)
        labels = labels.argmax(1) if labels.is_floating_point() else labels
        if args.k > scores.shape[1]:
            raise MisfitError("k is more than there are classes", value=args.k, expected=f"at most {scores.shape[1]}")
        counted = labels != IGNORED
        hits = (scores.topk(args.k, dim=1).indices == labels.unsqueeze(1)).any(1)
        return float(hits[counted].sum()), int(counted.sum())

    return update


def _mse(_: Any, __: MetricContext) -> Update:
    def update(output: Tensor, target: Tensor) -> tuple[float, int]:
        predicted, wanted = same_shape(output, target)
        return float((predicted - wanted).square().sum()), wanted.numel()

    return update


def _mae(_: Any, __: MetricContext) -> Update:
    def update(output: Tensor, target: Tensor) -> tuple[float, int]:
        predicted, wanted = same_shape(output, target)
        return float((predicted - wanted).abs().sum()), wanted.numel()

    return update


def _r2(_: Any, context: MetricContext) -> Update:
    variance = context.target_variance
    if variance is None or not variance > 0:
        raise MisfitError("r2 needs numbers as targets that are not all alike")

    def update(output: Tensor, target: Tensor) -> tuple[float, int]:
        predicted, wanted = same_shape(output, target)
        return float((1.0 - (predicted - wanted).square() / variance).sum()), wanted.numel()

    return update


METRICS: Mapping[str, Callable[[Any, MetricContext], Update]] = {
    "accuracy": _accuracy,
    "top_k": _top_k,
    "mse": _mse,
    "mae": _mae,
    "r2": _r2,
}
"""By name. ``r2`` measures against the variance of the training targets on both splits, so that its two values compare."""
ERRORS = frozenset({"mse", "mae"})


def build_metric(spec: MetricSpec, context: MetricContext) -> Metric:
    """The metric; a MisfitError where it makes no sense for the task."""
    return Metric(name=spec.kind, update=METRICS[spec.kind](spec, context), higher_is_better=spec.kind not in ERRORS)
