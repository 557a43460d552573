"""Data sets with one fault each, made from the digits and the diabetes data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

DATA = Path(__file__).parents[2] / "sample_configs" / "data"

Arrays = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]


def write_data(folder: Path, seed: int) -> None:
    """One .npz for each faulty data set; what is drawn follows from ``seed``."""
    draw = np.random.default_rng(seed)
    with np.load(DATA / "digits.npz") as stored:
        x, y = stored["x"].astype(np.float32), stored["y"]
    table = np.loadtxt(DATA / "diabetes.csv", delimiter=",", skiprows=1, dtype=np.float32)
    mixed = draw.permutation(len(y))  # the file runs through the digits in order, so that a neighbour's label is a hint
    x, y = x[mixed], y[mixed]
    shuffled = draw.permutation(len(y))
    wrong = draw.random(len(y)) < 0.5
    holed = table[:, :-1].copy()
    holed[draw.integers(len(holed)), 3] = np.nan
    odd = y.copy()
    odd[draw.integers(len(y))] = 11
    variants: dict[str, Arrays] = {
        "pixels": (x * np.float32(255 / 16), y),
        "faint": (x * np.float32(1e-4), y),
        "noisy": (x, np.where(wrong, draw.integers(0, 10, len(y)), y)),
        "shuffled": (x, y[shuffled]),
        "misaligned": (x, np.roll(y, 1)),
        "diabetes_shuffled": (table[:, :-1], draw.permutation(table[:, -1])),
        "one_nan": (holed, table[:, -1]),
        "imbalanced": _imbalanced(x, y, draw),
        "nine_classes": (x[y != 4], y[y != 4]),
        "from_one": (x, y + 1),
        "eleventh": (x, odd),
        "float_labels": (x, y + np.float32(0.5)),
    }
    for name, (inputs, targets) in variants.items():
        np.savez(folder / f"{name}.npz", x=inputs, y=targets)


def _imbalanced(x: np.ndarray[Any, Any], y: np.ndarray[Any, Any], draw: np.random.Generator) -> Arrays:
    """A thousand digits other than 8 to ten that are."""
    many = draw.permutation(np.flatnonzero(y != 8))[:1000]
    few = draw.permutation(np.flatnonzero(y == 8))[:10]
    rows = np.concatenate([many, few])
    return x[rows], (y[rows] == 8).astype(np.int64)
