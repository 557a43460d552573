"""Can the model take a batch of the data; if not, which module could not, what it got and what it wants."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from dltool.core.errors import UserError
from dltool.core.measured.scan_model import Misfit, ModelFit
from dltool.probes.nested import Nested, first_tensor, tensors, transform
from dltool.training import rng
from dltool.training.failure import explain
from dltool.training.modes import evaluating
from dltool.training.untouched import untouched

CPU = torch.device("cpu")


@dataclass(slots=True)
class _Calls:
    """Modules without children, as they are called."""

    open: list[tuple[str, nn.Module, Nested]] = field(default_factory=list)
    head: tuple[str, Tensor] | None = None


def fit_of(model: nn.Module, given: Nested) -> tuple[ModelFit, Nested]:
    """Pass a batch through the model, in eval mode; what came of it, and the output (None where it raised).

    The model and all generators are left as they were.
    """
    calls = _Calls()
    try:
        with untouched(model), evaluating(model), rng.randomness_kept(CPU), torch.enable_grad(), _watched(model, calls):
            output = model(transform(given, torch.clone))
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001 - it is the user's code
        return ModelFit(misfits=(_misfit(calls, given, error),)), None
    scores = first_tensor(output)
    outputs = None if scores is None or scores.ndim < 2 else scores.shape[1]
    head = calls.head
    named = head is not None and scores is not None and head[1].shape == scores.shape
    return ModelFit(head=head[0] if named and head is not None else None, outputs=outputs), output


@contextmanager
def _watched(model: nn.Module, calls: _Calls) -> Iterator[None]:
    handles = []
    for name, module in model.named_modules():
        if next(module.children(), None) is not None:
            continue

        def begin(module: nn.Module, given: Any, name: str = name) -> None:
            calls.open.append((name, module, given))

        def end(module: nn.Module, given: Any, output: Any, name: str = name) -> None:  # noqa: ARG001
            calls.open.pop()
            if isinstance(output, Tensor) and next(module.parameters(recurse=False), None) is not None:
                calls.head = name, output.detach()

        handles += [module.register_forward_pre_hook(begin), module.register_forward_hook(end)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _misfit(calls: _Calls, given: Nested, error: Exception) -> Misfit:
    said = explain(error, "calling the model").problems[0]
    told = f"{type(error).__name__}: {(str(error).strip() or 'no message').splitlines()[0]}"
    file, line = (None, None) if said.location is None else (said.location.file, said.location.line)
    if not calls.open:
        return Misfit(error=told, got=form_of(given), file=file, line=line)
    name, module, reached = calls.open[-1]
    return Misfit(
        error=told,
        got=form_of(reached),
        module=name,
        kind=type(module).__name__,
        wants=wanted_by(module),
        hint=_hint(module, first_tensor(reached)),
        file=file,
        line=line,
    )


def form_of(value: Nested) -> str:
    """Types and shapes: ``float32 (8, 32, 32, 3)``."""
    found = [f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}" for tensor in tensors(value)]
    return ", ".join(found) or type(value).__name__


def wanted_by(module: nn.Module) -> str | None:
    """What a module takes, as people write shapes; None where that is not known."""
    weight = getattr(module, "weight", None)
    dtype = str(weight.dtype).removeprefix("torch.") + " " if isinstance(weight, Tensor) else ""
    match module:
        case nn.Linear():
            return f"{dtype}(N, {module.in_features})"
        case _ConvNd():
            sizes = ("L", "H, W", "D, H, W")[len(module.kernel_size) - 1]
            return f"{dtype}(N, {module.in_channels}, {sizes})"
        case _BatchNorm():
            return f"{dtype}(N, {module.num_features}, ...)"
        case nn.LayerNorm():
            return f"{dtype}(N, ..., {', '.join(map(str, module.normalized_shape))})"
        case nn.Embedding():
            return f"whole numbers from 0 to {module.num_embeddings - 1}"
        case nn.RNNBase():
            return f"(N, steps, {module.input_size})" if module.batch_first else f"(steps, N, {module.input_size})"
        case _:
            return None


def _hint(module: nn.Module, got: Tensor | None) -> str | None:
    """What is most likely meant."""
    if got is None:
        return None
    weight = getattr(module, "weight", None)
    if isinstance(module, nn.Embedding):
        if got.is_floating_point():
            return "give whole numbers: x.long()"
        return f"the largest index is {int(got.max())}: raise num_embeddings, or renumber" if got.numel() else None
    if isinstance(module, _ConvNd):
        dims = len(module.kernel_size)
        if got.ndim == dims + 2 and got.shape[1] != module.in_channels and got.shape[-1] == module.in_channels:
            order = ", ".join(map(str, (0, dims + 1, *range(1, dims + 1))))
            return f"the channels are last: move them to the front, x.permute({order})"
        if got.ndim == dims + 1 and module.in_channels == 1:
            return "add a dimension for the channel: x.unsqueeze(1)"
    if isinstance(module, nn.Linear) and got.ndim > 2 and math.prod(got.shape[1:]) == module.in_features:
        return "flatten each sample first: x.flatten(1)"
    if isinstance(weight, Tensor) and got.dtype != weight.dtype:
        return f"convert the data: x.to(torch.{str(weight.dtype).removeprefix('torch.')})"
    return None
