"""Made-up data with a known answer: clouds, circles, moons, spirals and xor to classify, a line and a sine to regress on.

What is to be learnt (centres, directions) depends on the seed alone; the samples on the seed and the split, so that a
validation set of its own is a fresh draw from the same truth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dltool.data.randomness import Stream, numpy_generator
from dltool.data.table import Table

if TYPE_CHECKING:
    from numpy.random import Generator

Floats = NDArray[np.float64]
Pair = tuple[Floats, Floats]
CENTRE_BOX = 10.0
"""Centres of blobs lie in the box from -10 to 10, which a spread of 1 seldom fills."""


def table(name: str, inputs: Floats, targets: Floats) -> Table:
    """Inputs (N, F) and targets (N,) as a table."""
    return Table(
        path=f"synthetic {name}",
        inputs=inputs.astype(np.float32),
        targets=targets,
        rows=np.arange(len(inputs), dtype=np.int64),
        feature_names=tuple(f"x{i}" for i in range(inputs.shape[1])),
    )


def truth_generator(seed: int) -> Generator:
    """Draws what is to be learnt."""
    return numpy_generator(seed, Stream.SYNTHETIC, 0)


def sample_generator(seed: int, part: int) -> Generator:
    """Draws samples; ``part`` is 0 for training (or the whole), 1 for validation."""
    return numpy_generator(seed, Stream.SYNTHETIC, 1 + part)


def blobs(n: int, truth: Generator, draw: Generator, *, features: int, classes: int, spread: float) -> Pair:
    """One isotropic normal cloud for each class."""
    centres = truth.uniform(-CENTRE_BOX, CENTRE_BOX, (classes, features))
    labels = _labels(n, classes, draw)
    return centres[labels] + spread * draw.standard_normal((n, features)), labels.astype(np.float64)


def circles(n: int, draw: Generator, *, noise: float, factor: float) -> Pair:
    """Class 0 on a circle of radius 1, class 1 on one of radius ``factor``."""
    labels = _labels(n, 2, draw)
    angle = draw.uniform(0, 2 * np.pi, n)
    radius = np.where(labels == 0, 1.0, factor)
    return _plane(radius * np.cos(angle), radius * np.sin(angle), noise, draw), labels.astype(np.float64)


def moons(n: int, draw: Generator, *, noise: float) -> Pair:
    """Class 0 on an upper half circle, class 1 on a lower one, moved by (1, 0.5)."""
    labels = _labels(n, 2, draw)
    angle = draw.uniform(0, np.pi, n)
    x = np.where(labels == 0, np.cos(angle), 1 - np.cos(angle))
    y = np.where(labels == 0, np.sin(angle), 0.5 - np.sin(angle))
    return _plane(x, y, noise, draw), labels.astype(np.float64)


def spirals(n: int, draw: Generator, *, classes: int, turns: float, noise: float) -> Pair:
    """Arms from the centre to radius 1, each the first one turned by 2π / classes."""
    labels = _labels(n, classes, draw)
    radius = draw.uniform(0.05, 1.0, n)
    angle = 2 * np.pi * (turns * radius + labels / classes)
    return _plane(radius * np.cos(angle), radius * np.sin(angle), noise, draw), labels.astype(np.float64)


def xor(n: int, draw: Generator, *, noise: float) -> Pair:
    """Corners (±1, ±1); class 1 where the signs differ."""
    corners = _labels(n, 4, draw)
    x, y = np.where(corners % 2 == 0, -1.0, 1.0), np.where(corners < 2, -1.0, 1.0)
    return _plane(x, y, noise, draw), (x != y).astype(np.float64)


def linear(n: int, truth: Generator, draw: Generator, *, features: int, noise: float) -> Pair:
    """Targets x · w + noise, with w and x standard normal."""
    weights = truth.standard_normal(features)
    inputs = draw.standard_normal((n, features))
    return inputs, inputs @ weights + noise * draw.standard_normal(n)


def sinusoid(n: int, truth: Generator, draw: Generator, *, features: int, noise: float) -> Pair:
    """Targets sin(π x · w) + noise, with x uniform in [-1, 1] and w a direction (for one feature, w = 1)."""
    weights = np.ones(1) if features == 1 else truth.standard_normal(features)
    weights = weights / np.linalg.norm(weights)
    inputs = draw.uniform(-1, 1, (n, features))
    return inputs, np.sin(np.pi * (inputs @ weights)) + noise * draw.standard_normal(n)


def _labels(n: int, classes: int, draw: Generator) -> NDArray[np.int64]:
    """Classes of equal size (up to one), in random order."""
    return draw.permutation(np.arange(n, dtype=np.int64) % classes)


def _plane(x: Floats, y: Floats, noise: float, draw: Generator) -> Floats:
    return np.stack([x, y], axis=1) + noise * draw.standard_normal((len(x), 2))
