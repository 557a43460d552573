"""Batches are kept as they were delivered, whoever writes into them afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from toys import blobs, experiment, mlp

from dltool.training.batch_copies import copied
from dltool.training.experiment import Batch, Experiment
from dltool.training.feed import TRIAL_STEPS, Feed
from dltool.training.walk import Walk

STEPS = 3 * TRIAL_STEPS


class Source:
    """Batches of a random walk through the blobs, made by a method of the test's choice."""

    samples, batch_size = None, 20

    def __init__(self, kind: str) -> None:
        self.inputs, self.targets = blobs()
        self.kind = kind
        self.own = torch.Generator().manual_seed(0)
        self.buffer = torch.zeros(20, 5)
        self.array = np.zeros((20, 5), np.float32)
        self.stored = [Batch(self.inputs[i : i + 20].clone(), self.targets[i : i + 20]) for i in range(0, 180, 20)]
        self.reads = 0

    def __len__(self) -> int:
        return STEPS

    def epoch(self, index: int, start: int = 0) -> Iterator[Batch]:
        self.reads += 1
        generator = self.own if self.kind == "own order" else torch.Generator().manual_seed(index)
        for step in range(STEPS):
            rows = torch.randint(200, (20,), generator=generator)
            if step >= start:
                yield self._batch(rows, step)

    def _batch(self, rows: Tensor, step: int) -> Batch:
        if self.kind == "stored":
            return self.stored[step % 9]
        if self.kind == "buffer":
            return Batch(self.buffer.copy_(self.inputs[rows]), self.targets[rows])
        if self.kind == "array":
            self.array[:] = self.inputs[rows].numpy()
            return Batch(torch.from_numpy(self.array), self.targets[rows])
        return Batch(self.inputs[rows], self.targets[rows])

    def fixed(self, limit: int | None = None, batch_size: int | None = None) -> Iterator[Batch]:
        yield Batch(self.inputs[:limit], self.targets[:limit])


class Writing(nn.Module):
    """Writes into its input: always, late, behind torch's back, or not at all but keeping it."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.body = mlp()
        self.how = how
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        if self.how == "in place" or (self.how == "late" and self.calls > TRIAL_STEPS + 4):
            x.mul_(0.5)
        if self.how == "data":
            x.data.mul_(0.5)
        if self.how == "keeps":
            self.x = x
        return self.body(x)


def toy(kind: str, how: str) -> Experiment:
    return replace(experiment(model=Writing(how), epochs=1), train=Source(kind))


@pytest.mark.parametrize("how", ["not", "in place", "late", "data", "keeps"])
@pytest.mark.parametrize("kind", ["fresh", "own order", "stored", "buffer", "array"])
@pytest.mark.parametrize("at", [0, 3, TRIAL_STEPS + 1])
def test_steps_are_taken_again_on_what_was_delivered(kind: str, how: str, at: int) -> None:
    if how == "late" and kind in {"own order", "stored"}:
        pytest.skip("what is first written to late, and cannot be read again, is lost")
    with Walk(toy(kind, how)) as walk:
        for _ in range(at):
            walk.take()
        moment = walk.moment()
        first = [one.loss for one in iter(walk.take, None)]
        for _ in range(2):
            walk.go_back(moment)
            assert [one.loss for one in iter(walk.take, None)] == first
        walk.go_back(moment)
        taken = walk.take()
        assert taken is not None
        assert [walk.repeat(moment, taken.batches).loss for _ in range(2)] == [first[0]] * 2


@pytest.mark.parametrize("kind", ["fresh", "own order", "stored"])
def test_batches_that_nobody_writes_to_are_not_copied_for_long(kind: str) -> None:
    feed = Feed(toy(kind, "not"))
    groups = [feed.group(step, 0, step) for step in range(STEPS)]
    assert [group is not None and group.kept is group.delivered for group in groups[:-1]][TRIAL_STEPS:] == [True] * (
        STEPS - TRIAL_STEPS - 1
    )


def test_forgetting_keeps_what_fits() -> None:
    feed = Feed(toy("fresh", "not"))
    for step in range(10):
        feed.group(step, 0, step)
    size = feed.largest_bytes
    assert feed.bytes == 10 * size
    feed.forget(8, down_to_bytes=5 * size)
    assert feed.bytes == 5 * size
    assert feed.kept(4) is None
    assert feed.kept(5) is not None
    feed.forget(8)
    assert feed.bytes == 2 * size
    assert feed.largest_bytes == size


def test_copies_share_memory_where_the_batch_does() -> None:
    tokens = torch.arange(12).reshape(2, 6)
    batch = Batch({"x": tokens[:, :-1], "same": tokens}, (tokens[:, 1:], torch.ones(2)))
    again = copied(batch)
    again.input["x"][0, 1] = 99
    assert again.target[0][0, 0] == 99
    assert again.input["same"][0, 1] == 99
    assert tokens[0, 1] == 1
    plain = copied(Batch(tokens, tokens))
    assert plain.input is plain.target
    assert plain.input.data_ptr() != tokens.data_ptr()


def test_copies_of_other_layouts() -> None:
    sparse = torch.eye(3).to_sparse()
    transposed = torch.arange(6.0).reshape(2, 3).t()
    empty = torch.zeros(0, 3)
    batch: Any = Batch([sparse, transposed, empty], {"n": torch.tensor(3), "name": "kept"})
    again = copied(batch)
    assert torch.equal(again.input[0].to_dense(), torch.eye(3))
    assert torch.equal(again.input[1], transposed)
    assert again.input[1].stride() == transposed.stride()
    assert again.input[2].shape == (0, 3)
    assert again.target["name"] == "kept"
