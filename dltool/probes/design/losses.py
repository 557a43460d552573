"""torch.nn.functional's losses by the names that specs have, and what each takes the output of a model for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor

from dltool.core.measured.design import Argument, LossExpects
from dltool.probes.design.layers import plain


class LossKind(NamedTuple):
    """``arguments`` are those that a spec has too."""

    name: str
    expects: LossExpects
    arguments: tuple[str, ...] = ()


LOSSES: Mapping[str, LossKind] = {
    "cross_entropy": LossKind("cross_entropy", "logits", ("ignore_index", "label_smoothing")),
    "nll_loss": LossKind("nll", "log-probabilities", ("ignore_index",)),
    "binary_cross_entropy": LossKind("bce", "probabilities"),
    "binary_cross_entropy_with_logits": LossKind("bce_with_logits", "logits"),
    "mse_loss": LossKind("mse", "values"),
    "l1_loss": LossKind("l1", "values"),
    "smooth_l1_loss": LossKind("smooth_l1", "values", ("beta",)),
    "huber_loss": LossKind("huber", "values", ("delta",)),
    "poisson_nll_loss": LossKind("poisson_nll", "log-rates", ("log_input", "full", "eps")),
    "gaussian_nll_loss": LossKind("gaussian_nll", "values", ("full", "eps")),
    "kl_div": LossKind("kl_div", "log-probabilities", ("log_target",)),
    "multi_margin_loss": LossKind("multi_margin", "logits", ("p", "margin")),
    "multilabel_margin_loss": LossKind("multilabel_margin", "logits"),
    "multilabel_soft_margin_loss": LossKind("multilabel_soft_margin", "logits"),
    "soft_margin_loss": LossKind("soft_margin", "signs"),
    "hinge_embedding_loss": LossKind("hinge_embedding", "values", ("margin",)),
    "margin_ranking_loss": LossKind("margin_ranking", "values", ("margin",)),
    "cosine_embedding_loss": LossKind("cosine_embedding", "values", ("margin",)),
    "triplet_margin_loss": LossKind("triplet_margin", "values", ("margin", "p", "eps", "swap")),
    "triplet_margin_with_distance_loss": LossKind("triplet_margin", "values", ("margin", "swap")),
    "ctc_loss": LossKind("ctc", "log-probabilities", ("blank", "zero_infinity")),
}
EXPECTS: Mapping[str, LossExpects] = {kind.name: kind.expects for kind in LOSSES.values()}
SEVERAL_INPUTS = frozenset({"triplet_margin", "margin_ranking", "cosine_embedding", "gaussian_nll"})
"""Losses that take several outputs of the model."""


class LossCall(NamedTuple):
    """A loss function that was called on something that depends on the model's input.

    ``takes`` are the nodes that it was given for the output (the target, where that alone depends on the input: a call with
    the two exchanged). ``node`` is its own. ``target`` is what it compared that with.
    """

    kind: LossKind
    node: int
    takes: tuple[int, ...]
    expects: LossExpects
    reduction: str
    arguments: Mapping[str, Argument]
    class_weights: int | None
    target: Tensor | None
    target_shape: tuple[int, ...] | None
    file: str | None
    line: int | None


def expects_of(kind: LossKind, given: Mapping[str, Any]) -> LossExpects:
    """What the loss takes the output for, with these arguments."""
    if kind.name == "poisson_nll" and given.get("log_input") is False:
        return "rates"
    return kind.expects


def reduction_of(given: Mapping[str, Any]) -> str:
    """Torch's ``reduction``, and what the arguments that came before it mean."""
    reduce, average = given.get("reduce"), given.get("size_average")
    if reduce is False:
        return "none"
    if average is not None:
        return "mean" if average else "sum"
    value = given.get("reduction", "mean")
    return "mean" if value == "batchmean" else str(value)


def arguments_of(kind: LossKind, given: Mapping[str, Any]) -> tuple[dict[str, Argument], int | None]:
    """Its arguments, and for how many classes it has weights."""
    weight = given.get("weight")
    classes = (
        weight.numel() if isinstance(weight, Tensor) and kind.name in {"cross_entropy", "nll", "multi_margin"} else None
    )
    return {name: plain(given[name]) for name in kind.arguments if name in given}, classes
