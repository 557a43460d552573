"""What the user's model and loss keep beside parameters and buffers: attributes, and the variables of a function."""

from __future__ import annotations

from collections.abc import Iterator
from types import FunctionType
from typing import Any

from torch import Tensor, nn

from dltool.probes.nested import tensors
from dltool.specs.build.criterion import SumCriterion, UserTerm
from dltool.training.experiment import Experiment


def losses(experiment: Experiment) -> Iterator[tuple[str, Any]]:
    """The terms of the loss that the user wrote, by name; of a bound method the object that it belongs to."""
    if isinstance(experiment.criterion, SumCriterion):
        for name, term in experiment.criterion.parts.items():
            if isinstance(term, UserTerm):
                yield name, getattr(term.function, "__self__", term.function)


def kept_by(owner: Any) -> dict[str, Any]:
    """What an object, or a function in what it closes over, holds by name."""
    held = dict(getattr(owner, "__dict__", {}))
    if isinstance(owner, FunctionType):
        cells = zip(owner.__code__.co_freevars, owner.__closure__ or (), strict=True)
        held |= {name: cell.cell_contents for name, cell in cells if _is_filled(cell)}
    return held


def names_of_constants(experiment: Experiment) -> dict[str, list[Tensor]]:
    """Tensors that are no parameter, buffer or data of the model's, by where they are kept."""
    found: dict[str, list[Tensor]] = {}
    for path, module in experiment.model.named_modules():
        for name, value in vars(module).items():
            found[f"the attribute {f'{path}.{name}'.lstrip('.')} of the model"] = _plain(name, value)
    for term, owner in losses(experiment):
        what = f"the loss {term}" if len(experiment.criterion.terms) > 1 else "the loss"
        modules = owner.named_modules() if isinstance(owner, nn.Module) else [("", owner)]
        for path, module in modules:
            held = kept_by(module)
            if isinstance(module, nn.Module):
                held |= {**module._parameters, **module._buffers}  # noqa: SLF001 - of this module alone
            for name, value in held.items():
                found[f"{f'{path}.{name}'.lstrip('.')} of {what}"] = _plain(name, value)
    for name, value in vars(experiment.optimizer or object).items():
        if name != "state":
            found[f"the attribute {name} of the optimizer"] = _plain(name, value)
    return {name: held for name, held in found.items() if held}


def _plain(name: str, value: Any) -> list[Tensor]:
    """Tensors in it, unless torch keeps its own affairs there."""
    return [] if name.startswith("_") or isinstance(value, nn.Module) else list(tensors(value))


def _is_filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - an empty one raises
    except ValueError:
        return False
    return True
