"""Two light classifiers, in closed form: neighbours, and one Gaussian per class. Each sample is judged without its label."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Classes = NDArray[np.intp]
Model = Callable[[Numbers, Classes, Numbers, int], Numbers]
"""(training features, training labels, features asked about, number of classes) to probabilities."""

NEIGHBOURS = 10
COMPONENTS = 48
"""Principal components that are kept: digits of 64 pixels lose nothing by it (benchmarks/label_errors.py)."""

SHRINKAGE = 0.1
"""Weight of a sphere in the covariance, which keeps it invertible (Friedman 1989, Regularized discriminant analysis)."""

CHUNK = 1024


def neighbours(train: Numbers, labels: Classes, asked: Numbers, classes: int) -> Numbers:
    """Shares of the ten nearest neighbours by class, with one vote spread over all classes."""
    one_hot = np.eye(classes)[labels]
    count = min(NEIGHBOURS, len(train))
    squares = (train**2).sum(axis=1)
    votes = np.empty((len(asked), classes))
    for start in range(0, len(asked), CHUNK):
        distances = squares - 2.0 * asked[start : start + CHUNK] @ train.T
        nearest = np.argpartition(distances, count - 1, axis=1)[:, :count]
        votes[start : start + CHUNK] = one_hot[nearest].sum(axis=1)
    return (votes + 1.0 / classes) / (count + 1.0)


def gaussians(train: Numbers, labels: Classes, asked: Numbers, classes: int) -> Numbers:
    """Linear discriminant analysis with a shrunken covariance."""
    counts = np.maximum(np.bincount(labels, minlength=classes), 1)
    means = np.stack([np.bincount(labels, weights=column, minlength=classes) / counts for column in train.T], axis=1)
    apart = train - means[labels]
    covariance = apart.T @ apart / len(train)
    sphere = np.trace(covariance) / len(covariance)
    covariance = (1.0 - SHRINKAGE) * covariance + SHRINKAGE * max(sphere, 1e-12) * np.eye(len(covariance))
    weights = np.linalg.solve(covariance, means.T)
    scores = asked @ weights - 0.5 * (means.T * weights).sum(axis=0) + np.log(counts / counts.sum())
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(scores / scores.sum(axis=1, keepdims=True))


MODELS: dict[str, Model] = {"ten nearest neighbours": neighbours, "linear discriminant": gaussians}


def held_out(model: Model, features: Numbers, labels: Classes, fold_of: Classes) -> Numbers:
    """Probabilities for every sample from a model that was fitted on the other folds, (n, k).

    Features are standardised and turned to principal components by the training part alone.
    """
    classes = int(labels.max()) + 1
    probabilities = np.empty((len(labels), classes))
    for fold in range(int(fold_of.max()) + 1):
        asked = fold_of == fold
        train, wanted = _components(features[~asked], features[asked])
        probabilities[asked] = model(train, labels[~asked], wanted, classes)
    return probabilities


def folds(labels: Classes, count: int) -> Classes:
    """A fold for each sample; the samples of a class are dealt out in turn, so that folds are alike."""
    fold_of = np.empty(len(labels), dtype=np.intp)
    dealt = 0
    for label in range(int(labels.max()) + 1):
        members = np.flatnonzero(labels == label)
        members = np.random.default_rng(label).permutation(members)
        fold_of[members] = (np.arange(len(members)) + dealt) % count
        dealt += len(members)
    return fold_of


def _components(train: Numbers, asked: Numbers) -> tuple[Numbers, Numbers]:
    middle, spread = train.mean(axis=0), train.std(axis=0)
    scale = np.where(spread > 1e-9 * np.abs(middle), spread, np.inf)
    train, asked = (np.clip((part - middle) / scale, -5.0, 5.0) for part in (train, asked))
    if train.shape[1] <= COMPONENTS:
        return train, asked
    _, directions = np.linalg.eigh(train.T @ train)
    kept = directions[:, ::-1][:, :COMPONENTS]
    return train @ kept, asked @ kept
