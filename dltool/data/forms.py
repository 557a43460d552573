"""What a loss wants its targets to be. Without torch."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from dltool.data.table import Array

IGNORED = -100
"""The label that torch's cross-entropy ignores unless told otherwise."""


class Form(Enum):
    """What a loss wants to be compared with."""

    CLASSES = "class numbers"
    BITS = "0 and 1"
    SIGNS = "1 and -1"
    NUMBERS = "numbers"


FORMS = {
    "cross_entropy": Form.CLASSES,
    "nll": Form.CLASSES,
    "hinge": Form.CLASSES,
    "multi_margin": Form.CLASSES,
    "multilabel_margin": Form.CLASSES,
    "ctc": Form.CLASSES,
    "bce": Form.BITS,
    "bce_with_logits": Form.BITS,
    "multilabel_soft_margin": Form.BITS,
    "soft_margin": Form.SIGNS,
    "hinge_embedding": Form.SIGNS,
    "margin_ranking": Form.SIGNS,
    "cosine_embedding": Form.SIGNS,
}
"""By the loss's name in a spec; every other loss compares numbers."""
OTHER_TASKS = frozenset(
    {"multilabel_margin", "ctc", "kl_div", "hinge_embedding", "margin_ranking", "cosine_embedding", "triplet_margin"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the spec says of the targets. ``loss`` is None where none is named, ``task`` where the targets decide."""

    loss: str | None = None
    task: str | None = None
    one_hot: bool = False
    classes: tuple[str | int, ...] | None = None
    ignored: int = IGNORED
    """The label that the loss passes over: given to samples without a label, and to the steps that fill up a sequence."""


def is_discrete(targets: Array | list[Array]) -> bool:
    """Words, or whole numbers all through (missing ones aside)."""
    if isinstance(targets, list):
        return all(is_discrete(part) for part in targets)
    if targets.dtype.kind != "f":
        return True
    finite = targets[np.isfinite(targets)]
    return bool((finite == np.round(finite)).all())
