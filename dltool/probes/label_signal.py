"""Do the labels have to do with the inputs? Near neighbours that share a label more often than chance, without any model."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from dltool.core.measured.task import TaskKind
from dltool.core.measured.training import LabelSignal
from dltool.probes.gather import gather
from dltool.probes.nested import Pair, tensors

MOST_SAMPLES = 2000
NEIGHBOURS = 5
PERMUTATIONS = 400
MOST_FEATURES = 4096


def label_signal(
    batches: Iterable[Pair],
    *,
    task: TaskKind,
    limit: int = MOST_SAMPLES,
    neighbours: int = NEIGHBOURS,
    seed: int = 0,
) -> LabelSignal | None:
    """Nearest-neighbour coincidences against permuted labels (Schilling 1986, JASA 81(395), 799-806).

    Inputs are flattened, every feature scaled to unit variance, and distances are Euclidean; wider inputs than
    ``MOST_FEATURES`` go through a random projection first (Johnson & Lindenstrauss 1984). For classes the agreement is the
    share of neighbour pairs with equal labels; for numbers it is 1 - C, Geary's C of the ranks (Geary 1954): 0 without any
    relation, 1 where neighbours are equal. ``z`` compares with 400 random permutations of the labels: it is N(0, 1) when
    labels were shuffled.

    Returns:
        None where there is nothing to compare: one label a pixel or time step, token inputs, one class, few samples.
    """
    table = gather(batches, limit)
    if table is None:
        return None
    features = _features(list(tensors(table[0])))
    targets = table[1]
    if features is None or not isinstance(targets, Tensor):
        return None
    labels = _labels(targets, task)
    samples = len(features)
    if labels is None or samples < 4 * neighbours or not (labels != labels[0]).any():
        return None
    nearest, distance_ratio = _neighbours(features, neighbours)
    generator = torch.Generator().manual_seed(seed)
    orders = [torch.randperm(samples, generator=generator) for _ in range(PERMUTATIONS)]
    observed = _agreement(labels, nearest)
    by_chance = torch.tensor([_agreement(labels[order], nearest) for order in orders], dtype=torch.float64)
    spread = float(by_chance.std())
    if not spread > 0.0:
        return None
    return LabelSignal(
        samples=samples,
        neighbours=neighbours,
        agreement_ratio=observed,
        chance_ratio=float(by_chance.mean()),
        z=(observed - float(by_chance.mean())) / spread,
        distance_ratio=distance_ratio,
    )


def _features(inputs: list[Tensor]) -> Tensor | None:
    floats = [t.reshape(len(t), -1).double() for t in inputs if t.is_floating_point() and t.ndim > 1]
    if not floats or any(not t.is_floating_point() and t.ndim > 1 for t in inputs):
        return None
    features = torch.cat(floats, 1)
    if not features.isfinite().all():
        return None
    features = _standardised(features)
    if features.shape[1] > MOST_FEATURES:
        width = features.shape[1]
        projection = torch.randn(width, 256, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        features = features @ projection / 16.0
    return features


def _standardised(features: Tensor) -> Tensor:
    """Mean 0 and unit variance; 0 where a feature is constant but for rounding.

    cdist multiplies matrices: a large offset that all samples share would drown the distances in rounding.
    """
    centred = features - features.mean(0)
    spread = centred.std(0, correction=0)
    constant = ~(spread > 1e-6 * features.abs().amax(0))
    return (centred / spread).masked_fill(constant, 0.0)


def _labels(targets: Tensor, task: TaskKind) -> Tensor | None:
    """Classes as integers of shape (N,), or numbers as standardised ranks of shape (N, outputs)."""
    if not targets.is_floating_point():
        return targets.reshape(-1) if targets.numel() == len(targets) else None
    columns = targets.reshape(len(targets), -1)
    if targets.ndim > 2 or not columns.isfinite().all():
        return None
    if task == "binary" and columns.shape[1] == 1:
        return columns[:, 0].round().long()
    if task == "classification":
        return columns.argmax(1)
    ranks = columns.argsort(0).argsort(0).double()
    return (ranks - ranks.mean(0)) / ranks.std(0, correction=0).clamp_min(1e-12)


def _neighbours(features: Tensor, count: int) -> tuple[Tensor, float | None]:
    """(N, count) nearest other samples, and how near: RMS distance over that of all pairs; None where all are alike."""
    distances = torch.cdist(features, features)
    among_all = float(distances.square().sum()) / (len(features) * (len(features) - 1))
    nearest = distances.fill_diagonal_(torch.inf).topk(count, largest=False)
    ratio = (float(nearest.values.square().mean()) / among_all) ** 0.5 if among_all > 0.0 else None
    return nearest.indices, ratio


def _agreement(labels: Tensor, nearest: Tensor) -> float:
    if labels.is_floating_point():
        # Standardised ranks have variance 1, so unrelated neighbours differ by 2 on average.
        return 1.0 - float((labels.unsqueeze(1) - labels[nearest]).square().mean()) / 2.0
    return float((labels.unsqueeze(1) == labels[nearest]).double().mean())
