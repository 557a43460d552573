"""Which module's own backward disagrees with its own forward: every call of the pass, checked on its own.

A call is given its inputs of the real pass, its outputs are weighted at random and added up, and the slope of that sum along
random directions through each input, and through the call's own parameters, is compared with autograd's. A call that fails
and holds no other that fails is to blame.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from dltool.core.measured.gradcheck import FINE, Culprit
from dltool.probes.gradcheck.compare import relative_error
from dltool.probes.gradcheck.forward_only import functions_in
from dltool.probes.gradcheck.point import Point
from dltool.probes.gradcheck.projections import PROJECTIONS, STEP, size_of
from dltool.probes.gradcheck.replay import Call, record
from dltool.probes.nested import Nested, tensors, transform
from dltool.probes.numeric_gradient import EPSILON, measure
from dltool.probes.paths import seen_from_here


@dataclass(slots=True)
class _Fault:
    """An argument of a call that gets a wrong gradient."""

    argument: str
    relative_error: float
    cut: bool


def culprits(point: Point, wrong: list[str]) -> tuple[Culprit, ...]:
    """The places to blame for the gradients of the leaves ``wrong``, in the order of the forward pass."""
    outputs: list[Nested] = []

    def forward() -> Tensor:
        point.rewinder()
        with torch.enable_grad(), point.lifting():
            handle = point.model.register_forward_hook(lambda *seen: outputs.append(seen[2]))
            try:
                return point.loss_with({})
            finally:
                handle.remove()

    functions = functions_in(forward())
    outputs.clear()
    recording = record(point, forward, functions)
    faults: dict[int, list[_Fault]] = {}
    for call in sorted(recording.calls, key=lambda each: each.end):
        if not any(_to_blame(inner, faults) for inner in _within(call)):
            faults[call.start] = _faults_of(point, call)
    found = [_culprit(call, faults[call.start]) for call in recording.calls if faults.get(call.start)]
    loss = [] if any(culprit.module is None for culprit in found) or not outputs else _loss_faults(point, outputs[-1])
    if loss:
        found.append(_told(None, None, loss))
    return _with_parameters(found, recording.calls, wrong)


def _within(call: Call) -> Iterator[Call]:
    for inner in call.inner:
        yield inner
        yield from _within(inner)


def _to_blame(call: Call, faults: dict[int, list[_Fault]]) -> bool:
    return bool(faults.get(call.start))


def _faults_of(point: Point, call: Call) -> list[_Fault]:
    own = [] if call.function is not None else [p for p in call.what.parameters() if p.requires_grad]

    def run(args: Any, kwargs: Any) -> Nested:
        if call.random_before is not None:
            call.random_before.restore()
        return call.what(*args, **kwargs)

    names = _argument_names(call)
    return _faults(point, run, (call.args, call.kwargs), own=own, names=names)


def _loss_faults(point: Point, output: Nested) -> list[_Fault]:
    given = transform(output, lambda t: t.detach().clone().requires_grad_(t.is_floating_point()))
    return _faults(
        point, lambda args, _: point.criterion(args[0], point.target), ((given,), {}), own=[], names=("the output",)
    )


def _faults(
    point: Point,
    run: Callable[[Any, Any], Nested],
    given: tuple[Any, Any],
    *,
    own: list[nn.Parameter],
    names: tuple[str, ...],
) -> list[_Fault]:
    """Arguments with a wrong gradient; none where the call cannot be made again on its own."""
    inputs = [(name, t) for name, value in _named(*given, names) for t in tensors(value) if t.requires_grad]
    groups = [(name, [tensor]) for name, tensor in inputs] + ([("its parameters", list(own))] if own else [])
    if not groups:
        return []
    generator = torch.Generator().manual_seed(0)
    weights: list[Tensor] = []

    def total() -> Tensor:
        point.rewinder()
        fresh = transform(given, lambda t: t.clone() if t.is_floating_point() else t)
        with point.lifting():
            outputs = [t for t in tensors(run(*fresh)) if t.is_floating_point()]
        if not weights:
            weights.extend(torch.randn(t.shape, dtype=torch.float64, generator=generator).to(t.device) for t in outputs)
        return torch.stack([(w * t).sum() for w, t in zip(weights, outputs, strict=True)]).sum()

    leaves = [tensor for _, group in groups for tensor in group]
    try:
        with torch.enable_grad():
            value = total()
            gradients = iter(
                torch.autograd.grad(value, leaves, allow_unused=True) if value.requires_grad else [None] * len(leaves)
            )
        base = float(value.detach())
        noise = 16 * EPSILON * sum(float(w.norm()) for w in weights) + EPSILON * abs(base)
        found = [
            _check(total, name, group, [next(gradients) for _ in group], base=base, noise=noise, generator=generator)
            for name, group in groups
        ]
    except Exception:  # noqa: BLE001 - a call that depends on more than its arguments is not judged on its own
        return []
    return [fault for fault in found if fault is not None]


def _check(
    total: Callable[[], Tensor],
    name: str,
    group: list[Any],
    gradients: list[Tensor | None],
    *,
    base: float,
    noise: float,
    generator: torch.Generator,
) -> _Fault | None:
    directions = [
        [size_of(t) * torch.randn(t.shape, dtype=torch.float64, generator=generator).to(t.device) for t in group]
        for _ in range(PROJECTIONS)
    ]
    known = [torch.zeros_like(t) if g is None else g.to_dense() for t, g in zip(group, gradients, strict=True)]
    expected = torch.stack([torch.stack([(g * u).sum() for g, u in zip(known, d, strict=True)]).sum() for d in directions])
    scale = sum(size_of(t) * float(g.norm()) for t, g in zip(group, known, strict=True))

    def values(lines: Tensor, offsets: Tensor) -> Tensor:
        return torch.stack([_moved(total, group, directions[k], o) for k, o in zip(lines.tolist(), offsets, strict=True)])

    slopes = measure(values, expected, torch.ones_like(expected), base=base, noise=noise, scale=scale, step=STEP)
    if bool(slopes.kink.all()):
        return None
    smooth = ~slopes.kink
    apart = float((expected - slopes.numeric)[smooth].square().mean().sqrt())
    numeric = float(slopes.numeric[smooth].square().mean().sqrt())
    error = relative_error(apart, scale, numeric, float(slopes.resolution[smooth].square().mean().sqrt()))
    return None if error <= FINE else _Fault(name, error, cut=not scale)


@torch.no_grad()
def _moved(total: Callable[[], Tensor], group: list[Any], direction: list[Tensor], offset: Tensor) -> Tensor:
    before = [t.detach().clone() for t in group]
    try:
        for tensor, u in zip(group, direction, strict=True):
            tensor.add_(offset * u)
        return total()
    finally:
        for tensor, value in zip(group, before, strict=True):
            tensor.copy_(value)


def _argument_names(call: Call) -> tuple[str, ...]:
    function = call.what.forward if call.function is None else call.function.forward
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return ()
    takes_context = call.function is not None and call.function.setup_context is torch.autograd.Function.setup_context
    return tuple(names[1:] if takes_context else names)


def _named(args: Any, kwargs: Any, names: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    for index, value in enumerate(args):
        yield (names[index] if index < len(names) else f"argument {index}"), value
    yield from kwargs.items()


def _culprit(call: Call, faults: list[_Fault]) -> Culprit:
    told = _told(call.path, None if call.function is None else call.function.__name__, faults)
    code = type(call.what).forward if call.function is None else call.function.backward
    try:
        line = inspect.getsourcelines(code)[1]
        file = inspect.getsourcefile(code)
        return replace(told, file=None if file is None else seen_from_here(file), line=line)
    except (OSError, TypeError):
        return told


def _told(module: str | None, function: str | None, faults: list[_Fault]) -> Culprit:
    return Culprit(
        module=module,
        function=function,
        relative_error=max(fault.relative_error for fault in faults),
        arguments=tuple(dict.fromkeys(fault.argument for fault in faults)),
        gradient="none" if all(fault.cut for fault in faults) else "present",
        parameters=(),
    )


def _with_parameters(found: list[Culprit], calls: list[Call], wrong: list[str]) -> tuple[Culprit, ...]:
    """Each wrong leaf goes to the first culprit that its signal meets on the way to the loss."""
    starts: dict[str | None, int] = {}
    for call in calls:
        starts.setdefault(call.path, call.start)
    ends = {call.path: call.end for call in calls}
    held: dict[int, list[str]] = {index: [] for index in range(len(found))}
    for name in wrong:
        begins = starts.get(name.rpartition(".")[0], -1)
        ahead = [i for i, c in enumerate(found) if c.module is None or ends.get(c.module, -1) >= begins]
        if ahead:
            held[ahead[0]].append(name)
    return tuple(replace(culprit, parameters=tuple(held[index])) for index, culprit in enumerate(found))
