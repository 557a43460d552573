"""Confident learning: which labels a model disbelieves that never saw them (Northcutt, Jiang & Chuang 2021, JAIR 70)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Classes = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Doubts:
    """Samples whose label is disbelieved, the least believed first; ``suggested`` are the classes believed instead."""

    samples: Classes
    suggested: Classes


def doubts(probabilities: Numbers, labels: Classes) -> Doubts:
    """Label errors that the confident joint supports.

    A sample counts towards (its label, class j) when the model's probability of j is at least what it gives j on average
    to samples labelled j (section 3.1 there). Counts are scaled to the labels (equation 2); from each pair of classes as
    many samples are taken as that estimates errors, by the largest margin ("prune by noise rate", section 3.2), and only
    if they were counted there.

    Args:
        probabilities: (n, k), out of sample; rows sum to 1.
        labels: (n,), of 0 to k - 1; every class occurs.
    """
    n, k = probabilities.shape
    own = probabilities[np.arange(n), labels]
    counts = np.bincount(labels, minlength=k)
    thresholds = np.bincount(labels, weights=own, minlength=k) / counts
    above = np.where(probabilities >= thresholds, probabilities, -1.0)
    confident = above.max(axis=1) >= 0.0
    suggested = above.argmax(axis=1)
    joint = np.zeros((k, k))
    np.add.at(joint, (labels[confident], suggested[confident]), 1.0)
    rows = joint.sum(axis=1, keepdims=True)
    scaled = np.where(rows > 0.0, joint * counts[:, None] / np.maximum(rows, 1.0), 0.0)
    margins = probabilities[np.arange(n), suggested] - own
    chosen: list[int] = []
    for label, other in zip(*np.nonzero(joint), strict=True):
        if label != other:
            members = np.flatnonzero(confident & (labels == label) & (suggested == other))
            most = round(scaled[label, other])
            chosen += members[np.argsort(-margins[members], kind="stable")[:most]].tolist()
    samples = np.array(sorted(chosen, key=lambda i: (own[i] - probabilities[i, suggested[i]], i)), dtype=np.intp)
    return Doubts(samples=samples, suggested=suggested[samples])
