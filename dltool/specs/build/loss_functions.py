"""One function for every loss of the spec: ``(output, target, reduction)``, with torch's reductions, ``none`` among them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dltool.specs.build.loss_shapes import class_scores, parts, same_shape
from dltool.specs.misfit import MisfitError, shape_text

LossFunction = Callable[[Tensor, Tensor, str], Tensor]
Maker = Callable[[Any, bool], LossFunction]
"""From the spec's arguments, and whether the model returns (N, T, C), to the loss."""

IGNORED = -100
"""The label of padding, as torch has it."""
KERAS_EPSILON = 1e-7
"""Below this a probability is no longer told apart from zero, as in Keras, whose specs ``from_logits: false`` is for."""


def reduce(values: Tensor, reduction: str) -> Tensor:
    """Torch's three reductions."""
    return values if reduction == "none" else values.mean() if reduction == "mean" else values.sum()


def _class_weights(weight: tuple[float, ...] | None, scores: Tensor) -> Tensor | None:
    if weight is None:
        return None
    if len(weight) != scores.shape[1]:
        raise MisfitError(
            "weight needs one number for each class", value=f"{len(weight)} numbers", expected=str(scores.shape[1])
        )
    return scores.new_tensor(weight)


def _cross_entropy(args: Any, channels_last: bool) -> LossFunction:  # noqa: FBT001
    def loss(output: Tensor, target: Tensor, reduction: str) -> Tensor:
        scores, labels = class_scores(output, target, channels_last=channels_last)
        if not args.from_logits:
            scores = scores.clamp_min(KERAS_EPSILON).log()
        return F.cross_entropy(
            scores,
            labels,
            _class_weights(args.weight, scores),
            ignore_index=args.ignore_index,
            label_smoothing=args.label_smoothing,
            reduction=reduction,
        )

    return loss


def _nll(args: Any, channels_last: bool) -> LossFunction:  # noqa: FBT001
    def loss(output: Tensor, target: Tensor, reduction: str) -> Tensor:
        _only_labels("nll", target)
        scores, labels = class_scores(output, target, channels_last=channels_last)
        weight = _class_weights(args.weight, scores)
        return F.nll_loss(scores, labels, weight, ignore_index=args.ignore_index, reduction=reduction)

    return loss


def _hinge(args: Any, channels_last: bool) -> LossFunction:  # noqa: FBT001
    def loss(output: Tensor, target: Tensor, reduction: str) -> Tensor:
        _only_labels("hinge", target)
        scores, labels = class_scores(output, target, channels_last=channels_last)
        counted = labels != IGNORED
        index = labels.where(counted, 0).unsqueeze(1)
        margins = (args.margin + scores - scores.gather(1, index)).clamp_min(0.0)
        margins = margins.square() if args.squared else margins
        values = margins.scatter(1, index, 0.0).sum(1) * counted
        return values.sum() / counted.sum() if reduction == "mean" else reduce(values, reduction)

    return loss


def _multi_margin(args: Any, _: bool) -> LossFunction:  # noqa: FBT001
    def loss(output: Tensor, target: Tensor, reduction: str) -> Tensor:
        _only_labels("multi_margin", target)
        scores, labels = class_scores(output, target)
        weight = _class_weights(args.weight, scores)
        return F.multi_margin_loss(scores, labels, args.p, args.margin, weight, reduction=reduction)

    return loss


def _only_labels(kind: str, target: Tensor) -> None:
    if target.is_floating_point():
        raise MisfitError(f"{kind} needs class indices as targets", value=f"{target.dtype} {shape_text(target.shape)}")


def _elementwise(function: Callable[..., Tensor], *names: str) -> Maker:
    """A torch loss of value against value; ``names`` are the arguments handed on."""

    def make(args: Any, _: bool) -> LossFunction:  # noqa: FBT001
        given = {name: getattr(args, name) for name in names}
        return lambda output, target, reduction: function(*same_shape(output, target), **given, reduction=reduction)

    return make


def _vector(weight: tuple[float, ...] | None, output: Tensor, argument: str) -> Tensor | None:
    if weight is None:
        return None
    if len(weight) not in {1, output.shape[-1]}:
        raise MisfitError(f"{argument} needs one number for each output", value=weight, expected=str(output.shape[-1]))
    return output.new_tensor(weight)


def _bce_with_logits(args: Any, _: bool) -> LossFunction:  # noqa: FBT001
    def loss(output: Tensor, target: Tensor, reduction: str) -> Tensor:
        output, target = same_shape(output, target)
        weight = _vector(args.weight, output, "weight")
        positive = _vector(getattr(args, "pos_weight", None), output, "pos_weight")
        return F.binary_cross_entropy_with_logits(output, target, weight, pos_weight=positive, reduction=reduction)

    return loss


def _bce(args: Any, channels_last: bool) -> LossFunction:  # noqa: FBT001
    if args.from_logits:
        return _bce_with_logits(args, channels_last)

    def loss(output: Tensor, target: Tensor, reduction: str) -> Tensor:
        output, target = same_shape(output, target)
        weight = _vector(args.weight, output, "weight")
        if bool(((output >= 0) & (output <= 1)).all()):
            return F.binary_cross_entropy(output, target, weight, reduction=reduction)
        # torch would raise (on a GPU: abort); the formula gives the NaN that is there, for the report to trace
        values = -(target * output.log() + (1 - target) * (1 - output).log())
        return reduce(values if weight is None else values * weight, reduction)

    return loss


def log_cosh(output: Tensor, target: Tensor, *, reduction: str) -> Tensor:
    """log(cosh(y - ŷ)) as |d| + log(1 + e^(-2|d|)) - log 2, which does not overflow."""
    distance = (output - target).abs()
    return reduce(distance + F.softplus(-2.0 * distance) - math.log(2.0), reduction)


