"""Units that cannot become different: same weights in, same gradient, so the same weights after every step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dltool.probes.parameters import row_fingerprints

SAME_RATIO = 1e-5
"""Rows that differ by less than this share of the longest row count as one: float32 sums differ by their order alone."""

LINEAR = (nn.Linear, nn.modules.conv._ConvNd)  # noqa: SLF001 - the one base of all convolutions
TRANSPOSED = nn.modules.conv._ConvTransposeNd  # noqa: SLF001


@dataclass(frozen=True, slots=True)
class UnitLayer:
    """Units of one layer: the weight they are named by, and every parameter with one row (or one row a gate) for each."""

    module: str
    parameter: str
    units: int
    parts: tuple[tuple[Tensor, int], ...]
    """Each parameter with its unit dimension; a length that is a multiple of ``units`` holds that many gates."""

    def rows(self, *, gradients: bool = False) -> Tensor | None:
        """(units, n) of all weights, or gradients, that come into each unit; None where a gradient is missing."""
        rows = []
        for parameter, unit_dim in self.parts:
            values = parameter.grad if gradients else parameter
            if values is None or values.is_sparse:
                return None
            gates = values.detach().movedim(unit_dim, 0).reshape(-1, self.units, values.numel() // values.shape[unit_dim])
            rows.append(gates.movedim(1, 0).reshape(self.units, -1))
        return torch.cat(rows, 1)


def unit_layers(model: nn.Module) -> Iterator[UnitLayer]:
    """Linear, convolutional and recurrent layers with at least two units."""
    for path, module in model.named_modules():
        prefix = f"{path}." if path else ""
        if isinstance(module, LINEAR) and isinstance(getattr(module, "weight", None), nn.Parameter):
            dim = 1 if isinstance(module, TRANSPOSED) else 0
            parts: list[tuple[Tensor, int]] = [(module.weight, dim)]
            units = module.weight.shape[dim]
            if module.bias is not None and len(module.bias) == units:
                parts.append((module.bias, 0))
            if units > 1:
                yield UnitLayer(path, f"{prefix}weight", units, tuple(parts))
        elif isinstance(module, nn.RNNBase | nn.RNNCellBase) and module.hidden_size > 1:
            yield from _recurrent(path, prefix, module)


def _recurrent(path: str, prefix: str, module: nn.RNNBase | nn.RNNCellBase) -> Iterator[UnitLayer]:
    for name, weight in module.named_parameters(recurse=False):
        if name.startswith("weight_ih"):
            suffix = name.removeprefix("weight_ih")
            names = (name, f"weight_hh{suffix}", f"bias_ih{suffix}", f"bias_hh{suffix}")
            parts = tuple((p, 0) for n in names if (p := getattr(module, n, None)) is not None)
            yield UnitLayer(path, f"{prefix}{name}", module.hidden_size, parts if weight.ndim else ())


def distinct_weights(layer: UnitLayer) -> int:
    """Units with different weights, compared bit for bit."""
    rows = layer.rows()
    assert rows is not None
    return len(set(row_fingerprints(rows).tolist()))


def distinct_rows(rows: Tensor | None) -> int:
    """Rows that differ by more than rounding; 0 for None.

    Rows are projected on a fixed random direction and told apart by the gaps, which costs one product and one sort. Rows
    with a value that is not finite count as different from all others.
    """
    if rows is None:
        return 0
    rows = rows.double()
    direction = torch.randn(rows.shape[1], generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(rows.device)
    length = torch.linalg.vector_norm(rows, dim=1).max()
    places = (rows @ direction).sort().values
    gaps = places.diff() > SAME_RATIO * length
    return 1 + int((gaps | ~places.diff().isfinite()).sum())
