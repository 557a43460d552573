"""The loss as a function of weights and inputs alone: one batch, one random state, one state of the buffers, float64."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils import parametrizations
from torch.nn.utils.spectral_norm import SpectralNorm

from dltool.probes.gradcheck.forward_only import functions_in, without_autograd
from dltool.probes.gradcheck.lifting import Lifted, computes_lower
from dltool.probes.gradcheck.rewinding import Rewinder
from dltool.probes.nested import Nested, transform
from dltool.probes.preserve import overwrite

SPECTRAL = parametrizations._SpectralNorm  # noqa: SLF001
BATCH_NORMS = nn.modules.batchnorm._NormBase  # noqa: SLF001 - batch and instance norms


class UnchangedError(Exception):
    """The model does not run in float64; the cause says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Penalty:
    """l1 · |w| + l2 / 2 · w² on every element of one parameter."""

    l1: float
    l2: float

    def change(self, weights: Tensor, offsets: Tensor) -> Tensor:
        """What adding ``offsets`` adds to the penalty, by element."""
        change = self.l2 * offsets * (weights + offsets / 2)
        return change + self.l1 * ((weights + offsets).abs() - weights.abs()) if self.l1 else change


class Point:
    """One set of weights, with the loss there, its gradient, and the loss nearby.

    The model and the criterion belong to the point: it makes them float64 and moves their weights, and puts them back after
    every evaluation. ``leaves`` are the tensors that may be moved: parameters by name and, where asked for, inputs.
    """

    def __init__(
        self,
        model: nn.Module,
        criterion: Callable[[Nested, Nested], Tensor],
        batch: tuple[Nested, Nested],
        *,
        modules: list[nn.Module],
        penalties: Mapping[str, Penalty] | None = None,
        finish: Callable[[], None] | None = None,
        with_inputs: bool = False,
    ) -> None:
        self.model = model.double()
        self.criterion = criterion
        self._penalties = dict(penalties or {})
        self._finish = finish
        self.input, self.target = (transform(part, _as_double) for part in batch)
        self.parameters = {n: p for n, p in model.named_parameters() if p.requires_grad and p.is_floating_point()}
        self.inputs = _named_inputs(self.input) if with_inputs else {}
        self.leaves: dict[str, Tensor] = {**self.parameters, **self.inputs}
        for leaf in self.leaves.values():
            leaf.data = leaf.data.contiguous()
        _hold_still(model)
        device = next(iter(self.leaves.values())).device if self.leaves else torch.device("cpu")
        self.rewinder = Rewinder([model, *modules], device)
        self.evaluations = 0
        self.lifted = False
        self._functions: frozenset[Any] = frozenset()
        self._become_double()

    def _become_double(self) -> None:
        """Run once to learn what an evaluation moves, and whether it computes in less than float64."""
        try:
            self.lifted = computes_lower(self.loss)
        except Exception:  # noqa: BLE001 - a float32 constant met a float64 matrix, most likely: lifting mends that
            self.lifted = True
        try:
            self.loss()
            self.rewinder.learn()
            with torch.enable_grad(), self.lifting():
                self._functions = functions_in(self._run())
        except Exception as problem:
            raise UnchangedError(str(problem)) from problem

    def loss(self) -> Tensor:
        """The loss where the leaves stand now, without the penalties; shape ()."""
        self.rewinder()
        self.evaluations += 1
        with torch.no_grad(), self.lifting(), without_autograd(self._functions):
            return self._run().detach()

    def loss_with(self, swapped: Mapping[str, Tensor]) -> Tensor:
        """The same with other tensors in place of some leaves; a pure function of them, fit for ``vmap``."""
        return self._run(swapped)

    def _run(self, swapped: Mapping[str, Tensor] | None = None) -> Tensor:
        given = swapped or {}
        replaced = {id(leaf): given.get(name, leaf) for name, leaf in self.inputs.items()}
        inputs = transform(self.input, lambda tensor: replaced.get(id(tensor), tensor).clone())
        parameters = {name: tensor for name, tensor in given.items() if name not in self.inputs}
        output = functional_call(self.model, parameters, (inputs,)) if parameters else self.model(inputs)
        return self.criterion(output, self.target)

    def lifting(self) -> AbstractContextManager[object]:
        """What an evaluation has to run under where the model computes in less than float64."""
        return Lifted() if self.lifted else nullcontext()

    @contextmanager
    def ready(self) -> Iterator[None]:
        """Within the block ``loss_with`` may be called, once: nothing is recorded for autograd, everything is rewound."""
        self.rewinder()
        with torch.no_grad(), self.lifting(), without_autograd(self._functions):
            yield

    def gradients(self) -> dict[str, Tensor | None]:
        """What autograd gives each leaf, penalties included; None where it gives nothing."""
        for leaf in self.leaves.values():
            leaf.requires_grad_()
        self.rewinder()
        with torch.enable_grad(), self.lifting():
            loss = self._run()
            if loss.requires_grad:
                loss.backward()  # type: ignore[no-untyped-call]
        if self._finish is not None:
            self._finish()
        found = {name: _dense(leaf.grad) for name, leaf in self.leaves.items()}
        for tensor in (*self.model.parameters(), *self.inputs.values()):
            tensor.grad = None
        for leaf in self.inputs.values():
            leaf.requires_grad_(False)  # noqa: FBT003
        # As training does: the penalty of a weight without a gradient moves nothing
        self._penalties = {name: each for name, each in self._penalties.items() if found.get(name) is not None}
        return found

    def penalty(self) -> float:
        """All penalties where the weights stand now."""
        origin = {name: torch.zeros_like(self.leaves[name]) for name in self._penalties}
        return -sum(
            float(self._penalties[n].change(self.leaves[n].detach(), -self.leaves[n].detach()).sum()) for n in origin
        )

    def penalty_change(self, name: str, weights: Tensor, offsets: Tensor) -> Tensor | float:
        """What ``offsets`` on elements with the values ``weights`` of a leaf add to its penalty, by element."""
        penalty = self._penalties.get(name)
        return 0.0 if penalty is None else penalty.change(weights, offsets)

    @contextmanager
    def moved(self, offsets: Mapping[str, Tensor]) -> Iterator[None]:
        """Within the block the leaves named stand elsewhere by ``offsets``."""
        before = {name: self.leaves[name].detach().clone() for name in offsets}
        try:
            with torch.no_grad():
                for name, offset in offsets.items():
                    self.leaves[name].add_(offset)
            yield
        finally:
            with torch.no_grad():
                for name, value in before.items():
                    overwrite(self.leaves[name], value)

    def loss_at(self, offsets: Mapping[str, Tensor]) -> Tensor:
        """Loss with penalties, less the penalties at the point itself: exact where the penalties are much larger."""
        with self.moved(offsets):
            loss = self.loss()
        for name, offset in offsets.items():
            change = self.penalty_change(name, self.leaves[name].detach(), offset)
            loss = loss + (change.sum() if isinstance(change, Tensor) else change)
        return loss


