"""What a step starts from, as plain data and tensors that ``torch.load(weights_only=True)`` reads: for ``replay.py``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn

from dltool.diagnostics.hunt.keepsakes import kept_by, losses
from dltool.probes.contents import MOST_LOOSE_BYTES
from dltool.probes.nested import tensors
from dltool.training import rng
from dltool.training.experiment import Experiment
from dltool.training.state_file import savable

NOT_THE_USERS = ("torch.", "dltool.")


def state_now(experiment: Experiment) -> dict[str, Any]:
    """The state of model, loss, optimizer, scaler and generators, on the CPU; what cannot be saved is named.

    ``holders`` are the model's modules and the loss's, by path; of those that the user wrote it also holds the plain
    attributes (counters, lists), which no state dict has. A loss that is a plain object or a function has these alone.
    """
    optimizer, scaler = experiment.optimizer, experiment.scaler
    left_out: list[str] = []
    holders = {
        part: {
            "parameters": {name: _detached(tensor) for name, tensor in module.named_parameters()},
            "buffers": {name: _detached(tensor) for name, tensor in module.named_buffers()},
            "eval": [name for name, child in module.named_modules() if not child.training],
            "attributes": {
                name: own
                for name, child in module.named_modules()
                if (own := _attributes(child, nn.Module(), f"{part}.{name}".rstrip("."), left_out))
            },
        }
        for part, module in _modules(experiment)
    }
    for name, owner in losses(experiment):
        if not isinstance(owner, nn.Module) and (own := _of_a_loss(owner, f"loss {name}".rstrip(), left_out)):
            holders[f"loss {name}"] = {"parameters": {}, "buffers": {}, "eval": [], "attributes": {"": own}}
    state = {
        "holders": holders,
        "optimizer": None if optimizer is None else _optimizer(optimizer, left_out),
        "scaler": None if scaler is None else scaler.state_dict(),
        "rng": rng.capture(experiment.device),
        "left_out": left_out,
    }
    saved: dict[str, Any] = plain(state)
    return saved


def _modules(experiment: Experiment) -> Iterator[tuple[str, nn.Module]]:
    """The model, and the terms of the loss that are modules, by their names."""
    yield "model", experiment.model
    for name, owner in losses(experiment):
        if isinstance(owner, nn.Module):
            yield f"loss {name}", owner


def _of_a_loss(owner: Any, path: str, left_out: list[str]) -> dict[str, Any]:
    """What a loss that is no module counts: attributes of the object, small variables that a function closes over."""
    if type(owner).__module__.startswith(NOT_THE_USERS):
        return {}
    kept = kept_by(owner)
    if isinstance(owner, FunctionType):  # what is large there is data
        kept = {name: value for name, value in kept.items() if _bytes(value) <= MOST_LOOSE_BYTES}
    return _kept(kept, path, left_out)


def _bytes(value: Any) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors(value))


def _optimizer(optimizer: torch.optim.Optimizer, left_out: list[str]) -> dict[str, Any]:
    """The states in the order of the parameters in the groups, which a new optimizer shares."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    empty = torch.optim.Optimizer([nn.Parameter(torch.empty(0))], {})
    return {
        "states": [_kept(optimizer.state.get(parameter, {}), "optimizer.state", left_out) for parameter in parameters],
        "groups": [
            _kept({key: value for key, value in group.items() if key != "params"}, "optimizer.param_groups", left_out)
            for group in optimizer.param_groups
        ],
        "attributes": _attributes(optimizer, empty, "optimizer", left_out),
    }


def _attributes(owner: Any, plain: Any, path: str, left_out: list[str]) -> dict[str, Any]:
    """What the user's own class keeps beside what ``plain``, an empty one of torch's, has; nothing of torch's classes."""
    if type(owner).__module__.startswith(NOT_THE_USERS):
        return {}
    own = {name: value for name, value in vars(owner).items() if name not in vars(plain)}
    return _kept(own, path, left_out)


def _kept(values: Mapping[Any, Any], path: str, left_out: list[str]) -> dict[Any, Any]:
    """Those that can be saved; a generator as its state."""
    kept: dict[Any, Any] = {}
    for name, value in values.items():
        if isinstance(value, torch.Generator):
            kept[name] = {"generator": value.get_state()}
        elif savable(value) and not isinstance(value, nn.Parameter):
            kept[name] = value
        elif not isinstance(value, nn.Module) and not callable(value):
            left_out.append(f"{path}.{name}")
    return kept


def _detached(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().clone()


def plain(value: Any) -> Any:
    """Built-in containers, and CPU tensors of their own memory (that ask for gradients where they did)."""
    if isinstance(value, Tensor):
        return _detached(value).requires_grad_(value.requires_grad and value.is_leaf)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        items = [plain(item) for item in value]
        return tuple(items) if type(value) is tuple else items
    return value
