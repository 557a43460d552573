"""Parameters: norms of weights and gradients, the size of one update, and a fingerprint that shows whether they moved."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from dltool.probes.hooks import owner_of, watched_modules

SAMPLE = 16_384
"""Elements of a tensor that stand for it where it has to be copied: norms then err by about 1 / sqrt(2 · 16384) = 0.6 %."""

CHUNK = 1 << 20
"""Elements that are fingerprinted at a time, so that the temporaries stay at some 16 MiB."""

NO_GRADIENT = -1.0
"""Stands for "no gradient" among norms, which are never negative."""

NORMALISATIONS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)  # noqa: SLF001 - the one base of its kind
Role = Literal["weight", "bias", "normalisation", "embedding", "other"]


@dataclass(frozen=True, slots=True)
class Named:
    """A parameter, its name in ``named_parameters()``, the watched module it belongs to and what it does there."""

    name: str
    tensor: nn.Parameter
    owner: str
    role: Role


def named_parameters(model: nn.Module) -> list[Named]:
    """Every parameter once, in the model's own order."""
    watched = watched_modules(model)
    modules = dict(model.named_modules(remove_duplicate=False))  # a ScriptModule has no get_submodule
    found = []
    for name, tensor in model.named_parameters():
        owner = owner_of(name, watched)
        found.append(Named(name, tensor, owner, role_of(name, tensor, modules[owner])))
    return found


def role_of(name: str, tensor: Tensor, owner: nn.Module) -> Role:
    """What a parameter is for, from the module that holds it, its name and its rank."""
    last = name.rpartition(".")[2]
    if isinstance(owner, NORMALISATIONS):
        return "normalisation"
    if isinstance(owner, nn.Embedding | nn.EmbeddingBag):
        return "embedding"
    if "bias" in last or last.startswith("b_"):
        return "bias"
    return "weight" if tensor.ndim >= 2 else "other"


def norms(values: Iterable[Tensor | None]) -> list[float]:
    """L2 norms, ``NO_GRADIENT`` for None, fetched from the device at once.

    Accumulated in float64: squares of gradients below 1e-19 would vanish in float32, and a vanishing gradient is just what
    is looked for.
    """
    tensors = [None if value is None else _numbers(value) for value in values]
    present = [tensor for tensor in tensors if tensor is not None]
    if not present:
        return [NO_GRADIENT] * len(tensors)
    numbers = iter(_lengths(present).tolist())
    return [NO_GRADIENT if tensor is None else next(numbers) for tensor in tensors]


def _lengths(tensors: list[Tensor]) -> Tensor:
    # One call for all of them: on a small model the calls are what a look costs.
    return torch.stack(torch._foreach_norm(tensors, 2, dtype=torch.float64))  # noqa: SLF001 - how torch clips gradients


def total_norm(parts: Iterable[float]) -> float:
    """The norm over all tensors from the norms of each; missing gradients do not count."""
    return math.hypot(*(part for part in parts if part != NO_GRADIENT))


def sample(values: Tensor) -> Tensor:
    """A copy of at most about ``SAMPLE`` elements, evenly spread; always the same ones for the same shape.

    The stride shares no factor with the tensor's size, so that it does not run down a few columns only.
    """
    if values.is_sparse:
        return _sparse_sample(values)
    flat = _numbers(values.detach()).reshape(-1)
    part = flat[:: _stride(flat.numel())]
    return part.clone() if flat.element_size() > 2 else part.float()


