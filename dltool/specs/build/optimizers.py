"""Optimizers of the spec."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import nn

from dltool.specs.schema.optimizers import Optimizer

OPTIMIZERS: Mapping[str, type[torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adagrad": torch.optim.Adagrad,
    "adadelta": torch.optim.Adadelta,
    "rmsprop": torch.optim.RMSprop,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "nadam": torch.optim.NAdam,
    "lbfgs": torch.optim.LBFGS,
}
DEFAULT_LR = 1e-3


def build_optimizer(spec: Optimizer, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimizer over one group of parameters, with torch's arguments as the spec gives them.

    ``decay`` is not among them: it is the schedule's (``schedules.build_schedule``). L-BFGS steps need a closure.
    """
    given = {name: getattr(spec, name) for name in type(spec).model_fields if name != "decay"}
    return OPTIMIZERS[spec.kind](list(parameters), **given)


def default_optimizer(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """AdamW at 1e-3, for targets that name no optimizer."""
    return torch.optim.AdamW(list(parameters), lr=DEFAULT_LR)
