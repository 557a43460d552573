"""The network at its start, place by place: the records that `init-stats` reports."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dltool.core.measured.init_stats import InitLayer, Role, SignalGrowth
from dltool.core.measured.training import UnitShare
from dltool.probes.activations import IdleCounts, Network
from dltool.probes.confidence import dead_share, saturated_share
from dltool.probes.gates import GateCounts
from dltool.probes.growth import signal_growth, with_growth
from dltool.probes.nested import Nested, Pair, batch_size, tensors
from dltool.probes.parameters import NORMALISATIONS, named_parameters
from dltool.probes.places import Place, parameter_count
from dltool.probes.preserve import device_of, preserved
from dltool.probes.residual import Residuals
from dltool.probes.saturation import activation_name, judge_of
from dltool.probes.signals import SignalWatch, parameter_gradient_norms
from dltool.probes.through_time import ThroughTime
from dltool.probes.weight_theory import weight_scales

EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)


@dataclass(frozen=True, slots=True)
class Start:
    """What one measurement gave; ``loss`` is the mean over the batches, by samples."""

    layers: tuple[InitLayer, ...]
    growth: SignalGrowth
    loss: float


@contextmanager
def at_the_start(model: nn.Module, kept_in_eval: Collection[str] = ()) -> Iterator[None]:
    """``preserved``, in the mode in which a start is looked at: as in training, but without noise.

    Normalisations use the batch (their running statistics know nothing yet), dropout is off: it would add to the spread
    from sample to sample what is no signal.
    """
    with preserved(model):
        set_noiseless(model, kept_in_eval)
        yield


def set_noiseless(model: nn.Module, kept_in_eval: Collection[str] = ()) -> None:
    """Eval mode, but for normalisations, which use the batch."""
    model.eval()
    on_gpu = device_of(model).type == "cuda"
    for path, module in model.named_modules():
        batch_statistics = isinstance(module, nn.modules.batchnorm._NormBase) and path not in kept_in_eval  # noqa: SLF001
        recurrent = isinstance(module, nn.RNNBase) and on_gpu  # cudnn has a backward pass in training mode alone
        if batch_statistics or recurrent:
            module.training = True


def measure_start(
    model: nn.Module,
    criterion: Callable[[Nested, Nested], Tensor],
    batches: Sequence[Pair],
    *,
    kept_in_eval: Collection[str] = (),
    all_samples: bool = False,
) -> Start:
    """Forward and backward through every batch; the model is left as it was, gradients included.

    Args:
        model: the model.
        criterion: the loss, called as ``criterion(output, target)``.
        batches: (input, target) pairs on the model's device, each of at least two samples.
        kept_in_eval: normalisations that stay in eval mode in training.
        all_samples: the batches are all the data there are.
    """
    with at_the_start(model, kept_in_eval):
        watch = _Watch(model, batches[0])
        total = samples = 0.0
        for batch in batches:
            count = batch_size(batch[0]) or 1
            total += watch.run(model, criterion, batch, count) * count
            samples += count
        layers = with_growth(watch.records(all_samples=all_samples))
    finite = all(bool(t.isfinite().all()) for b in batches for t in tensors(b[0]) if t.is_floating_point())
    return Start(layers, signal_growth(layers, samples=int(samples), input_finite=finite), total / samples)


class _Watch:
    """All that is watched in the same passes."""

    def __init__(self, model: nn.Module, first: Pair) -> None:
        self.residuals = Residuals(model)
        self.network = Network(model)
        samples = batch_size(first[0]) or 1
        with torch.no_grad(), self.residuals.finding(), self.network.learning_places(samples):
            model(first[0])
        modules = dict(model.named_modules())
        self.parameters = named_parameters(model)
        self.signals = SignalWatch(self.network, {p: modules[p] for p in self.residuals.paths if p})
        self.idle = IdleCounts(self.network)
        self.gates = GateCounts(self.network.modules)
        self.time = ThroughTime(self.network.modules)
        self.weight_squares: dict[str, float] = {}
        self.passes = 0

    def run(self, model: nn.Module, criterion: Callable[[Nested, Nested], Tensor], batch: Pair, samples: int) -> float:
        """One batch, forward and backward; its loss."""
        with torch.enable_grad():
            with self.signals.watching(samples), self.idle.counting(samples), self.gates.counting(), self.time.watching():
                output = model(batch[0])
            loss = criterion(output, batch[1])
            norms = parameter_gradient_norms(loss, ((p.name, p.tensor) for p in self.parameters))
        for parameter in self.parameters:
            if parameter.name in norms:
                square = self.weight_squares.get(parameter.owner, 0.0) + norms[parameter.name] ** 2
                self.weight_squares[parameter.owner] = square
        self.signals.collect()
        self.passes += 1
        return float(loss.detach())

    def records(self, *, all_samples: bool) -> list[InitLayer]:
        """Every place in the order in which outputs came."""
        through_time = self.time.factors()
        outputs = self.network.outputs or set(list(self.network.places)[-1:])
        order = [(key, True) if block else (key, False) for key, block in self.signals.seen]
        places = [self.signals.block_places[key[0]] if block else self.network.places[key] for key, block in order]
        found = []
        for depth, ((key, block), place) in enumerate(zip(order, places, strict=True)):
            seen = self.signals.seen[key, block]
            module = self.network.model.get_submodule(place.path)
            role: Role = "block" if block else _role(module, place)
            factor, steps = through_time.get(place.path, (None, None)) if role == "weights" else (None, None)
            activation, before_norm = self._after(depth, places) if role == "weights" else (None, False)
            count, trainable = (
                parameter_count(place.path, self.network.modules) if not block else _count(module)
            )  # fmt: skip
            dead, saturated, saturated_values = (None, None, None) if block else self._idle(place, all_samples=all_samples)
            found.append(
                InitLayer(
                    name=place.path,
                    kind=place.kind,
                    depth=depth,
                    call=place.call,
                    role=role,
                    activation=place.activation,
                    output_shape=place.sample_shape,
                    parameters=count,
                    trainable=trainable,
                    is_output=not block and key in outputs,
                    inside=self._inside(place.path),
                    mean=seen.mean,
                    std=seen.std,
                    signal_std=seen.signal_std,
                    gradient_norm=seen.gradient_norm,
                    weight_gradient_norm=self._weight_gradient(place.path),
                    dead=dead,
                    saturated=saturated,
                    saturated_values=saturated_values,
                    weights=tuple(weight_scales(place.path, module, activation, before_norm=before_norm))
                    if role == "weights"
                    else (),
                    zero_weights=role == "weights" and _is_zero(module),
                    histogram=seen.histogram,
                    through_time=factor,
                    time_steps=steps,
                )
            )
        return found

    def _inside(self, path: str) -> str | None:
        """The innermost block around ``path``."""
        around = [block for block in self.signals.blocks if path.startswith(f"{block}.")]
        return max(around, key=len, default=None)

    def _after(self, depth: int, places: Sequence[Place]) -> tuple[nn.Module | None, bool]:
        """The activation that acts on the output of the place at ``depth``, and whether a normalisation comes before it."""
        own = self.network.fused.get(places[depth].path)
        if own is not None:
            return own, False
        normed = False
        for place in places[depth + 1 :]:
            module = self.network.model.get_submodule(place.path)
            if isinstance(module, NORMALISATIONS):
                normed = True
            elif activation_name(module) is not None:
                return module, normed
            elif _role(module, place) == "weights":
                break
        return None, normed

    def _weight_gradient(self, path: str) -> float | None:
        square = self.weight_squares.get(path)
        return None if square is None else math.sqrt(square / self.passes)

    def _idle(self, place: Place, *, all_samples: bool) -> tuple[UnitShare | None, UnitShare | None, float | None]:
        """Dead units, saturated units, saturated values."""
        gates = self.gates
        if place.path in gates.unsaturated:
            seen = gates.observations[place.path]
            share = saturated_share(gates.unsaturated[place.path].tolist(), seen)
            return None, share, float(gates.saturated_values[place.path]) / seen
        judge = judge_of(self.network.judged(place.path))
        if judge is None or place.key not in self.idle.alive:
            return None, None, None
        counts, seen = self.idle.alive[place.key].tolist(), self.idle.observations[place.key]
        if judge.state == "dead":
            return dead_share(counts, seen, all_samples=all_samples), None, None
        values = float(self.idle.idle_values[place.key]) / seen
        return None, saturated_share(counts, seen, all_samples=all_samples), values


def _role(module: nn.Module, place: Place) -> Role:
    if isinstance(module, NORMALISATIONS):
        return "normalisation"
    if isinstance(module, EMBEDDINGS):
        return "embedding"
    if place.activation is not None and not any(p.ndim > 1 for p in module.parameters()):
        return "activation"
    return "weights" if any(p.ndim > 1 for p in module.parameters()) else "other"


def _count(module: nn.Module) -> tuple[int, bool]:
    parameters = list(module.parameters())
    return sum(p.numel() for p in parameters), any(p.requires_grad for p in parameters)


def _is_zero(module: nn.Module) -> bool:
    """Whether every weight of the module is zero, as that of a head may be on purpose."""
    return all(not bool(p.detach().count_nonzero()) for p in module.parameters() if p.ndim > 1)
