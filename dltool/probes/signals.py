"""Signals on their way forward and gradients on their way back, at every place of a network, without a trace left in it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from dltool.core.measured.init_stats import Histogram
from dltool.probes.activations import MOST_CALLS, Network, centred
from dltool.probes.hooks import Run, kind_of, visiting
from dltool.probes.nested import first_tensor
from dltool.probes.parameters import sample
from dltool.probes.places import Key, Place, key_of

BINS = 24
TAIL_RATIO = 0.001
"""Share of the values on either side that a histogram leaves outside, so that one outlier does not flatten it."""


@dataclass(slots=True)
class Seen:
    """Sums over the batches for one place."""

    values: int = 0
    mean: float = 0.0
    square: float = 0.0
    """Sum of squared distances from the mean."""
    signal_square: float = 0.0
    """Variance over samples, mean over units and positions, summed over batches."""
    batches: int = 0
    gradient_square: float = 0.0
    gradients: int = 0
    histogram: Histogram | None = None

    @property
    def std(self) -> float:
        """Over all values."""
        return math.sqrt(self.square / self.values) if self.values else math.nan

    @property
    def signal_std(self) -> float:
        """From sample to sample."""
        return math.sqrt(self.signal_square / self.batches) if self.batches else math.nan

    @property
    def gradient_norm(self) -> float | None:
        """Root mean square over batches; None where no gradient came."""
        return math.sqrt(self.gradient_square / self.gradients) if self.gradients else None

    def add(self, size: int, mean: float, length: float, variance: float) -> None:
        """Merge one batch (Chan, Golub & LeVeque 1983, eq. 2.1)."""
        total = self.values + size
        self.square += length * length + (mean - self.mean) ** 2 * self.values * size / total
        self.mean += (mean - self.mean) * size / total
        self.values, self.batches = total, self.batches + 1
        self.signal_square += variance


@dataclass(slots=True)
class _Pending:
    size: int
    numbers: list[Tensor]
    gradients: list[Tensor] = field(default_factory=list)


class SignalWatch:
    """Watches forward passes and the backward passes that follow them.

    ``seen`` is by place, in the order in which outputs came; a block, a container that is watched as a whole, stands after
    what is in it. A layer that runs several times in one pass is seen at its first run.
    """

    def __init__(self, network: Network, blocks: Mapping[str, nn.Module]) -> None:
        self.network = network
        self.blocks = dict(blocks)
        self.block_places: dict[str, Place] = {}
        self.seen: dict[tuple[Key, bool], Seen] = {}
        self._pending: dict[tuple[Key, bool], _Pending] = {}
        self._samples = 0

    @contextmanager
    def watching(self, samples: int) -> Iterator[None]:
        """Watch the forward pass of ``samples`` samples within; call ``collect`` after the backward pass."""
        self._samples = samples
        self._pending.clear()
        self.network.begin(samples)
        with visiting(self.network.modules, on_output=self._see), visiting(self.blocks, on_output=self._see_block):
            yield

    def collect(self) -> None:
        """Fetch the numbers of the pass from the device, and add them up."""
        for key, pending in self._pending.items():
            seen = self.seen.setdefault(key, Seen())
            mean, length, variance = torch.stack([n.double() for n in pending.numbers]).tolist()
            seen.add(pending.size, mean, length, variance)
            for norm in pending.gradients[:1]:
                seen.gradient_square += float(norm) ** 2
                seen.gradients += 1
        self._pending.clear()

    def _see(self, run: Run) -> None:
        self.network.note(run)
        key = key_of(run)
        if run.call < MOST_CALLS and key in self.network.places:
            self._take((key, False), first_tensor(run.output), self.network.places[key].sample_dim)

    def _see_block(self, run: Run) -> None:
        output = first_tensor(run.output)
        if run.call or output is None:
            return
        if run.path not in self.block_places:
            last = next(reversed(self.network.places.values()), None)
            sample_dim = last.sample_dim if last is not None and len(last.output_shape) == output.ndim else 0
            self.block_places[run.path] = Place(
                path=run.path, call=0, kind=kind_of(run.module), activation=None, output_shape=tuple(output.shape),
                sample_dim=sample_dim, unit_dim=output.ndim - 1, output_bytes=0, flops=0,
            )  # fmt: skip
        self._take(((run.path, 0), True), output, self.block_places[run.path].sample_dim)

    def _take(self, key: tuple[Key, bool], output: Tensor | None, sample_dim: int) -> None:
        if key in self._pending or output is None or not output.is_floating_point() or not output.numel():
            return
        mean, length = centred(output)
        pending = _Pending(output.numel(), [mean, length, variance_over_samples(output, self._samples, sample_dim)])
        self._pending[key] = pending
        if key not in self.seen:
            self.seen.setdefault(key, Seen()).histogram = histogram(output)
        if output.requires_grad:  # a hook that is set now sees the gradient even if the output is overwritten in place later
            output.register_hook(lambda gradient: pending.gradients.append(_norm(gradient)))  # type: ignore[no-untyped-call]


def _norm(gradient: Tensor) -> Tensor:
    """In float64: squares of gradients below 1e-19 vanish in float32."""
    norm: Tensor = torch.linalg.vector_norm(gradient.detach(), dtype=torch.float64)
    return norm


def variance_over_samples(output: Tensor, samples: int, sample_dim: int = 0) -> Tensor:
    """Population variance over samples, mean over all else (a scalar).

    Rows that merge samples with another dimension (N·T, F) go back to their samples; where that cannot be, every row is one.
    """
    values = output.detach()
    values = values.float() if values.element_size() == 2 else values
    if values.ndim == 0:
        return torch.zeros_like(values)
    values = values.movedim(min(sample_dim, values.ndim - 1), 0)
    if samples and len(values) != samples and len(values) % samples == 0:
        values = values.reshape(samples, -1)
    return values.var(0, correction=0).mean()


def histogram(values: Tensor) -> Histogram | None:
    """A sample of the values in ``BINS`` bins; None where none is finite."""
    drawn = sample(values.detach()).double().cpu()
    finite = drawn[drawn.isfinite()].sort().values
    if not len(finite):
        return None
    cut = int(TAIL_RATIO * len(finite))
    low, high = float(finite[cut]), float(finite[-1 - cut])
    if low == high:
        return Histogram(low=low, high=high, counts=(int((finite == low).sum()),), outside=int((drawn != low).sum()))
    counts = torch.histc(finite[(finite >= low) & (finite <= high)], BINS, low, high).long().tolist()
    return Histogram(low=low, high=high, counts=tuple(counts), outside=len(drawn) - sum(counts))


def parameter_gradient_norms(loss: Tensor, parameters: Iterable[tuple[str, nn.Parameter]]) -> dict[str, float]:
    """Norm of ``loss``'s gradient by parameter name, computed without touching ``.grad``; empty where nothing can learn.

    Running this is the backward pass that a ``SignalWatch`` listens to.
    """
    named = [(name, parameter) for name, parameter in parameters if parameter.requires_grad]
    if not named or not loss.requires_grad:
        return {}
    gradients: tuple[Tensor | None, ...] = torch.autograd.grad(loss, [p for _, p in named], allow_unused=True)
    return {
        name: float(_norm(g.coalesce().values() if g.is_sparse else g))
        for (name, _), g in zip(named, gradients, strict=True)
        if g is not None
    }
