"""The initialisers of the spec: each fills one tensor in place, drawing from torch's global generator."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from dltool.specs.misfit import MisfitError
from dltool.specs.schema.initialisers import Initialiser

Fill = Callable[[Tensor, Any], object]


def _fan_in(weight: Tensor) -> int:
    return weight[0].numel()


def _lecun_normal(weight: Tensor, _: Any) -> object:
    return nn.init.normal_(weight, 0.0, math.sqrt(1.0 / _fan_in(weight)))


def _lecun_uniform(weight: Tensor, _: Any) -> object:
    bound = math.sqrt(3.0 / _fan_in(weight))
    return nn.init.uniform_(weight, -bound, bound)


def _identity(weight: Tensor, args: Any) -> object:
    filled = nn.init.eye_(weight) if weight.dim() == 2 else nn.init.dirac_(weight)
    return filled.mul_(args.gain)


FAN_BASED: Mapping[str, Fill] = {
    "xavier_uniform": lambda w, a: nn.init.xavier_uniform_(w, a.gain),
    "xavier_normal": lambda w, a: nn.init.xavier_normal_(w, a.gain),
    "kaiming_uniform": lambda w, a: nn.init.kaiming_uniform_(w, a.a, a.mode, a.nonlinearity),
    "kaiming_normal": lambda w, a: nn.init.kaiming_normal_(w, a.a, a.mode, a.nonlinearity),
    "lecun_uniform": _lecun_uniform,
    "lecun_normal": _lecun_normal,
    "orthogonal": lambda w, a: nn.init.orthogonal_(w, a.gain),
    "lsuv": lambda w, _: nn.init.orthogonal_(w),
    "identity": _identity,
}
"""Those that need a matrix: rows are outputs, and what follows them is the fan-in."""

FREE: Mapping[str, Fill] = {
    "normal": lambda w, a: nn.init.normal_(w, a.mean, a.std),
    "truncated_normal": lambda w, a: nn.init.trunc_normal_(w, a.mean, a.std, a.a, a.b),
    "uniform": lambda w, a: nn.init.uniform_(w, a.a, a.b),
    "zeros": lambda w, _: nn.init.zeros_(w),
    "ones": lambda w, _: nn.init.ones_(w),
    "constant": lambda w, a: nn.init.constant_(w, a.val),
}
"""Those that fill a tensor of any shape."""


def fill(tensor: Tensor, init: Initialiser) -> None:
    """Fill a weight (out, in, ...) or a vector; MisfitError where the initialiser needs a matrix and gets a vector."""
    if init.kind in FREE:
        FREE[init.kind](tensor, init)
        return
    if tensor.dim() < 2:
        raise MisfitError(f"{init.kind} needs a fan-in, which a vector has not", expected=f"one of {', '.join(FREE)}")
    FAN_BASED[init.kind](tensor, init)
