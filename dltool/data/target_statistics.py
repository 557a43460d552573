"""Statistics of encoded targets, and their normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dltool.core.errors import DataError, Problem
from dltool.core.measured.task import TaskKind
from dltool.data.layout import Layout
from dltool.data.moments import Moments
from dltool.data.targets import Encoded, flatten
from dltool.data.transforms import Normalize, Normalizer, fit_normalizer

Targets = Tensor | list[Tensor]

MOST_CLASSES = 2**20
"""A label from here on is no class number, and counting up to it could fill the memory."""


def normalize_targets(
    splits: Sequence[Targets], kind: TaskKind, how: Normalize
) -> tuple[Sequence[Targets], Normalizer | None]:
    """Targets of every split, normalised as the first one's are.

    Raises:
        DataError: the targets are classes.
    """
    if how == "none":
        return splits, None
    if kind != "regression":
        message = f"the targets are classes ({kind}); only measured numbers can be normalised"
        raise DataError(Problem(message=message, key="normalize_target", expected="none"))
    values = splits[0]
    pieces = values if isinstance(values, list) else [values]
    moments = Moments(int(pieces[0].shape[-1]))
    for piece in pieces:
        moments.add(piece.reshape(-1, piece.shape[-1]).numpy())
    normalizer = fit_normalizer(how, moments, Layout.FEATURES)
    assert normalizer is not None
    return [_apply(normalizer, values) for values in splits], normalizer


def _apply(normalizer: Normalizer, values: Targets) -> Targets:
    if isinstance(values, list):
        return [normalizer.apply(part, part.ndim) for part in values]
    return normalizer.apply(values, values.ndim - 1)


def class_counts(labels: Targets | None, encoded: Encoded, ignored: int) -> tuple[int, ...] | None:
    """Samples of every class (two counts for a binary loss); None for a regression and for several labels a sample."""
    if not isinstance(labels, Tensor) or encoded.kind == "other" or (encoded.kind == "binary" and encoded.width != 1):
        return None
    known = labels[labels != ignored].flatten()
    if encoded.valid is not None:
        return tuple(int((known == value).sum()) for value in encoded.valid)
    if len(known) and int(known.max()) >= MOST_CLASSES:
        return None
    return tuple(torch.bincount(known[known >= 0], minlength=encoded.width or 0).tolist())


def target_statistics(values: Targets) -> dict[str, Any]:
    """Of the training targets as delivered, where they are numbers."""
    flat = flatten(values)
    if not flat.is_floating_point():
        return {}
    moments = Moments(1)
    moments.add(flat[:, None].numpy())
    pooled = moments.pooled()
    return (
        {} if pooled is None else dict(zip(("target_mean", "target_std", "target_min", "target_max"), pooled, strict=True))
    )
