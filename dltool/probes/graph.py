"""What a loss depends on, read off autograd's graph: also parameters that the model does not know of."""

from __future__ import annotations

from collections.abc import Collection

from torch import Tensor, nn


def foreign_parameters(loss: Tensor, known: Collection[int]) -> list[nn.Parameter]:
    """Parameters that ``loss`` depends on and whose ``id`` is not among ``known``, in the order in which they are met.

    The graph has to be there still: ask before backward. Leaves that are no ``nn.Parameter`` (an input that wants a
    gradient) are left out.
    """
    found: dict[int, nn.Parameter] = {}
    waiting, seen = [loss.grad_fn], {loss.grad_fn}
    while waiting:
        node = waiting.pop()
        if node is None:
            continue
        leaf = getattr(node, "variable", None)
        if isinstance(leaf, nn.Parameter) and id(leaf) not in known:
            found.setdefault(id(leaf), leaf)
        for following, _ in node.next_functions:
            if following not in seen:
                seen.add(following)
                waiting.append(following)
    return list(found.values())
