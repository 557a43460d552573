"""One forward pass of a few samples, and their loss, followed into a graph; nothing of it is left in model or loss."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dltool.probes.contents import Contents
from dltool.probes.design.tracer import Tracer
from dltool.probes.eager import eagerly
from dltool.probes.nested import Loss, Nested, Pair, batch_size, place, tensors, transform
from dltool.probes.preserve import device_of, overwrite, preserved


@dataclass(frozen=True, slots=True)
class Followed:
    """``outputs`` are the nodes that the model's output comes from, ``terms`` those of each term of the loss.

    ``terms`` is None where the loss raised (or there is none); ``output`` and ``target`` are what it was given.
    """

    tracer: Tracer
    outputs: tuple[int, ...]
    terms: Mapping[str, tuple[int, ...]] | None
    output: Nested
    target: Nested


@contextmanager
def followed(model: nn.Module, loss: Loss | None, batch: Pair, *, kept_in_eval: Collection[str] = ()) -> Iterator[Followed]:
    """Call model and loss as a training step would, on copies of ``batch``; within the block both may be called again.

    Weights, gradients, buffers, modes, generators of random numbers and whatever else the two hold are as before afterwards,
    also when the model raises, which is passed on.
    """
    given, target = (transform(place(part, device_of(model)), torch.clone) for part in batch)
    tracer = Tracer(model)
    with _left_as_found(model, loss, tracer) as held, torch.enable_grad(), eagerly():
        model.train()
        for name in kept_in_eval:
            model.get_submodule(name).eval()
        with tracer.following(given, batch_size(given), [*held, *tensors(target)]):
            output = model(given)
            outputs = tracer.record.numbers_of(output)
            tracer.record.in_loss = True
            terms = None if loss is None else _terms(tracer, loss, output, target)
        yield Followed(tracer, outputs, terms, transform(output, torch.detach), target)


def _terms(tracer: Tracer, loss: Loss, output: Nested, target: Nested) -> dict[str, tuple[int, ...]] | None:
    try:
        values = loss.term_values(output, target)
    except Exception:  # noqa: BLE001 - the user's code; why it raises is told by whoever trains
        return None
    return {name: tracer.record.numbers_of(value) for name, value in values.items()}


@contextmanager
def _left_as_found(model: nn.Module, loss: Any, tracer: Tracer) -> Iterator[list[Tensor]]:
    """Yields the tensors that model and loss hold. Of parameters those are copied that ``tracer`` sees written to."""
    contents = Contents((model, loss))
    held = [tensor for tensor in contents.tensors if tensor.is_leaf]
    values = [(tensor, tensor.detach().clone()) for tensor in held if not isinstance(tensor, nn.Parameter)]
    grads = [(tensor, tensor.grad, None if tensor.grad is None else tensor.grad.clone()) for tensor in held]
    wanted = [(tensor, tensor.requires_grad) for tensor in held]
    with preserved(model):
        try:
            yield contents.tensors
        finally:
            contents.restore()
            with torch.no_grad():
                for tensor, value in (*values, *tracer.overwritten.values()):
                    overwrite(tensor, value)
            for tensor, requires_grad in wanted:
                if tensor.requires_grad is not requires_grad:
                    tensor.requires_grad_(requires_grad)
            for tensor, grad, before in grads:
                if grad is not None and before is not None:
                    _put_back(grad, before)
                if tensor.grad is not grad:
                    tensor.grad = grad


def _put_back(tensor: Tensor, value: Tensor) -> None:
    with torch.no_grad():
        overwrite(tensor, value)
