"""Follows a forward pass, call by call, into a graph: a mode of torch sees every function, hooks tell the modules.

Layers of torch.nn are one node each, whatever they compute inside; all other calls are nodes of their own.
Tensors are followed by identity, and by the memory they share where one is overwritten in place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from dltool.core.measured.design import Argument
from dltool.probes.design.calls import named_arguments, plain_name, words
from dltool.probes.design.functions import layer_of
from dltool.probes.design.layers import class_of, described, known_layer
from dltool.probes.design.losses import LOSSES, SEVERAL_INPUTS, LossCall, arguments_of, expects_of, reduction_of
from dltool.probes.design.nodes import INPUT, Node
from dltool.probes.design.operations import PERMUTES, SAME, Call, Operand, operation
from dltool.probes.design.origins import CONSTANT, Origin, tensors_in
from dltool.probes.design.record import Record
from dltool.probes.design.weights import count_and_frozen, start_of
from dltool.probes.trace.modules import plain_path

NO_DATA = words(
    """zeros_like ones_like empty_like full_like rand_like randn_like randint_like new_zeros new_ones new_full new_empty
    new_tensor new_empty_strided arange linspace eye zeros ones full empty empty_strided"""
)
"""Functions that take no values from their arguments, but shapes."""
FILLS = words("fill zero normal uniform random exponential bernoulli constant eye ones zeros cauchy log_normal")
"""Functions that, in place, overwrite everything with what does not depend on the sample."""
OVERWRITES = words("copy set")
LEAVES_TORCH = words("numpy tolist __array__ __dlpack__")
"""Functions after which Python, or another library, has the values, and may bring them back."""
COMES_BACK = words("tensor as_tensor asarray")


@dataclass(frozen=True, slots=True)
class Seen:
    """One call: its plain name, and the tensors that it took (with their origins before it), made, and overwrote."""

    name: str
    function: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    taken: list[Tensor]
    origins: list[Origin]
    made: list[Tensor]
    written: list[Tensor]

    @property
    def data(self) -> tuple[int, ...]:
        """The nodes that it takes."""
        return tuple(dict.fromkeys(origin.node for origin in self.origins if origin.node is not None))

    @property
    def first(self) -> Tensor:
        """The first tensor that comes from a node."""
        return next(t for t, origin in zip(self.taken, self.origins, strict=True) if origin.node is not None)

    @property
    def result(self) -> Tensor:
        """What it gave, or wrote."""
        return self.made[0] if self.made else self.written[0]


class Tracer(TorchFunctionMode):
    """Notes in ``record`` what runs within ``following``, and in ``losses`` the loss functions that were called."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.record = Record()
        self.losses: list[LossCall] = []
        self.overwritten: dict[int, tuple[nn.Parameter, Tensor]] = {}
        """Weights that the pass itself wrote to, as far as it could be seen coming, with their values before."""
        self._paths = {module: plain_path(path) for path, module in reversed(list(model.named_modules()))}
        self._layers = {module: kind for module in self._paths if (kind := known_layer(module)) is not None}
        self._owners = {id(p): module for module in self._paths for p in module.parameters(recurse=False)}
        self._hidden = 0
        """How many layers of torch.nn run: what they call is theirs."""
        self._fault: Exception | None = None

    @contextmanager
    def following(self, given: Any, samples: int | None, constants: Iterable[Tensor]) -> Iterator[None]:
        """Follow what is computed from the tensors in ``given``, a batch of so many ``samples``.

        ``constants`` are tensors that were there before, and that the pass may use.
        """
        self.record.samples = samples
        self.record.spread(list(constants), CONSTANT)
        for tensor in tensors_in(given):
            self.record.origins.set(tensor, Origin(node=INPUT))
        handles = []
        try:
            for module, path in self._paths.items():
                handles.append(module.register_forward_pre_hook(self._entering(path)))
                handles.append(module.register_forward_hook(self._leaving(path), with_kwargs=True, always_call=True))
            with self:
                yield
        finally:
            for handle in handles:
                handle.remove()
        if self._fault is not None:
            raise self._fault

    def _entering(self, path: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...]) -> None:
            del args
            self.record.running.append(path)
            if not self._hidden and getattr(module, "max_norm", None) is not None:
                self._keep(module.parameters(recurse=False))
            self._hidden += module in self._layers

        return hook

    def _leaving(self, path: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
            kind = self._layers.get(module)
            if kind is not None and self._hidden == 1 and output is not None:
                self._guarded(lambda: self._note_layer(module, kind, path, (args, kwargs), output))
            self._hidden -= kind is not None
            if self.record.running:
                self.record.running.pop()

        return hook

    def _note_layer(self, module: nn.Module, kind: type[nn.Module], path: str, given: Any, output: Any) -> None:
        record = self.record
        taken, made = list(tensors_in(given)), list(tensors_in(output))
        follows = record.numbers_of(taken)
        parameters = list(module.parameters())
        if not follows:
            record.spread(made, record.without_data("", taken, parameters))
            return
        name, arguments = described(module, kind)
        node = _node(name, path or None, follows, arguments, parameters)
        node.arrives = record.sample_shape(next(t for t in taken if record.origin(t).node is not None))
        node.leaves = record.sample_shape(made[0]) if made else None
        node.arguments = _with_shape(node)
        node.is_layer = True
        origin = Origin(node=record.add(node))
        record.spread(made, origin)
        record.overwrite([tensor for tensor in taken if any(tensor is other for other in made)], origin)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the function, and note it."""
        del types
        kwargs = kwargs or {}
        if self._hidden:
            return func(*args, **kwargs)
        taken = list(tensors_in((args, kwargs)))
        before = [_version(tensor) for tensor in taken]
        origins = [self.record.origin(tensor) for tensor in taken]
        if _may_write(func, kwargs):
            self._keep(w for origin in origins for w in origin.weights)
        result = func(*args, **kwargs)
        written = [t for t, version in zip(taken, before, strict=True) if _version(t) != version]
        name = _attribute(func) if getattr(func, "__name__", "") == "__get__" else plain_name(func)
        seen = Seen(name, func, args, kwargs, taken, origins, list(tensors_in(result)), written)
        self._guarded(lambda: self._note(seen))
        return result

    def _guarded(self, note: Any) -> None:
        """A fault of dltool's own must not look like one of the user's code, which may even catch it."""
        try:
            note()
        except Exception as fault:  # noqa: BLE001
            self._fault = self._fault or fault

    def _note(self, seen: Seen) -> None:
        record, name, data = self.record, seen.name, seen.data
        if name in LEAVES_TORCH:
            record.escaped.extend(data)
        elif name == "__set__" and len(seen.taken) == 2:  # x.data = y
            record.spread(seen.taken[:1], seen.origins[1])
        elif not seen.made and not seen.written:
            pass
        elif name in COMES_BACK and not seen.taken and record.escaped:
            record.spread(seen.made, record.unseen())
        elif name in OVERWRITES and len(seen.taken) > 1:
            record.spread(seen.made, seen.origins[1])
            record.overwrite(seen.written, seen.origins[1])
        elif not data or name in NO_DATA or (seen.written and name in FILLS):
            given = [
                v for v in (*seen.args, *seen.kwargs.values()) if isinstance(v, int | float) and not isinstance(v, bool)
            ]
            origin = record.without_data(name, () if data else seen.taken, numbers=given)
            record.spread([*seen.made, *seen.written], origin)
        elif name in SAME:
            record.spread(seen.made, Origin(node=data[0]))
        else:
            origin = Origin(node=self._note_loss(seen) if name in LOSSES else self._note_call(seen))
            record.spread(seen.made, origin)
            record.overwrite(seen.written, origin)

    def _note_call(self, seen: Seen) -> int:
        record = self.record
        given = named_arguments(seen.function, seen.name, seen.args, seen.kwargs)
        weights = [w for origin in seen.origins for w in origin.weights]
        module, follows = record.module, seen.data
        found = layer_of(seen.name, given)
        if found is not None:
            owner = next((self._owners[id(w)] for w in weights if id(w) in self._owners), None)
            kind, arguments = _as_owned(found, owner, seen.origins)
            module = module if owner is None else self._paths[owner] or None
        else:
            what = operation(Call(seen.name, given, self._operands(seen), seen.result, seen.first.ndim), record.graph)
            if what.changes_nothing:
                return follows[0]
            kind, arguments = what.kind, dict(what.arguments)
            follows = follows if what.follows is None else what.follows
        node = _node(kind, module, follows, arguments, weights)
        node.arrives, node.leaves = record.sample_shape(seen.first), record.sample_shape(seen.result)
        node.arguments = _with_shape(node)
        return record.add(node)

    def _note_loss(self, seen: Seen) -> int:
        kind = LOSSES[seen.name]
        given = named_arguments(seen.function, seen.name, seen.args, seen.kwargs)
        prediction = [given[key] for key in ("input", "log_probs") if key in given]
        takes = seen.data if kind.name in SEVERAL_INPUTS else self.record.numbers_of(prediction) or seen.data
        target = next((t for t in seen.taken if not any(t is each for each in prediction)), None)
        node = Node(kind=kind.name, module=self.record.module, follows=seen.data)
        number = self.record.add(node)
        arguments, classes = arguments_of(kind, given)
        call = LossCall(
            kind=kind,
            node=number,
            takes=takes,
            expects=expects_of(kind, given),
            reduction=reduction_of(given),
            arguments=arguments,
            class_weights=classes,
            target=target,
            target_shape=None if target is None else self.record.sample_shape(target),
            file=node.file,
            line=node.line,
        )
        self.losses.append(call)
        return number

    def _operands(self, seen: Seen) -> list[Operand]:
        origins = {id(tensor): origin for tensor, origin in zip(seen.taken, seen.origins, strict=True)}
        found: list[Operand] = []
        for value in (*seen.args, *seen.kwargs.values()):
            if isinstance(value, int | float) and not isinstance(value, bool):
                found.append(Operand(value, CONSTANT))
            found.extend(Operand(tensor, origins[id(tensor)]) for tensor in tensors_in(value))
        return found

    def _keep(self, parameters: Iterable[nn.Parameter]) -> None:
        for parameter in parameters:
            if id(parameter) not in self.overwritten:
                self.overwritten[id(parameter)] = parameter, parameter.detach().clone()


def _node(
    kind: str, module: str | None, follows: tuple[int, ...], arguments: Mapping[str, Argument], weights: list[nn.Parameter]
) -> Node:
    count, frozen = count_and_frozen(weights)
    return Node(
        kind=kind,
        module=module,
        follows=follows,
        arguments=arguments,
        parameters=count,
        init=start_of(weights) if count else None,
        frozen=frozen,
        is_layer=bool(count),
    )


def _with_shape(node: Node) -> Mapping[str, Argument]:
    """Arguments that are the shape of what leaves: of a reshape, and of a pool that keeps some of its sides."""
    if node.kind == "reshape":
        return {"shape": node.leaves}
    kept_sides = node.kind.startswith("adaptive_") and node.arguments.get("output_size") is None and node.leaves is not None
    return {**node.arguments, "output_size": node.leaves[1:]} if kept_sides and node.leaves else node.arguments


def _as_owned(
    found: tuple[str, dict[str, Argument]], owner: nn.Module | None, origins: list[Origin]
) -> tuple[str, dict[str, Argument]]:
    """A function that a layer of the user's own calls on its weights, with what only the layer knows."""
    kind, arguments = found
    dropped_p = next((origin.dropped_p for origin in origins if origin.dropped_p is not None), None)
    if kind == "linear" and dropped_p is not None:
        return "drop_connect", arguments | {"p": dropped_p}
    owned = None if owner is None else class_of(owner)
    if owner is None or owned is None:
        return kind, arguments
    own_kind, own = described(owner, owned)
    return (kind, own | arguments) if own_kind == kind else (kind, arguments)


def _attribute(func: Any) -> str:
    """The name of the attribute that a getter reads."""
    name = str(getattr(getattr(func, "__self__", None), "__name__", "__get__"))
    return name if name in PERMUTES | SAME else "__get__"


def _may_write(func: Any, kwargs: Mapping[str, Any]) -> bool:
    """Whether the function may write to what it takes, by its name."""
    name = str(getattr(func, "__name__", ""))
    return name in {"__setitem__", "__set__"} or (name.endswith("_") and not name.endswith("__")) or "out" in kwargs


def _version(tensor: Tensor) -> int:
    """How often it was written to; inference tensors do not count that."""
    return -1 if tensor.is_inference() else tensor._version  # noqa: SLF001 - there is no public way to it
