"""What the losses have in common, by their names in a spec, and how many classes a term tells apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from dltool.core.measured.design import LossTerm, Objective, Samples

VALUE_LOSSES = frozenset({"mse", "l1", "smooth_l1", "huber", "log_cosh", "gaussian_nll"})
"""Distances from a target number."""
INDEX_LOSSES = frozenset({"cross_entropy", "nll", "hinge", "multi_margin"})
"""One class of several a sample."""
YES_NO_LOSSES = frozenset({"bce", "bce_with_logits", "multilabel_soft_margin"})
"""Zeros and ones, output by output."""
SIGN_LOSSES = frozenset({"soft_margin", "hinge_embedding", "margin_ranking", "cosine_embedding"})
ELEMENTWISE = (VALUE_LOSSES - {"gaussian_nll"}) | YES_NO_LOSSES | {"poisson_nll", "kl_div", "soft_margin", "hinge_embedding"}
"""One number of the output for every number of the target."""
IGNORED_LABEL = -100


def knows_a_loss(objective: Objective) -> bool:
    """Whether any term is a loss with a name."""
    return any(term.expects != "unknown" for term in objective.terms)


def terms_named(objective: Objective, names: frozenset[str]) -> Iterator[LossTerm]:
    """The terms whose loss is one of ``names``."""
    return (term for term in objective.terms if term.name in names)


def applies_softmax(term: LossTerm) -> bool:
    """Whether the loss takes logits and makes probabilities over classes of them itself."""
    return term.name == "cross_entropy" and term.expects == "logits"


def applies_sigmoid(term: LossTerm) -> bool:
    """Whether the loss takes logits and makes a probability of each itself."""
    return term.name in {"multilabel_soft_margin", "soft_margin"} or (
        term.name in YES_NO_LOSSES and term.expects == "logits"
    )


def ignored_label(term: LossTerm) -> int:
    """The label that the loss passes over."""
    given = term.arguments.get("ignore_index")
    return given if isinstance(given, int) else IGNORED_LABEL


def counts_from_one(term: LossTerm, samples: Samples) -> bool:
    """Whether the class numbers are 1 to K, all of them, where the loss takes 0 to K - 1."""
    high = samples.label_max
    if term.name not in INDEX_LOSSES or samples.renumbered or samples.target_kind != "class-index" or high is None:
        return False
    return samples.label_min == 1 and high >= 2 and samples.classes == high and ignored_label(term) not in range(1, high + 1)


def as_given(term: LossTerm, samples: Samples) -> Samples:
    """The samples with their targets in the shape in which the loss gets them, as far as that was seen."""
    if term.key is not None:
        return samples
    return replace(samples, target_shape=term.target_shape)


def class_dim(shape: tuple[int, ...], target_shape: tuple[int, ...]) -> int | None:
    """Which entry of one sample's output shape counts the classes for labels of this shape; None where they do not fit.

    (C,) for one label; (C, H, W) for labels (H, W); (T, C) for labels (T,). Where both readings fit, the first.
    """
    if len(shape) > 1 and target_shape and target_shape[-1] == 1 and len(target_shape) == len(shape):
        target_shape = target_shape[:-1]
    if shape and shape[1:] == target_shape:
        return 0
    return len(shape) - 1 if shape and shape[:-1] == target_shape else None


def without_last_one(shape: tuple[int, ...]) -> tuple[int, ...]:
    """(1,) as (): one number a sample either way."""
    return shape[:-1] if shape and shape[-1] == 1 else shape


def classes_of(samples: Samples | None, term: LossTerm) -> int | None:
    """How many outputs the labels need: the highest label and one, or the number of names."""
    if samples is None or samples.target_kind != "class-index":
        return None
    if samples.renumbered or samples.label_max is None:
        return samples.classes
    ignored = ignored_label(term)
    if samples.label_max == ignored:
        return None if samples.classes is None else samples.classes - 1
    return samples.label_max + 1