def kl_div(output: Tensor, target: Tensor, *, log_target: bool, reduction: str) -> Tensor:
    """torch's, whose mean is over all elements; it warns of that mean at every call, so it is taken here."""
    return reduce(F.kl_div(output, target, log_target=log_target, reduction="none"), reduction)


def _gaussian_nll(args: Any, _: bool) -> LossFunction:  # noqa: FBT001
    def loss(output: Tensor, target: Tensor, reduction: str) -> Tensor:
        mean, raw = parts(output, 2, "gaussian_nll")
        mean, fitted = same_shape(mean, target)
        variance = F.softplus(raw).reshape(mean.shape)
        return F.gaussian_nll_loss(mean, fitted, variance, full=args.full, eps=args.eps, reduction=reduction)

    return loss


def _multilabel_margin(_: Any, __: bool) -> LossFunction:  # noqa: FBT001
    def loss(output: Tensor, target: Tensor, reduction: str) -> Tensor:
        _only_labels("multilabel_margin", target)
        if output.shape != target.shape:
            raise MisfitError(
                "multilabel_margin needs the target in the output's shape, filled up with -1",
                value=f"output {shape_text(output.shape)}, target {shape_text(target.shape)}",
            )
        return F.multilabel_margin_loss(output, target.long(), reduction=reduction)

    return loss


def _multilabel_soft_margin(args: Any, _: bool) -> LossFunction:  # noqa: FBT001
    def loss(output: Tensor, target: Tensor, reduction: str) -> Tensor:
        output, target = same_shape(output, target)
        weight = _vector(args.weight, output, "weight")
        return F.multilabel_soft_margin_loss(output, target, weight, reduction=reduction)

    return loss


def _margin_ranking(args: Any, _: bool) -> LossFunction:  # noqa: FBT001
    def loss(output: Tensor, target: Tensor, reduction: str) -> Tensor:
        first, second = parts(output, 2, "margin_ranking")
        first, sign = same_shape(first, target)
        return F.margin_ranking_loss(first, second.reshape(first.shape), sign, margin=args.margin, reduction=reduction)

    return loss


def _cosine_embedding(args: Any, _: bool) -> LossFunction:  # noqa: FBT001
    def loss(output: Tensor, target: Tensor, reduction: str) -> Tensor:
        first, second = parts(output, 2, "cosine_embedding")
        sign = target.reshape(-1)
        if output.dim() != 2 or sign.shape[0] != output.shape[0]:
            raise MisfitError(
                "cosine_embedding needs outputs (N, features) and one target, 1 or -1, a sample",
                value=f"output {shape_text(output.shape)}, target {shape_text(target.shape)}",
            )
        return F.cosine_embedding_loss(first, second, sign, margin=args.margin, reduction=reduction)

    return loss


def _triplet_margin(args: Any, _: bool) -> LossFunction:  # noqa: FBT001
    def loss(output: Tensor, _target: Tensor, reduction: str) -> Tensor:
        anchor, positive, negative = parts(output, 3, "triplet_margin")
        return F.triplet_margin_loss(
            anchor, positive, negative, margin=args.margin, p=args.p, eps=args.eps, swap=args.swap, reduction=reduction
        )

    return loss


def _ctc(args: Any, _: bool) -> LossFunction:  # noqa: FBT001
    def loss(output: Tensor, target: Tensor, reduction: str) -> Tensor:
        _only_labels("ctc", target)
        if output.dim() != 3 or target.dim() != 2 or output.shape[0] != target.shape[0]:
            raise MisfitError(
                "ctc needs log-probabilities (N, T, C) and labels (N, S)",
                value=f"output {shape_text(output.shape)}, labels {shape_text(target.shape)}",
            )
        steps = torch.full((output.shape[0],), output.shape[1], dtype=torch.long)
        lengths = (target != args.blank).sum(1)
        values = F.ctc_loss(
            output.transpose(0, 1), target.long(), steps, lengths, args.blank, "none", zero_infinity=args.zero_infinity
        )
        return values.sum() if reduction == "sum" else reduce(values / lengths.clamp_min(1), reduction)

    return loss


MAKERS: Mapping[str, Maker] = {
    "cross_entropy": _cross_entropy,
    "nll": _nll,
    "bce": _bce,
    "bce_with_logits": _bce_with_logits,
    "mse": _elementwise(F.mse_loss),
    "l1": _elementwise(F.l1_loss),
    "smooth_l1": _elementwise(F.smooth_l1_loss, "beta"),
    "huber": _elementwise(F.huber_loss, "delta"),
    "log_cosh": _elementwise(log_cosh),
    "poisson_nll": _elementwise(F.poisson_nll_loss, "log_input", "full", "eps"),
    "gaussian_nll": _gaussian_nll,
    "kl_div": _elementwise(kl_div, "log_target"),
    "hinge": _hinge,
    "multi_margin": _multi_margin,
    "multilabel_margin": _multilabel_margin,
    "multilabel_soft_margin": _multilabel_soft_margin,
    "soft_margin": _elementwise(F.soft_margin_loss),
    "hinge_embedding": _elementwise(F.hinge_embedding_loss, "margin"),
    "margin_ranking": _margin_ranking,
    "cosine_embedding": _cosine_embedding,
    "triplet_margin": _triplet_margin,
    "ctc": _ctc,
}
ONE_PER_SAMPLE = frozenset(
    {"multi_margin", "multilabel_margin", "multilabel_soft_margin", "cosine_embedding", "triplet_margin", "ctc"}
)
"""Losses that have one value a sample, whatever the target's shape."""
