"""Architecture and terms of the loss of real code, from one forward pass of a few samples."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dltool.core.measured.design import Architecture, LossTerm
from dltool.probes.design.follow import Followed, followed
from dltool.probes.design.terms import terms_of
from dltool.probes.nested import Loss, Nested, Pair, batch_size, first_tensor, tensors


class Design(NamedTuple):
    """What the model is made of, and what its loss is; no terms where no loss was given.

    ``integer_targets``: of the dtype that the loss functions get, which may not be that of the batch. ``same_targets`` is
    False where the loss makes others first (one-hot rows, smoothed labels), so that the batch does not tell what they are.
    """

    architecture: Architecture
    terms: tuple[LossTerm, ...]
    integer_targets: bool | None
    same_targets: bool


def design_of_code(model: nn.Module, loss: Loss | None, batch: Pair, *, kept_in_eval: Collection[str] = ()) -> Design:
    """Follow ``model(input)`` and its loss on ``batch`` (two samples do), in training mode but for ``kept_in_eval``.

    The two are bit for bit as before afterwards. What the model raises is passed on; a loss that raises is known by name.
    """
    with followed(model, loss, batch, kept_in_eval=kept_in_eval) as seen:
        terms = () if loss is None else terms_of(seen, loss)
    return _design(seen, terms, batch)


def _design(seen: Followed, terms: tuple[LossTerm, ...], batch: Pair) -> Design:
    taken = [number for term in terms for number in term.takes or ()]
    layers, outputs, numbers = seen.tracer.record.graph.layers(taken or seen.outputs)
    terms = tuple(
        replace(term, takes=None if term.takes is None else tuple(numbers[number] for number in term.takes))
        for term in terms
    )
    given = first_tensor(batch[0])
    samples = batch_size(batch[0])
    per_sample = given is not None and given.ndim > 0 and len(given) == samples
    compared = [call.target for call in seen.tracer.losses if call.target is not None]
    return Design(
        Architecture(
            layers=layers,
            outputs=outputs,
            input_shape=tuple(given.shape[1:]) if per_sample and given is not None else None,
            complete=seen.tracer.record.complete,
        ),
        terms,
        integer_targets=not compared[0].is_floating_point() if compared else None,
        same_targets=all(_holds(seen.target, target) for target in compared),
    )


def _holds(nested: Nested, target: Tensor) -> bool:
    """Whether the values of ``target`` stand in the batch, whatever their shape and dtype."""
    flat = target.detach().reshape(-1).double()
    return any(
        given.numel() == flat.numel() and not given.is_complex() and torch.equal(given.reshape(-1).double(), flat)
        for given in tensors(nested)
    )
