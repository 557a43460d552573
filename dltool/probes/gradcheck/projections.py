"""Random projections: one number instead of a gradient, from two losses instead of two for every element.

A gradient that is wrong by e shows in the projection on a standard normal direction z as ⟨e, z⟩, which is N(0, ‖e‖²): that
it stays below a tolerance t by luck has a probability of at most √(2/π) t / ‖e‖, for k projections the k-th power.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dltool.core.measured.gradcheck import WRONG, GradientRecord, verdict_of
from dltool.probes.gradcheck.compare import relative_error
from dltool.probes.gradcheck.point import Point
from dltool.probes.numeric_gradient import Slopes, measure

PROJECTIONS = 2
STEP = 2.0**-20
"""Smaller than for one element, since all move at once."""
TOLERANCE = 1e-6
LARGEST_BOOST = 100.0
LEAST_SIZE = 0.1


def size_of(leaf: Tensor) -> float:
    """The size of a tensor's elements (root mean square), which steps are relative to; 0.1 for zeros."""
    return max(float(leaf.detach().square().mean().sqrt()), LEAST_SIZE) if leaf.numel() else LEAST_SIZE


@dataclass(slots=True)
class Projection:
    """A few leaves along shared random directions: ``expected`` by autograd, ``slopes`` by differences, shape (k,).

    ``shares`` are the standard deviations that each leaf's own gradient gives ``expected``, ``scale`` that of all.
    """

    expected: Tensor
    slopes: Slopes
    shares: Mapping[str, float]
    scale: float

    @property
    def difference(self) -> float:
        """Root mean square over the projections."""
        return float((self.expected - self.slopes.numeric).square().mean().sqrt())

    @property
    def resolution(self) -> float:
        """What rounding may have done to it."""
        return float(self.slopes.resolution.square().mean().sqrt())

    @property
    def passed(self) -> bool:
        """No leaf is wrong, as far as these projections tell; a kink tells nothing."""
        return not bool(self.slopes.kink.any()) and self.difference <= max(self.resolution, TOLERANCE * self.scale)

    def miss_probability(self, name: str) -> float:
        """How likely an error of 1e-3 in the leaf's gradient passes; 0 for a gradient that is nothing but rounding."""
        if self.shares[name] <= self.resolution:
            return 0.0
        error = 2 * WRONG * self.shares[name]
        tolerance = max(self.resolution, TOLERANCE * self.scale)
        return min(1.0, math.sqrt(2 / math.pi) * tolerance / error) ** len(self.expected)


def project(
    point: Point,
    names: Sequence[str],
    gradients: Mapping[str, Tensor | None],
    *,
    base: float,
    noise: float,
    seed: int,
    count: int = PROJECTIONS,
) -> Projection:
    """Project the gradients of the leaves ``names`` on ``count`` random directions through all of them.

    In a direction every leaf gets a share of the same size, as far as its step may grow for that, so that no leaf hides
    behind another whose gradient is larger.
    """
    generator = torch.Generator().manual_seed(seed)
    given = {name: gradients[name] for name in names}
    strength = {n: size_of(point.leaves[n]) * (0.0 if g is None else float(g.norm())) for n, g in given.items()}
    strongest = max(strength.values())
    boost = {n: min(strongest / s, LARGEST_BOOST) if s > 0 else 1.0 for n, s in strength.items()}
    directions = [
        {n: boost[n] * size_of(point.leaves[n]) * _normal(point.leaves[n], generator) for n in names} for _ in range(count)
    ]
    expected = torch.stack([_inner(given, direction) for direction in directions])
    shares = {n: strength[n] * boost[n] for n in names}
    scale = math.sqrt(sum(share**2 for share in shares.values()))

    def values(lines: Tensor, offsets: Tensor) -> Tensor:
        moved = zip(lines.tolist(), offsets, strict=True)
        return torch.stack([point.loss_at({n: offset * u for n, u in directions[k].items()}) for k, offset in moved])

    ones = torch.ones_like(expected)
    slopes = measure(values, expected, ones, base=base, noise=noise, scale=scale, step=STEP)
    return Projection(expected, slopes, shares, scale)


def _normal(leaf: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(leaf.shape, dtype=torch.float64, generator=generator).to(leaf.device)


def _inner(gradients: Mapping[str, Tensor | None], direction: Mapping[str, Tensor]) -> Tensor:
    parts = [(direction[n] * g).sum() for n, g in gradients.items() if g is not None]
    return (
        torch.stack(parts).sum()
        if parts
        else torch.zeros((), dtype=torch.float64, device=next(iter(direction.values())).device)
    )


def projected_record(name: str, leaf: Tensor, gradient: Tensor | None, projection: Projection) -> GradientRecord:
    """What a projection says of one of its leaves; of several together, what it allows for each."""
    alone = len(projection.shares) == 1
    size = size_of(leaf)
    share = projection.shares[name]
    numeric = float(projection.slopes.numeric.square().mean().sqrt()) if alone else share
    error = relative_error(projection.difference, share, numeric, projection.resolution)
    norm = 0.0 if gradient is None else float(gradient.norm())
    return GradientRecord(
        relative_error=error,
        verdict=verdict_of(error),
        method="projection" if alone else "joint projection",
        module=name.rpartition(".")[0],
        shape=tuple(leaf.shape),
        elements=leaf.numel(),
        compared=len(projection.expected),
        analytic_norm=norm,
        numeric_norm=numeric / size if alone else norm,
        resolution=projection.resolution / (share + numeric) if share + numeric else 0.0,
        gradient="none" if gradient is None else "present",
        smallest_step=float(projection.slopes.step.min()),
        largest_step=float(projection.slopes.step.max()),
    )
