"""Losses after moving single elements of one tensor: many at once where the model allows, one by one where it does not.

Three ways, each tried on the tensor in question and compared with plain evaluations before it is believed: adding to the
output of a linear or convolutional layer what the element would add, and computing only what follows, for many elements in
one pass (``vmap``); giving the whole model many versions of the tensor in one pass; and moving the element in place, with
the calls before the layer replayed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from dltool.probes.gradcheck.affine import Deltas, deltas_of, moves_of
from dltool.probes.gradcheck.onward import deltas_onward, onward
from dltool.probes.gradcheck.point import Point
from dltool.probes.gradcheck.replay import Call, Recording, Replay, forward_as, record_values
from dltool.probes.nested import tensors, transform

CHUNK_BYTES = 1 << 21
"""What the largest tensor of one batched pass may take: more does not fit a CPU's caches, and takes longer, not less."""
MOST_AT_ONCE = 4096
SAME = 1e-11
"""Relative difference up to which two ways of computing a loss agree: rounding of some thousand operations."""
TRIED = 3
TRIED_OFFSET = 0.05


class Evaluator(Protocol):
    """Losses (without penalties) after adding ``offsets[i]`` to element ``elements[i]`` of one tensor; shape (m,)."""

    at_once: int

    def __call__(self, elements: Tensor, offsets: Tensor) -> Tensor:
        """The losses."""


class OneByOne:
    """Moves the element in place; what ran before the layer is replayed."""

    at_once = 1

    def __init__(self, point: Point, name: str, replay: Replay | None = None) -> None:
        self._point, self._leaf, self._replay = point, point.leaves[name], replay

    def __call__(self, elements: Tensor, offsets: Tensor) -> Tensor:
        """The losses, each from a pass of its own."""
        flat = self._leaf.detach().view(-1)
        losses = []
        for element, offset in zip(elements.tolist(), offsets, strict=True):
            before = flat[element].clone()
            try:
                flat[element] += offset
                losses.append(self.loss())
            finally:
                flat[element] = before
        return torch.stack(losses)

    def loss(self) -> Tensor:
        """The loss where the tensor stands now."""
        if self._replay is None:
            return self._point.loss()
        with self._replay.once():
            return self._point.loss()


class Batched:
    """One pass for many versions of the tensor."""

    def __init__(self, point: Point, name: str, replay: Replay | None, largest_bytes: int) -> None:
        self._point, self._name, self._replay = point, name, replay
        leaf = point.leaves[name]
        self.at_once = _fitting(max(largest_bytes, leaf.numel() * leaf.element_size()))

    def __call__(self, elements: Tensor, offsets: Tensor) -> Tensor:
        """The losses, a chunk at a time."""
        return torch.cat([self._chunk(e, o) for e, o in _chunks(elements, offsets, self.at_once)])

    def _chunk(self, elements: Tensor, offsets: Tensor) -> Tensor:
        leaf = self._point.leaves[self._name].detach()
        versions = leaf.reshape(1, -1).repeat(len(elements), 1)
        versions[torch.arange(len(elements)), elements] += offsets
        return _mapped(
            self._point,
            self._replay,
            lambda version: self._point.loss_with({self._name: version}),
            versions.reshape(len(elements), *leaf.shape),
        )


class ThroughOutput:
    """One pass of what follows a layer, for many versions of its output."""

    def __init__(self, point: Point, call: Call, deltas: Deltas, replay: Replay, largest_bytes: int) -> None:
        self._point, self._call, self._deltas, self._replay = point, call, deltas, replay
        self.at_once = _fitting(largest_bytes)

    def __call__(self, elements: Tensor, offsets: Tensor) -> Tensor:
        """The losses, a chunk at a time."""
        return torch.cat([self._chunk(e, o) for e, o in _chunks(elements, offsets, self.at_once)])

    def _chunk(self, elements: Tensor, offsets: Tensor) -> Tensor:
        return self.losses(self._call.output + self._deltas(elements, offsets))

    def losses(self, outputs: Tensor) -> Tensor:
        """The loss for each of several outputs of the layer, (m, *shape) to (m,)."""

        def loss(output: Tensor) -> Tensor:
            with forward_as(self._call.what, self._instead(output)):
                return self._point.loss_with({})

        return _mapped(self._point, self._replay, loss, outputs)

    def _instead(self, output: Tensor) -> Callable[..., Tensor]:
        def forward(*_args: object, **_kwargs: object) -> Tensor:
            if self._call.random_after is not None:
                self._call.random_after.restore()
            return output

        return forward


def _chunks(elements: Tensor, offsets: Tensor, size: int) -> zip[tuple[Tensor, Tensor]]:
    return zip(torch.split(elements, size), torch.split(offsets, size), strict=True)


