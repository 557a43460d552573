"""Which operators wrote bad values into which memory, and what was bad before anything ran."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, UntypedStorage

from dltool.probes.nested import tensors
from dltool.probes.trace.facts import Bad, bad_in, facts
from dltool.probes.trace.record import Leaf, LeafKind


@dataclass(frozen=True, slots=True)
class Taken:
    """A tensor that an operator took, with the bad values in it and where they came from."""

    tensor: Tensor
    bad: Bad | None
    sources: Sequence[int | Leaf]


class Flow:
    """Memory is known by its storage: views and in-place writes then need no care of their own.

    What was bad is kept alive until the trace is dropped, so that its address cannot be given to another tensor.
    """

    def __init__(self) -> None:
        self._named: dict[int, tuple[LeafKind, str]] = {}
        self._writers: dict[int, list[int]] = {}
        self._known: dict[int, Bad] = {}
        """What is bad in memory that one operator wrote as a whole."""
        self._makers: dict[int, str] = {}
        self._alive: list[UntypedStorage] = []
        self._leaves: dict[int, Leaf] = {}

    def name(self, kind: LeafKind, named: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> None:
        """Give names to tensors that are there before the step; the first name of a storage counts."""
        for name, value in dict(named).items():
            for tensor in tensors(value):
                key = _key(tensor)
                if key:
                    self._named.setdefault(key, (kind, name))
                    self._alive.append(tensor.untyped_storage())

    def taken(self, tensor: Tensor) -> Taken:
        """What is bad in a tensor that is about to be used."""
        key = _key(tensor)
        writers = self._writers.get(key)
        if writers is not None and not writers:
            return Taken(tensor, None, ())
        covers = _covers(tensor)
        bad = self._known[key] if covers and key in self._known else bad_in(tensor)
        if bad is None:
            if writers is None and covers:
                self._writers[key] = []
            return Taken(tensor, None, ())
        return Taken(tensor, bad, tuple(writers) if writers else (self._leaf(key, tensor),))

    def wrote(self, tensor: Tensor, ordinal: int, bad: Bad | None) -> None:
        """The operator with this number wrote into this memory, ``bad`` values or only good ones."""
        key = _key(tensor)
        if not key:
            return
        covers = _covers(tensor)
        self._known.pop(key, None)
        if bad is None:
            if covers:
                self._writers[key] = []
            return
        self._alive.append(tensor.untyped_storage())
        if covers:
            self._known[key] = bad
        if covers or key not in self._writers:
            self._writers[key] = []
        self._writers[key].append(ordinal)

    def made(self, tensor: Tensor, op: str, *, moved: Tensor | None = None) -> None:
        """An operator gave this memory its values; one that only moved them passes on who made them."""
        maker = op if moved is None else self._makers.get(_key(moved))
        if maker is None:
            self._makers.pop(_key(tensor), None)
        else:
            self._makers[_key(tensor)] = maker

    def maker(self, tensor: Tensor) -> str | None:
        """Public name of the operator that made these values in this step; None for what was there before it."""
        return self._makers.get(_key(tensor))

    def named(self, tensor: Tensor) -> str | None:
        """What a tensor is called that was there before the step: its kind and name; None for others."""
        kind, name = self._named.get(_key(tensor), (None, ""))
        if kind is None or self.maker(tensor) is not None:
            return None
        return name if kind == "constant" else kind if kind in {"input", "target"} else f"{kind} {name}"

    def sources(self, tensor: Tensor) -> Sequence[int | Leaf]:
        """Where the bad values in ``tensor`` come from; nothing for a finite one."""
        return self.taken(tensor).sources

    def _leaf(self, key: int, tensor: Tensor) -> Leaf:
        if key not in self._leaves:
            kind, name = self._named.get(key, ("constant", ""))
            leaf = Leaf(kind, name, facts(tensor))
            if not key:
                return leaf
            self._leaves[key] = leaf
            self._alive.append(tensor.untyped_storage())
        return self._leaves[key]


def _key(tensor: Tensor) -> int:
    """The address of the tensor's memory; 0 for those that have none of their own (sparse ones)."""
    try:
        return tensor.untyped_storage().data_ptr()
    except (NotImplementedError, RuntimeError):
        return 0


def _covers(tensor: Tensor) -> bool:
    return tensor.numel() * tensor.element_size() >= tensor.untyped_storage().nbytes()
