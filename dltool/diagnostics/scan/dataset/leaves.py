"""The parts of a sample: arrays, numbers and words, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

PAIR = ("input", "target")
LABEL_KEYS = ("label", "labels", "target", "targets", "y", "class", "class_id", "category")
MOST_DEPTH = 16


class Leaf(NamedTuple):
    """One part. ``array`` is None for words and for objects that hold no numbers; ``word`` is then the word or the type."""

    name: str
    array: NDArray[Any] | None
    word: str = ""

    @property
    def signature(self) -> str:
        """Type and shape: ``float32 (3, 32, 32)``."""
        if self.array is None:
            return self.word if self.word.startswith("<") else "text"
        return f"{self.array.dtype} {tuple(self.array.shape)}" if self.array.ndim else str(self.array.dtype)


def leaves_of(sample: Any) -> list[Leaf]:
    """All parts; a pair is called input and target, a mapping's parts by their keys."""
    if isinstance(sample, tuple | list) and not hasattr(sample, "_fields"):
        names = [PAIR[at] if at < len(PAIR) and len(sample) > 1 else "input" if len(sample) == 1 else f"[{at}]"
                 for at in range(len(sample))]  # fmt: skip
        return [leaf for name, part in zip(names, sample, strict=True) for leaf in _leaves(part, name, 0)]
    if isinstance(sample, Mapping) or hasattr(sample, "_fields"):
        return list(_leaves(sample, "", 0))
    return list(_leaves(sample, "input", 0))


def label_of(leaves: list[Leaf]) -> Leaf | None:
    """The part that is a class or a number to be predicted: a single value called target or label."""
    for wanted in LABEL_KEYS:
        for leaf in leaves:
            single = leaf.array is not None and leaf.array.size == 1 and leaf.array.ndim < 2
            word = leaf.array is None and not leaf.word.startswith("<")
            if leaf.name.lower() == wanted and (single or word):
                return leaf
    return None


def is_input(leaf: Leaf) -> bool:
    """Whether a part is given to a model rather than compared with what it says."""
    return leaf.name.split(".")[0].split("[")[0].lower() not in LABEL_KEYS


def _leaves(value: Any, name: str, depth: int) -> Iterator[Leaf]:
    if isinstance(value, Tensor):
        yield Leaf(name, _numpy(value))
    elif isinstance(value, np.ndarray):
        yield Leaf(name, value) if value.dtype.kind in "fiubc" else Leaf(name, None, f"<{value.dtype} array>")
    elif isinstance(value, bool | int | float | np.generic):
        yield Leaf(name, np.asarray(value))
    elif isinstance(value, str | bytes):
        yield Leaf(name, None, value if isinstance(value, str) else value.decode("utf-8", "replace"))
    elif value is None:
        yield Leaf(name, None, "<None>")
    elif depth >= MOST_DEPTH:
        yield Leaf(name, None, f"<{type(value).__name__}>")
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _leaves(part, f"{name}.{key}" if name else str(key), depth + 1)
    elif hasattr(value, "_fields"):
        for key in value._fields:
            yield from _leaves(getattr(value, key), f"{name}.{key}" if name else key, depth + 1)
    elif isinstance(value, tuple | list):
        yield from _of_list(value, name, depth)
    else:
        yield _object(value, name)


def _of_list(value: Any, name: str, depth: int) -> Iterator[Leaf]:
    if value and all(isinstance(part, bool | int | float) for part in value):
        yield Leaf(name, np.asarray(value))
        return
    for at, part in enumerate(value):
        yield from _leaves(part, f"{name}[{at}]", depth + 1)


def _object(value: Any, name: str) -> Leaf:
    """A picture of Pillow's, or whatever else turns into an array; otherwise its type."""
    if hasattr(value, "__array__") or hasattr(value, "__array_interface__"):
        array = np.asarray(value)
        if array.dtype.kind in "fiubc":
            return Leaf(name, array)
    return Leaf(name, None, f"<{type(value).__name__}>")


def _numpy(tensor: Tensor) -> NDArray[Any]:
    plain = tensor.detach().cpu()
    if plain.layout is not torch.strided:
        plain = plain.to_dense()
    try:
        array: NDArray[Any] = plain.resolve_conj().resolve_neg().numpy()
    except (TypeError, RuntimeError):  # bfloat16 and the types of 8 bits, which numpy does not have
        array = plain.float().numpy()
    return array
