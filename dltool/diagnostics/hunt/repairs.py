"""What is done to suspects to see whether the step then comes out good: their bad values, and nothing else, are replaced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from dltool.diagnostics.hunt.rows import Layout, layout, rows_where
from dltool.probes.finite import mended
from dltool.probes.nested import tensors
from dltool.probes.preserve import overwrite
from dltool.probes.trace.record import Leaf, Mending, Suspect
from dltool.training.batch_copies import copied
from dltool.training.experiment import Batch, Experiment
from dltool.training.symptoms import state_of

Fill = Callable[[Tensor, Tensor], Tensor]
"""(values, stand-ins of the same shape) to values with stand-ins where they are bad."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """What to do in one repeat of the step: batches and values to mend before it, operators while it runs."""

    given: tuple[Leaf, ...] = ()
    held: tuple[Leaf, ...] = ()
    mending: Mending = field(default_factory=Mending)
    only_part: bool = False

    @classmethod
    def of(cls, suspects: Sequence[Suspect], *, only_part: bool = False) -> Repair:
        """Of all these at once; with ``only_part`` some of each leaf's bad values stay (see ``mend_first``)."""
        leaves = [suspect.leaf for suspect in suspects if suspect.leaf is not None]
        return cls(
            given=tuple(leaf for leaf in leaves if leaf.kind in {"input", "target"}),
            held=tuple(leaf for leaf in leaves if leaf.kind in {"parameter", "buffer", "state"}),
            mending=Mending(
                ordinals=frozenset(o.ordinal for suspect in suspects for o in suspect.operations),
                places=frozenset(o.place for suspect in suspects for o in suspect.operations if o.born),
            ),
            only_part=only_part,
        )

    @torch.no_grad()
    def batches(self, batches: Sequence[Batch]) -> Sequence[Batch]:
        """The batches with the inputs and targets among the suspects mended."""
        parts = {0 if leaf.kind == "input" else 1 for leaf in self.given}
        return [_mended_batch(batch, parts, self._fill) for batch in batches] if parts else batches

    @torch.no_grad()
    def edit(self, experiment: Experiment) -> None:
        """Mend the parameters, buffers and states among the suspects, in place."""
        for leaf in self.held:
            tensor = tensor_of(experiment, leaf)
            if tensor is not None:
                overwrite(tensor, self._fill(tensor.detach(), harmless(tensor.detach())))

    @property
    def _fill(self) -> Fill:
        return mend_first if self.only_part else mend_all


def mend_all(values: Tensor, stand_ins: Tensor) -> Tensor:
    """Every bad value replaced."""
    return torch.where(values.isfinite(), values, stand_ins)


def mend_first(values: Tensor, stand_ins: Tensor) -> Tensor:
    """Only the first bad value along the last dimension replaced: a mask then does not mask all, and is a mask still."""
    bad = ~values.isfinite()
    first = bad & (bad.cumsum(-1) == 1) if values.ndim else bad
    return torch.where(first, stand_ins, values)


def left_by_mend_first(experiment: Experiment, leaf: Leaf, batches: Sequence[Batch]) -> bool:
    """Whether ``mend_first`` leaves bad values in what ``leaf`` names."""
    if leaf.kind in {"input", "target"}:
        looked = [t for batch in batches for t in tensors(batch.input if leaf.kind == "input" else batch.target)]
    else:
        held = tensor_of(experiment, leaf)
        looked = [] if held is None else [held.detach()]
    return any(not bool(mend_first(tensor, harmless(tensor)).isfinite().all()) for tensor in looked if _can_mend(tensor))


def tensor_of(experiment: Experiment, leaf: Leaf) -> Tensor | None:
    """The parameter, buffer or optimizer state that a leaf names."""
    part = {"parameter": "parameters", "buffer": "buffers", "state": "states"}.get(leaf.kind)
    for kind, name, value in state_of(experiment):
        if kind == part and name == leaf.name:
            return value
    return None


def harmless(values: Tensor) -> Tensor:
    """Stand-ins for what a tensor should have held: its own median; else small random weights, or 1 for a vector.

    Zeros would divide by zero in a weight norm, a temperature or a variance.
    """
    if values.is_complex():
        return mended(values, 1.0)
    finite = values[values.isfinite()]
    if finite.numel():
        return torch.full_like(values, float(finite.float().median()))
    if values.ndim < 2:
        return torch.ones_like(values)
    generator = torch.Generator().manual_seed(0)
    drawn: Tensor = torch.randn(values.shape, generator=generator) / values[0].numel() ** 0.5
    return drawn.to(device=values.device, dtype=values.dtype)


def _mended_batch(batch: Batch, parts: set[int], fill: Fill) -> Batch:
    """Bad values replaced by those that a good sample holds in the same place, where there is a good sample."""
    given = layout(batch)
    changed = copied(batch)
    for part in sorted(parts):
        for tensor in tensors(changed[part]):
            if _can_mend(tensor) and not bool(tensor.isfinite().all()):
                tensor.copy_(fill(tensor.detach(), _stand_ins(tensor.detach(), batch, given)))
    return changed


def _stand_ins(values: Tensor, batch: Batch, given: Layout | None) -> Tensor:
    """Where no sample is good, numbers between 0 and 1, which are right for a probability, a count and a logarithm."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.rand(values.shape, generator=generator).to(device=values.device, dtype=values.dtype)
    if given is None or given.listed:
        return drawn
    place = next((dim for dim in (0, 1) if values.ndim > dim and values.shape[dim] == given.samples), None)
    bad = rows_where(batch, given, lambda tensor: ~tensor.isfinite())
    good = [row for row in range(given.samples) if row not in set(bad)]
    if place is None or not good:
        return drawn
    return values.select(place, good[0]).unsqueeze(place).expand(values.shape)


def _can_mend(tensor: Tensor) -> bool:
    return tensor.layout is torch.strided and (tensor.is_floating_point() or tensor.is_complex())