def _fitting(largest_bytes: int) -> int:
    return max(1, min(MOST_AT_ONCE, CHUNK_BYTES // max(largest_bytes, 1)))


def _mapped(point: Point, replay: Replay | None, loss: Callable[[Tensor], Tensor], versions: Tensor) -> Tensor:
    point.evaluations += len(versions)
    with point.ready():
        if replay is None:
            return torch.vmap(loss, randomness="same")(versions).detach()
        with replay.once():
            return torch.vmap(loss, randomness="same")(versions).detach()


class Ways:
    """For each leaf of a point the fastest way that gives what plain evaluations give; found when first asked for."""

    def __init__(self, point: Point) -> None:
        self._point = point
        self._found: dict[str, Evaluator] = {}
        self._alone: dict[tuple[str, int], bool] = {}
        self._generator = torch.Generator().manual_seed(0)

    @cached_property
    def recording(self) -> Recording:
        """The calls of one evaluation."""
        return record_values(self._point)

    def __getitem__(self, name: str) -> Evaluator:
        if name not in self._found:
            self._found[name] = self._through_output(name) or self._whole_model(name)
        return self._found[name]

    def _whole_model(self, name: str) -> Evaluator:
        leaf, replay = self._point.leaves[name], self._replay(name)
        elements = torch.randint(leaf.numel(), (TRIED,), generator=self._generator).to(leaf.device)
        offsets = torch.full((TRIED,), TRIED_OFFSET, dtype=torch.float64, device=leaf.device)
        plain = OneByOne(self._point, name, replay)
        batched = Batched(self._point, name, replay, _largest_bytes(self.recording, self._start(name)))
        wanted = plain(elements, offsets)
        try:
            return batched if _same(batched(elements, offsets), wanted) else plain
        except Exception:  # noqa: BLE001 - whatever vmap cannot do (in-place writes, .item(), numpy) is done one by one
            return plain

    def _replay(self, name: str) -> Replay | None:
        """What ran before the tensor was first used, if nothing in it depends on the tensor after all."""
        calls = self._calls(name)
        if not calls:
            return None
        replay = Replay(self.recording, calls[0].start)
        with self._point.moved({name: self._direction(name)}):
            expected = self._point.loss()
            with replay.once():
                return replay if _same(self._point.loss(), expected) else None

    def _through_output(self, name: str) -> ThroughOutput | None:
        """For a plain layer that is called once, if all that its parameters do goes through its output."""
        calls, (path, _, own) = self._calls(name), name.rpartition(".")
        if len(calls) != 1 or not calls[0].args or calls[0].what._forward_hooks:  # noqa: SLF001 - hooks would see it twice
            return None
        moves = moves_of(calls[0].what, own, calls[0].args[0], calls[0].output)
        if moves is None:
            return None
        further = [*calls, *onward(self.recording, calls[0])]
        deltas = deltas_onward(moves, further) if len(further) > 1 else None
        way = None if deltas is None else self._tried(path, name, further, deltas)
        return way or self._tried(path, name, calls, deltas_of(calls[0].what, moves, calls[0].output))

    def _tried(self, path: str, name: str, calls: list[Call], deltas: Deltas) -> ThroughOutput | None:
        """The way through the output of the last of ``calls``, if it proves right."""
        if not self._deltas_right(name, calls, deltas):
            return None
        replay = Replay(self.recording, calls[-1].start)
        way = ThroughOutput(self._point, calls[-1], deltas, replay, _largest_bytes(self.recording, calls[-1].start))
        key = (path, len(calls))
        if key not in self._alone:
            self._alone[key] = self._acts_alone(path, calls, way)
        return way if self._alone[key] else None

    def _acts_alone(self, path: str, calls: list[Call], way: ThroughOutput) -> bool:
        """Whether that output is all that depends on the layer's parameters."""
        mine = {n: self._direction(n) for n in self._point.parameters if n.rpartition(".")[0] == path}
        with self._point.moved(mine):
            expected, output = self._point.loss(), self._output(calls)
        try:
            return _same(way.losses(output.unsqueeze(0))[0], expected)
        except Exception:  # noqa: BLE001 - as in _whole_model
            return False

    def _deltas_right(self, name: str, calls: list[Call], deltas: Deltas) -> bool:
        """Whether single elements change the output as was reckoned."""
        leaf = self._point.leaves[name].detach()
        elements = torch.randint(leaf.numel(), (TRIED,), generator=self._generator).to(leaf.device)
        offsets = torch.full((TRIED,), TRIED_OFFSET, dtype=torch.float64, device=leaf.device)
        for element, change in zip(elements.tolist(), deltas(elements, offsets), strict=True):
            moved = torch.zeros_like(leaf)
            moved.view(-1)[element] = TRIED_OFFSET
            with self._point.moved({name: moved}):
                if not torch.allclose(self._output(calls), calls[-1].output + change, rtol=SAME, atol=SAME):
                    return False
        return True

    @torch.no_grad()
    def _output(self, calls: list[Call]) -> Tensor:
        """What the calls give, one after the other, where the parameters stand now."""
        with self._point.lifting():
            output: Tensor = calls[0].what(*transform(calls[0].args, Tensor.clone), **calls[0].kwargs)
            for call in calls[1:]:
                output = call.what(output)
        return output

    def _calls(self, name: str) -> list[Call]:
        owner = name.rpartition(".")[0]
        return [c for c in self.recording.calls if c.path == owner] if name in self._point.parameters else []

    def _start(self, name: str) -> int:
        return next((call.start for call in self._calls(name)), 0)

    def _direction(self, name: str) -> Tensor:
        leaf = self._point.leaves[name]
        return TRIED_OFFSET * torch.randn(leaf.shape, dtype=torch.float64, generator=self._generator).to(leaf.device)


def _largest_bytes(recording: Recording, start: int) -> int:
    """The largest output of the calls that began at event ``start`` or later."""
    sizes = (t.numel() * t.element_size() for c in recording.calls if c.start >= start for t in tensors(c.output))
    return max(sizes, default=1)


def _same(found: Tensor, wanted: Tensor) -> bool:
    return bool(((found - wanted).abs() <= SAME * wanted.abs().clamp_min(1e-3)).all())
