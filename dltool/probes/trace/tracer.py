"""Runs a step with every operator observed, and notes those that gave bad values.

Two of torch's modes see the step: a ``TorchFunctionMode`` what the user called, a ``TorchDispatchMode`` the aten operators
that it comes down to, in forward, loss, backward and update alike. Operators are numbered in the order in which they ran: a
repeat of the same step gives them the same numbers, so that one can be mended there (``mend``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from dltool.probes.eager import eagerly
from dltool.probes.nested import Nested
from dltool.probes.trace.facts import Bad, bad_in, can_be_bad
from dltool.probes.trace.flow import Flow, Taken
from dltool.probes.trace.frames import Line, user_line
from dltool.probes.trace.modules import Position
from dltool.probes.trace.names import public_name
from dltool.probes.trace.operation import Ran, describe, mended_birth
from dltool.probes.trace.record import Leaf, Mending, Operation
from dltool.probes.trace.signature import Signature, Unit, given, signature, units

MOST_DETAILED = 400
"""Births told in full; after an overflow there may be thousands."""
LARGEST_KEPT = 2**24
"""Elements up to which the values that an in-place operator overwrites are kept, to tell what it took."""
NOTHING = Mending()
HOOK = "hook"
"""What runs on behalf of a node of torch's own and yet is the user's: a hook on the tensor."""


class Site(NamedTuple):
    """A forward operator, as it is found again when its gradient is computed."""

    op: str
    module: str | None
    line: Line | None
    differentiates: bool = False
    """An autograd node runs now: ``op`` is that of the forward operator it belongs to."""


class Tracer(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Observe one step; ``operations`` by ordinal are those that gave bad values.

    Args:
        model: its modules are followed.
        samples: samples in the batch, to tell rows.
        mend: operators of which what was born is replaced by finite values (their mean, or 1 where there are none).
    """

    def __init__(self, model: nn.Module, *, samples: int | None = None, mend: Mending = NOTHING) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._model = model
        self._position = Position(model)
        self._calls = _Calls(self._position)
        self._samples = samples
        self._mend = mend
        self._sites: dict[int, Site] = {}
        self._count = 0
        self._detailed = 0
        self.flow = Flow()
        self.operations: dict[int, Operation] = {}
        self._finite_again: dict[int, str] = {}
        """By the operators that made bad values, the first that took those and gave finite ones."""
        self.swallowed: set[int | Leaf] = set()
        """Where bad values came from of which arithmetic made good ones: exp(-inf) is 0, and so is 1 / inf."""
        self.last_item: Sequence[int | Leaf] = ()
        """Where the last bad number that Python read (``loss.item()``) came from."""
        self.last_taken: Sequence[int | Leaf] = ()
        """Where the bad values came from that an operator took last and gave none: what an exception is about."""

    @contextmanager
    def tracing(
        self, given_input: Nested = None, target: Nested = None, states: Mapping[str, Tensor] | None = None
    ) -> Iterator[None]:
        """Trace what runs within; tensors that were there before get their names, hooks and modes go at the end."""
        self.flow.name("parameter", self._model.named_parameters())
        self.flow.name("buffer", self._model.named_buffers())
        self.flow.name("input", {"input": given_input})
        self.flow.name("target", {"target": target})
        self.flow.name("state", states or {})
        fused = torch.backends.mha.get_fastpath_enabled()
        with ExitStack() as scope:
            scope.callback(torch.backends.mha.set_fastpath_enabled, fused)
            torch.backends.mha.set_fastpath_enabled(value=False)
            scope.enter_context(eagerly())
            scope.enter_context(self._position.following())
            scope.enter_context(self._calls)
            scope.enter_context(self)
            yield

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operator; look at what it took and gave."""
        del types
        kwargs = kwargs or {}
        kind = signature(func)
        node = torch._C._current_autograd_node()  # noqa: SLF001 - the only way to it
        site = self._site(func, node)
        if kind.is_view:
            return func(*args, **kwargs)
        named = kind.named(args, kwargs)
        calls = units(kind, named)
        taken = [self._look(kind, unit) for unit in calls]
        makers = [self._makers(unit) for unit in calls]
        names = [self._names(unit) for unit in calls]
        try:
            result = func(*args, **kwargs)
        except Exception:
            self.last_taken = _sources(taken)
            raise
        for index, unit in enumerate(calls):
            outputs = [tensor for tensor in given(kind, result, unit, index) if can_be_bad(tensor)]
            before = [self.operations[s].phase for s in _sources([taken[index]]) if isinstance(s, int)]
            reenters = bool(before) and all(phase in {"forward", "loss"} for phase in before)
            self._note(Ran(func, kind, named, taken[index], outputs, node, site, makers[index], names[index], reenters))
        return result

    def _site(self, func: Any, node: Any) -> Site:
        line = user_line(in_backward=True) if node is not None else None
        if node is not None and (self._position.module is None or line is None):
            known = self._sites.get(node._sequence_nr())  # noqa: SLF001 - what links a node to its forward operator
            if line is not None and torch.is_grad_enabled():  # a checkpointed block that is computed again
                self._made_by(Site(public_name(func, None), known and known.module, line))
            if line is not None and not torch.is_grad_enabled() and node.name()[-1].isdigit():
                return Site(HOOK, known and known.module, line, differentiates=True)
            if known is None:
                return Site(public_name(func, None), None, line, differentiates=True)
            return known._replace(line=line or known.line, differentiates=True)
        site = Site(public_name(func, self._calls.current), self._position.module, user_line())
        self._made_by(site)
        return site

    def _made_by(self, site: Site) -> None:
        """Autograd nodes are numbered: the last one made is that of the operator that runs now."""
        made = torch._C._autograd._get_sequence_nr() - 1  # noqa: SLF001
        self._sites.setdefault(made, site)

    def _look(self, kind: Signature, unit: Unit) -> dict[str, Taken]:
        looked = {name: self.flow.taken(tensor) for name, tensor in unit.taken.items()}
        overwritten = {id(tensor) for tensor in unit.written}
        if not overwritten or kind.fills or kind.uninitialised:
            return looked
        return {
            name: Taken(t.tensor.clone(), t.bad, t.sources) if id(t.tensor) in overwritten and _keepable(t.tensor) else t
            for name, t in looked.items()
        }

    def _makers(self, unit: Unit) -> dict[str, str]:
        return {name: maker for name, tensor in unit.taken.items() if (maker := self.flow.maker(tensor)) is not None}

    def _names(self, unit: Unit) -> dict[str, str]:
        return {name: called for name, tensor in unit.taken.items() if (called := self.flow.named(tensor)) is not None}

    def _note(self, ran: Ran) -> None:
        ordinal = self._count
        self._count += 1
        bad = _bad_outputs(ran)
        if bad and self._is_to_mend(ran, ordinal, bad):
            for tensor in ran.outputs:
                tensor.copy_(mended_birth(ran, tensor))
            bad = _bad_outputs(ran)
        for i, tensor in enumerate(ran.outputs):
            self.flow.wrote(tensor, ordinal, bad.get(i))
            maker = ran.site.op if ran.node is None else public_name(ran.func, None)
            self.flow.made(tensor, maker, moved=_moved(ran))
        if bad:
            operation = self._described(ran, ordinal, bad, detailed=self._detailed < MOST_DETAILED)
            self._detailed += operation.born
            self.operations[ordinal] = operation
        elif not ran.outputs and (sources := _sources([ran.taken])):
            self.last_taken = sources
            if ran.kind.base == "item":
                self.last_item = sources
        elif ran.kind.base == "item":
            self.last_item = ()
        else:
            self._lost(ran)

    def _lost(self, ran: Ran) -> None:
        """Bad values that it took, if any, are in none that it gave."""
        sources = _sources([ran.taken])
        self.swallowed |= set() if ran.kind.moves else set(sources)
        only_its_shape = ran.kind.base.endswith("_like") or ran.kind.base.startswith("new_")
        for source in () if only_its_shape or ran.node is not None else sources:
            if isinstance(source, int):
                self._finite_again.setdefault(source, ran.site.op)

    def _was_lost_at(self, sources: Sequence[int | Leaf]) -> str | None:
        """The forward function that first gave finite values for these bad ones, or for what was computed with them."""
        reached = {source for source in sources if isinstance(source, int)}
        for operation in self.operations.values():
            if operation.phase in {"forward", "loss"} and not reached.isdisjoint(operation.sources):
                reached.add(operation.ordinal)
        return next((self._finite_again[source] for source in sorted(reached) if source in self._finite_again), None)

    def _is_to_mend(self, ran: Ran, ordinal: int, bad: Mapping[int, Bad]) -> bool:
        if ordinal in self._mend.ordinals or not self._mend.places:
            return ordinal in self._mend.ordinals
        operation = self._described(ran, ordinal, bad, detailed=False)
        return operation.born and operation.place in self._mend.places

    def _described(self, ran: Ran, ordinal: int, bad: Mapping[int, Bad], *, detailed: bool) -> Operation:
        first = min(bad)
        phase = self._position.phase(ran.node)
        operation = describe(ran, first, bad[first], ordinal, phase, samples=self._samples, detailed=detailed)
        if detailed and phase == "backward" and ran.reenters:
            return replace(operation, finite_again=self._was_lost_at(_sources([ran.taken])))
        return operation


class _Calls(TorchFunctionMode):
    """The torch function that the user called last, while it runs; and when ``backward`` does."""

    def __init__(self, position: Position) -> None:
        super().__init__()
        self._position = position
        self.current: str | None = None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        if func is Tensor.backward:
            self._position.enter_backward()
            try:
                return func(*args, **(kwargs or {}))  # type: ignore[no-untyped-call]
            finally:
                self._position.leave_backward()
        before, self.current = self.current, getattr(func, "__name__", None)
        try:
            return func(*args, **(kwargs or {}))
        finally:
            self.current = before


def _sources(taken: Sequence[Mapping[str, Taken]]) -> Sequence[int | Leaf]:
    found = (source for each in taken for one in each.values() for source in one.sources)
    return tuple(dict.fromkeys(found))


def _bad_outputs(ran: Ran) -> dict[int, Bad]:
    return {i: found for i, tensor in enumerate(ran.outputs) if (found := bad_in(tensor)) is not None}


def _moved(ran: Ran) -> Tensor | None:
    """What an operator that computes nothing took its values from."""
    if not ran.kind.moves or not ran.taken:
        return None
    return ran.taken.get("src", next(iter(ran.taken.values()))).tensor


def _keepable(tensor: Tensor) -> bool:
    return can_be_bad(tensor) and tensor.numel() <= LARGEST_KEPT
