"""The loss of a spec (``core.measured.design.Objective``): its terms, and what each takes the model's output for."""

from __future__ import annotations

import math
from typing import Any, Literal

from dltool.core.measured.design import Architecture, Argument, LossExpects, LossTerm, Objective, Samples
from dltool.specs.load import LoadedSpec
from dltool.specs.misfit import KeyPath
from dltool.specs.nodes import dotted
from dltool.specs.schema.base import Target
from dltool.specs.schema.losses import Loss, Terms

EXPECTS: dict[str, LossExpects] = {
    "cross_entropy": "logits",
    "nll": "log-probabilities",
    "bce": "probabilities",
    "bce_with_logits": "logits",
    "mse": "values",
    "l1": "values",
    "smooth_l1": "values",
    "huber": "values",
    "log_cosh": "values",
    "poisson_nll": "log-rates",
    "gaussian_nll": "values",
    "kl_div": "log-probabilities",
    "hinge": "logits",
    "multi_margin": "logits",
    "multilabel_margin": "logits",
    "multilabel_soft_margin": "logits",
    "soft_margin": "signs",
    "hinge_embedding": "values",
    "margin_ranking": "values",
    "cosine_embedding": "values",
    "triplet_margin": "values",
    "ctc": "log-probabilities",
}
"""By the loss's name, with its default arguments."""


def objective_of(loaded: LoadedSpec, samples: Samples, architecture: Architecture) -> Objective:
    """The terms as written, or the one that training would take; none where the data that decide were not looked at.

    The task is the spec's own word for it; without one, targets that are words or renumbered are classes, and fractions
    are numbers, while whole numbers may be either.
    """
    loss = loaded.spec.loss
    terms: tuple[LossTerm, ...] = ()
    if isinstance(loss, Terms):
        terms = tuple(_term(loaded, term.loss, ("loss", "terms", name)) for name, term in loss.terms.items())
    elif loss is not None:
        terms = (_term(loaded, loss, ("loss",)),)
    elif samples.integer_targets is not None:
        terms = (_default_term(samples, architecture),)
    data = loaded.spec.data
    task = data.task
    if task is None and (data.one_hot or data.classes is not None or samples.renumbered):
        task = "classification"
    elif task is None and samples.target_kind == "numbers" and samples.label_min is None:
        task = "regression"
    return Objective(terms=terms, task=task)


def _default_term(samples: Samples, architecture: Architecture) -> LossTerm:
    """As ``specs.build.loss.default_loss``: mse for numbers, cross_entropy for classes, of two on one output binary."""
    if not samples.integer_targets:
        return LossTerm(name="mse", expects="values", key="loss")
    leaves = architecture.layers[architecture.outputs[0]].leaves
    targets = math.prod(samples.target_shape or ())
    single = leaves is not None and (not leaves or (leaves[0] == 1 and math.prod(leaves) == targets))
    name = "bce_with_logits" if single and (samples.classes or 2) <= 2 else "cross_entropy"
    return LossTerm(name=name, expects="logits", key="loss")


def _term(loaded: LoadedSpec, loss: Loss | Target, key: KeyPath) -> LossTerm:
    at = loaded.locate((*key, loss.kind))
    place: dict[str, Any] = {"key": dotted(key), "file": at.file, "line": at.line}
    if isinstance(loss, Target):
        return LossTerm(name=loss.target, expects="unknown", reduction="unknown", **place)
    given: dict[str, Argument] = {name: getattr(loss, name) for name in type(loss).model_fields if name != "reduction"}
    weight = given.get("weight")
    return LossTerm(
        name=loss.kind,
        expects=_expects(loss),
        reduction=loss.reduction,
        arguments=given,
        class_weights=len(weight) if isinstance(weight, tuple) else None,
        **place,
    )


def _expects(loss: Loss) -> LossExpects:
    changed: dict[tuple[str, str, bool], Literal["probabilities", "logits", "rates"]] = {
        ("cross_entropy", "from_logits", False): "probabilities",
        ("bce", "from_logits", True): "logits",
        ("poisson_nll", "log_input", False): "rates",
    }
    for (kind, argument, value), expects in changed.items():
        if loss.kind == kind and getattr(loss, argument) is value:
            return expects
    return EXPECTS[loss.kind]
