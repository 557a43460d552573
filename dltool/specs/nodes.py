"""A spec before it is validated: plain values, each with the place it was written at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from dltool.core.errors import Location, Problem, SpecError

MAX_DEPTH = 64
MAX_VALUES = 20_000
"""Values in a spec, aliases and references written out; the largest sample has under 200."""

Scalar = str | int | float | bool | None
KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """A value with where it stands; ``key_at`` is where its key stands, when it has one."""

    value: Scalar | dict[str, Node] | list[Node]
    at: Location
    key_at: Location | None = None

    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value

    def with_value(self, value: Scalar | dict[str, Node] | list[Node]) -> Node:
        """The same place with another value."""
        return replace(self, value=value)

    def child(self, part: str | int) -> Node | None:
        """The value under a key, or at an index given as a number; None where there is none."""
        if isinstance(self.value, dict):
            return self.value.get(part) if isinstance(part, str) else None
        if isinstance(self.value, list) and isinstance(part, int) and -len(self.value) <= part < len(self.value):
            return self.value[part]
        return None


def follow(root: Node, path: KeyPath) -> tuple[KeyPath, Node]:
    """Go along ``path`` as far as the document has it, passing over parts that it has not.

    The parts passed over are those that validation adds: ``linear: -3`` is at (..., "linear", "out_features").
    """
    node, taken = root, []
    for part in path:
        child = node.child(part)
        if child is not None:
            node = child
            taken.append(part)
    return tuple(taken), node


def leaves(node: Node, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Node]]:
    """Every scalar with its path, in document order."""
    if isinstance(node.value, dict):
        for key, child in node.value.items():
            yield from leaves(child, (*path, key))
    elif isinstance(node.value, list):
        for index, child in enumerate(node.value):
            yield from leaves(child, (*path, index))
    else:
        yield path, node


def walk(node: Node, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Node]]:
    """Every value below ``node`` with its path, in document order."""
    children = node.value.items() if isinstance(node.value, dict) else ()
    entries = enumerate(node.value) if isinstance(node.value, list) else ()
    for part, child in (*children, *entries):
        yield (*path, part), child
        yield from walk(child, (*path, part))


def dotted(path: KeyPath) -> str:
    """``model.layers.0``, as in overrides and messages."""
    return ".".join(str(part) for part in path)


class Budget:
    """Counts values as they are written out, so that aliases and references cannot blow a document up."""

    def __init__(self) -> None:
        self._left = MAX_VALUES

    def spend(self, at: Location, depth: int) -> None:
        """One more value at ``depth``.

        Raises:
            SpecError: when the document is too large or too deep.
        """
        self._left -= 1
        if self._left < 0:
            raise SpecError(Problem(message=f"the spec grows beyond {MAX_VALUES} values, aliases written out", location=at))
        if depth > MAX_DEPTH:
            raise SpecError(Problem(message=f"nested deeper than {MAX_DEPTH} levels", location=at))
