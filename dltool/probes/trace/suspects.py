"""Follows the damage back: from a bad loss, gradient or weight to what could have begun it, earliest first.

What is not on the way is innocent: a mask that softmax turned to zeros, a marker that was selected away, a cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from dltool.probes.finite import is_allowed
from dltool.probes.trace.record import Leaf, Operation, Place, Suspect

LEAVES = ("input", "target", "parameter", "buffer", "state")
"""In the order in which a step meets them; constants are told by the operator that took them."""


def suspects(
    operations: Mapping[int, Operation],
    sinks: Iterable[int | Leaf],
    *,
    loss_is_finite: bool,
    allow: Sequence[str] = (),
) -> list[Suspect]:
    """Leaves (inputs, targets, parameters, buffers, states), then births in the order in which they ran.

    Births of one line and operator are one suspect, in however many modules the line runs (of one module where no line is
    known). What was meant to be bad (a mask, a fill) and what ``allow``
    names come last, as last resorts. With a finite loss the backward pass is judged by itself: bad values of the forward
    pass had been selected away, and the node that let them in again is the birth.

    Args:
        operations: of a ``Tracer``, by ordinal.
        sinks: where the bad values that were caught came from.
        loss_is_finite: the loss was.
        allow: patterns of modules, parameters and buffers that may hold bad values.
    """
    reached, leaves = _slice(operations, sinks, cut_at_backward=loss_is_finite)
    found = [Suspect(leaf=leaf, last_resort=is_meant(leaf, allow)) for leaf in _in_order(leaves)]
    found += [
        Suspect(operations=tuple(group), last_resort=all(o.deliberate or _allowed(o, allow) for o in group))
        for group in _by_place(operation for operation in reached if operation.born)
    ]
    if not found:  # nothing computed the bad values: what took a constant of nobody's first is all there is to tell
        found = [Suspect(operations=(o,), last_resort=True) for o in reached[:1]]
    return sorted(found, key=lambda suspect: suspect.last_resort)


def only_moved(operations: Mapping[int, Operation], sinks: Iterable[int | Leaf]) -> bool:
    """Whether the bad values were only written on purpose, copied or selected on their way: nothing computed with them."""
    reached, _ = _slice(operations, sinks, cut_at_backward=False)
    return all(operation.moves or (operation.born and operation.deliberate) for operation in reached)


def leaves_behind(operations: Mapping[int, Operation], sinks: Iterable[int | Leaf]) -> list[Leaf]:
    """What was bad before the step and reached any of these, in order of kind and name."""
    _, leaves = _slice(operations, sinks, cut_at_backward=False)
    return sorted(_in_order(leaves), key=lambda leaf: (LEAVES.index(leaf.kind), leaf.name))


def _slice(
    operations: Mapping[int, Operation], sinks: Iterable[int | Leaf], *, cut_at_backward: bool
) -> tuple[list[Operation], list[Leaf]]:
    """The operators and leaves that the sinks depend on, operators in the order in which they ran."""
    reached: dict[int, Operation] = {}
    leaves: dict[Leaf, None] = {}
    ahead = list(sinks)
    while ahead:
        source = ahead.pop()
        if isinstance(source, Leaf):
            leaves[source] = None
        elif source not in reached and source in operations:
            operation = operations[source]
            kept = list(operation.sources)
            if cut_at_backward and operation.phase in {"backward", "optimizer"}:
                kept = [s for s in kept if isinstance(s, Leaf) or operations[s].phase not in {"forward", "loss"}]
                if not kept and not operation.born and not operation.moves:
                    operation = replace(operation, born=True, deliberate=False)
            if operation.masked and not _computed(operations, kept):  # the row was masked on purpose
                kept = []
            reached[source] = operation
            ahead.extend(kept)
    return [reached[ordinal] for ordinal in sorted(reached)], list(leaves)


def _computed(operations: Mapping[int, Operation], sources: Sequence[int | Leaf]) -> bool:
    """Whether arithmetic, or a leaf that is no mask, is behind these values, and not only what was written on purpose."""
    reached, leaves = _slice(operations, sources, cut_at_backward=False)
    births = any(operation.born and not operation.deliberate for operation in reached)
    return births or any(not is_meant(leaf, ()) for leaf in leaves)


def _in_order(leaves: Iterable[Leaf]) -> list[Leaf]:
    return sorted((leaf for leaf in leaves if leaf.kind in LEAVES), key=lambda leaf: LEAVES.index(leaf.kind))


def is_meant(leaf: Leaf, allow: Sequence[str]) -> bool:
    """Whether its values are allowed, or a mask: one is made of -inf alone, and is no parameter."""
    only_masks = leaf.facts.negative_inf > 0 and not leaf.facts.nan and not leaf.facts.positive_inf
    return is_allowed(leaf.name, allow) or (only_masks and leaf.kind in {"buffer", "input"})


def _allowed(operation: Operation, allow: Sequence[str]) -> bool:
    return operation.module is not None and is_allowed(operation.module, allow)


def _by_place(births: Iterable[Operation]) -> list[list[Operation]]:
    groups: dict[Place, list[Operation]] = {}
    for operation in births:
        groups.setdefault(operation.place, []).append(operation)
    return list(groups.values())