def _as_double(tensor: Tensor) -> Tensor:
    return tensor.detach().to(torch.float64, copy=True) if tensor.is_floating_point() else tensor.detach()


def _dense(grad: Tensor | None) -> Tensor | None:
    if grad is None:
        return None
    return (grad.to_dense() if grad.layout is not torch.strided else grad).detach().to(torch.float64).contiguous()


def _hold_still(model: nn.Module) -> None:
    """Stop what training mode moves on the side, where that leaves the loss as it is.

    In training mode batch norm uses the batch alone, and ``vmap`` could not write its running statistics. The power
    iteration of spectral norm is not seen by autograd, which takes its vectors for constants; here they are.
    """
    for module in model.modules():
        if isinstance(module, BATCH_NORMS) and module.training:
            module.track_running_stats = False
        if isinstance(module, SPECTRAL):
            module.eval()
        for hook in module._forward_pre_hooks.values():  # noqa: SLF001 - the older spectral norm is such a hook
            if isinstance(hook, SpectralNorm):
                hook.n_power_iterations = 0


def _named_inputs(value: Nested, name: str = "input") -> dict[str, Tensor]:
    if isinstance(value, Tensor):
        return {name: value} if value.is_floating_point() else {}
    items: Any = value.items() if isinstance(value, Mapping) else ()
    if isinstance(value, tuple | list):
        items = enumerate(value)
    return {path: leaf for key, item in items for path, leaf in _named_inputs(item, f"{name}.{key}").items()}
