"""A tensor element by element: every one of them, or a sample of those that matter most."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from dltool.core.measured.gradcheck import GradientRecord
from dltool.probes.gradcheck.compare import joined, record_of
from dltool.probes.gradcheck.evaluators import Evaluator
from dltool.probes.gradcheck.point import Point
from dltool.probes.gradcheck.projections import size_of
from dltool.probes.numeric_gradient import measure

BLOCK = 4096
LOCALISED, LOCALISED_ONE_BY_ONE = 1024, 128
"""Elements that a tensor is localised in: all of a small one, of a large one a quarter by size and the rest at random."""

Tick = Callable[[int], bool]
"""Told how many elements are done since the last call; False asks to stop."""


class StoppedError(Exception):
    """The user asked to end the check."""


def chosen(analytic: Tensor | None, leaf: Tensor, evaluator: Evaluator, seed: int) -> Tensor:
    """Flat indices of the elements that a tensor is localised in, in order."""
    most = LOCALISED if evaluator.at_once > 1 else LOCALISED_ONE_BY_ONE
    if leaf.numel() <= most:
        return torch.arange(leaf.numel(), device=leaf.device)
    order = torch.randperm(leaf.numel(), generator=torch.Generator().manual_seed(seed)).to(leaf.device)
    if analytic is not None:
        largest = analytic.reshape(-1).abs().topk(most // 4).indices
        order = torch.cat((largest, order[~torch.isin(order, largest)]))
    return order[:most].sort().values


def check_elements(
    point: Point,
    name: str,
    analytic: Tensor | None,
    evaluator: Evaluator,
    elements: Tensor,
    *,
    base: float,
    noise: float,
    tick: Tick,
) -> GradientRecord:
    """Compare ``elements`` of a leaf with two-sided differences.

    Raises:
        StoppedError: ``tick`` said so.
    """
    leaf = point.leaves[name].detach()
    weights = leaf.reshape(-1)
    expected = torch.zeros(leaf.numel(), dtype=leaf.dtype, device=leaf.device) if analytic is None else analytic.reshape(-1)
    sizes = weights.abs().clamp_min(size_of(leaf))
    scale = float(expected.square().mean().sqrt())
    parts = []
    for block in torch.split(elements, min(BLOCK, max(64, 16 * evaluator.at_once))):

        def values(lines: Tensor, offsets: Tensor, block: Tensor = block) -> Tensor:
            moved = block[lines]
            return evaluator(moved, offsets) + point.penalty_change(name, weights[moved], offsets)

        parts.append(measure(values, expected[block], sizes[block], base=base, noise=noise, scale=scale))
        if not tick(len(block)):
            raise StoppedError
    return record_of(name, leaf, analytic, joined(parts), elements)
