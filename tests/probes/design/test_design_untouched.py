"""Whatever a model or its loss does in a pass: afterwards both are bit for bit as they were, also when one raises."""

from __future__ import annotations

import copy
import itertools
import random
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from code_zoo import LABELS, rows, tokens
from designs import traced
from torch import Tensor, nn


class Busy(nn.Module):
    """Changes about everything that a forward pass can change; raises at the end if told to."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.head = nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)
        self.drop = nn.Dropout(0.5)
        self.unit = nn.utils.parametrizations.spectral_norm(nn.Linear(8, 8))
        self.register_buffer("seen", torch.zeros(()))
        self.running = torch.zeros(8)
        self.generator = torch.Generator().manual_seed(3)
        self.count, self.history, self.cache = 0, [], {"last": None}
        self.numbers = itertools.count()
        self.own = random.Random(1)
        self.first.eval()
        self.head.weight.grad = torch.ones_like(self.head.weight)
        self.fails = False

    def forward(self, x: Tensor) -> Tensor:
        x += 1.0
        self.count += 1
        next(self.numbers)
        self.own.random()
        h = self.norm(self.first(x))
        self.seen += h.mean().detach()
        self.running.mul_(0.9).add_(h.mean(0).detach())
        self.history.append(h)
        self.cache["last"] = h
        random.random()
        np.random.rand()  # noqa: NPY002 - the one that users draw from
        h = self.drop(torch.relu(self.unit(h))) + torch.rand(8, generator=self.generator)
        with torch.no_grad():
            self.first.weight.clamp_(-0.1, 0.1)
            self.head.bias.data.mul_(2.0)
        self.norm.eval()
        self.head.weight.requires_grad_(requires_grad=False)
        (self.head.bias.sum() ** 2).backward()
        if self.fails:
            raise RuntimeError("the model's own")
        return self.head(h)


class CountingLoss:
    def __init__(self) -> None:
        self.calls, self.weight = 0, torch.ones(3)

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        self.calls += 1
        self.weight *= 0.5
        return F.cross_entropy(output, target, self.weight)


def state(*roots: Any) -> list[Any]:
    """All that is to stay, copied."""
    model = roots[0]
    drawn = np.random.get_state()[1].tolist()  # noqa: NPY002
    found: list[Any] = [torch.get_rng_state(), random.getstate(), drawn]
    for root in roots:
        held = dict(vars(root))
        held.pop("_modules", None)
        held.pop("_parameters", None)
        found.append(copy.deepcopy({k: v for k, v in held.items() if not isinstance(v, torch.Generator)}))
    found.extend(
        (name, p.detach().clone(), p.requires_grad, None if p.grad is None else p.grad.clone())
        for name, p in model.named_parameters()
    )
    found.extend((name, b.clone()) for name, b in model.named_buffers())
    found.extend((name, m.training, len(m._forward_hooks), len(m._forward_pre_hooks)) for name, m in model.named_modules())
    if hasattr(model, "generator"):
        found.append(model.generator.get_state())
    return found


def same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, random.Random):
        return one.getstate() == other.getstate()
    return repr(one) == repr(other) if isinstance(one, itertools.count) else bool(one == other)


@pytest.mark.parametrize("fails", [False, True])
def test_a_model_that_changes_everything_is_left_as_it_was(fails: bool) -> None:
    torch.manual_seed(0)
    model, loss, given = Busy(), CountingLoss(), rows()
    model.fails = fails
    before, input_before = state(model, loss), given.clone()
    identities = (
        [id(p) for p in model.parameters()] + [id(b) for b in model.buffers()] + [id(p.grad) for p in model.parameters()]
    )
    own = model.own.getstate()
    with pytest.raises(RuntimeError, match="the model's own") if fails else nullcontext():
        traced(model, given, LABELS, loss)
    after = state(model, loss)
    assert all(map(same, before, after))
    assert model.own.getstate() == own
    assert next(model.numbers) == 0
    assert identities == [id(p) for p in model.parameters()] + [id(b) for b in model.buffers()] + [
        id(p.grad) for p in model.parameters()
    ]
    assert torch.equal(given, input_before)


def test_a_loss_that_raises_is_known_by_name_alone_and_left_as_it_was() -> None:
    loss = CountingLoss()

    def broken(output: Tensor, target: Tensor) -> Tensor:
        loss(output, target)
        raise RuntimeError("the loss's own")

    found = traced(nn.Linear(4, 3), rows(), LABELS, broken)
    assert [(term.name, term.expects) for term in found.terms] == [("broken", "unknown")]
    assert found.architecture.outputs == (0,)
    assert loss.calls == 0
    assert torch.equal(loss.weight, torch.ones(3))


def test_an_embedding_that_renormalises_its_rows_keeps_them() -> None:
    model = nn.Sequential(nn.Embedding(11, 4, max_norm=0.1), nn.Flatten(), nn.Linear(20, 3))
    before = model[0].weight.detach().clone()
    traced(model, tokens(), LABELS)
    assert torch.equal(model[0].weight, before)


def test_fast_paths_and_modes_are_as_before() -> None:
    model = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True).eval()
    torch.backends.mha.set_fastpath_enabled(value=True)
    found = traced(model, torch.randn(2, 5, 4), torch.randn(2, 5, 4), F.mse_loss)
    assert [layer.kind for layer in found.architecture.layers] == ["transformer_encoder_layer"]
    assert torch.backends.mha.get_fastpath_enabled()
    assert not any(module.training for module in model.modules())


def test_no_mode_of_torch_stays_behind() -> None:
    class Raises(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise ValueError("own")

    with pytest.raises(ValueError, match="own"):
        traced(Raises(), rows(), LABELS)
    assert torch.overrides._get_current_function_mode_stack() == []