def _stride(size: int) -> int:
    stride = max(1, size // SAMPLE)
    while math.gcd(stride, size) > 1:
        stride += 1
    return stride


def _sparse_sample(gradient: Tensor) -> Tensor:
    """What ``sample`` takes of the same tensor made dense; the gradient of an embedding may be too large for that."""
    gradient = gradient.detach().coalesce()
    if gradient.sparse_dim() != 1 or not gradient.values().numel():
        return sample(gradient.to_dense())
    rows, values = gradient.indices()[0], _numbers(gradient).reshape(len(gradient.indices()[0]), -1)
    size = gradient.shape[0] * values.shape[1]
    places = torch.arange(0, size, _stride(size), device=values.device)
    wanted = places // values.shape[1]
    slots = torch.searchsorted(rows, wanted).clamp(max=len(rows) - 1)
    found = values[slots, places % values.shape[1]]
    return torch.where(rows[slots] == wanted, found, torch.zeros_like(found))


@dataclass(frozen=True, slots=True)
class Update:
    """One optimizer step, seen on the samples: ‖Δw‖ of each parameter, and ⟨gradient, Δw⟩ over all of them."""

    lengths: list[float]
    predicted_change: float


class BeforeUpdate:
    """Samples of the weights and of their gradients, taken before a step, to compare with the weights after it."""

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self._parameters = parameters
        self._weights = [sample(p) for p in parameters]
        self._gradients = [None if p.grad is None else sample(p.grad) for p in parameters]

    def compare(self) -> Update:
        """What the step did: exact for parameters of at most ``SAMPLE`` elements, scaled up from samples of larger ones."""
        if not self._parameters:
            return Update([], 0.0)
        # Neighbouring floats subtract without rounding (Sterbenz 1974), so there is no need for float64 yet.
        changes = [sample(p) - weight for p, weight in zip(self._parameters, self._weights, strict=True)]
        scales = [_count(p) / max(1, change.numel()) for p, change in zip(self._parameters, changes, strict=True)]
        sampled = zip(self._gradients, changes, scales, strict=True)
        slopes = [torch.dot(slope, change).double() * scale for slope, change, scale in sampled if slope is not None]
        lengths = [length * scale**0.5 for length, scale in zip(_lengths(changes).tolist(), scales, strict=True)]
        return Update(lengths, float(torch.stack(slopes).sum()) if slopes else 0.0)


def fingerprint(values: Tensor) -> int:
    """A 64-bit hash of a tensor's bits: equal tensors always agree, others by a chance of 2^-64.

    Every element's bits are mixed with its position (the finaliser of splitmix64; Steele, Lea & Flood, OOPSLA 2014), then
    added up, so that neither exchanged nor opposite changes cancel.
    """
    flat = _dense(values).detach().reshape(-1)
    total = 0
    for start in range(0, flat.numel(), CHUNK):
        bits = _bits(flat[start : start + CHUNK])
        total += int(_mix(bits + torch.arange(start, start + len(bits), device=bits.device) * _GOLDEN).sum())
    return _signed(total)


def row_fingerprints(rows: Tensor) -> Tensor:
    """One hash for each row of (units, n): equal for rows with equal bits (0.0 and -0.0 count as equal)."""
    bits = _bits((rows.detach() + 0.0).reshape(-1)).view(rows.shape[0], -1)
    return _mix(bits + torch.arange(bits.shape[1], device=bits.device) * _GOLDEN).sum(1)


_GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15 as a signed 64-bit integer
_MIX_1 = -4658895280553007687  # 0xBF58476D1CE4E5B9
_MIX_2 = -7723592293110705685  # 0x94D049BB133111EB


def _mix(bits: Tensor) -> Tensor:
    bits = (bits ^ _shifted(bits, 30)) * _MIX_1
    bits = (bits ^ _shifted(bits, 27)) * _MIX_2
    return bits ^ _shifted(bits, 31)


def _shifted(bits: Tensor, places: int) -> Tensor:
    """Logical right shift; torch's own carries the sign along."""
    return (bits >> places) & ((1 << (64 - places)) - 1)


def _bits(flat: Tensor) -> Tensor:
    if flat.is_complex():
        flat = torch.view_as_real(flat).reshape(-1)
    integers = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[flat.element_size()]
    return flat.contiguous().view(integers).long()


def _signed(value: int) -> int:
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >= 1 << 63 else value


def _numbers(values: Tensor) -> Tensor:
    """Dense and real, of a type that can be computed with: a complex number is two, a whole one a float."""
    values = _dense(values)
    if values.is_complex():
        return torch.view_as_real(values.resolve_conj())
    if not values.is_floating_point():
        return values.double()
    return values if values.element_size() > 1 else values.float()


def _count(values: Tensor) -> int:
    return values.numel() * (2 if values.is_complex() else 1)


def _dense(values: Tensor) -> Tensor:
    return values.coalesce().values() if values.is_sparse else values
