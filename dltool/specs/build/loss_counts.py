"""What the mean of each loss divides by: the weight with which a batch counts when batches are put together."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from dltool.specs.build.loss_functions import IGNORED, ONE_PER_SAMPLE


def count(kind: str, args: Any, target: Tensor, *, channels_last: bool) -> float:
    """Samples, elements or labels that count, or the class weights of those labels added up."""
    if kind in ONE_PER_SAMPLE:
        return float(target.shape[0])
    if kind == "hinge":
        return float((target != IGNORED).sum())
    if kind in {"cross_entropy", "nll"}:
        if target.is_floating_point():
            classes = target.shape[-1] if channels_last or target.dim() < 3 else target.shape[1]
            return target.numel() / classes
        labels = target[target != args.ignore_index]
        return float(labels.numel()) if args.weight is None else math.fsum(args.weight[i] for i in labels.tolist())
    return float(target.numel())
