import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dltool.probes.parameters import (
    NO_GRADIENT,
    SAMPLE,
    BeforeUpdate,
    fingerprint,
    named_parameters,
    norms,
    row_fingerprints,
    sample,
    total_norm,
)


def test_norms_against_the_definition():
    tensors = [torch.randn(3, 4), None, torch.randn(5).double(), torch.tensor(2.0), torch.full((4,), 1e-25)]
    expected = [
        NO_GRADIENT if t is None else math.sqrt(math.fsum(v * v for v in t.double().flatten().tolist())) for t in tensors
    ]
    assert norms(tensors) == pytest.approx(expected)
    assert norms(tensors)[-1] == pytest.approx(2e-25)
    assert norms([None]) == [NO_GRADIENT]
    assert total_norm(norms(tensors)) == pytest.approx(math.hypot(*(n for n in expected if n != NO_GRADIENT)))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_norms_keep_what_is_not_finite(value):
    assert not math.isfinite(norms([torch.tensor([1.0, value])])[0])


def test_sparse_gradients_have_norms():
    embedding = nn.Embedding(10, 3, sparse=True)
    embedding(torch.tensor([1, 1, 2])).sum().backward()
    assert norms([embedding.weight.grad]) == pytest.approx([math.sqrt(3 * 4 + 3)])


@pytest.mark.parametrize("shape", [(7,), (SAMPLE,), (1024, 1024), (300, 1000), (64, 64, 64)])
def test_samples_are_bounded_deterministic_and_spread_over_columns(shape):
    values = torch.arange(math.prod(shape), dtype=torch.float64).reshape(shape)
    taken = sample(values)
    assert torch.equal(taken, sample(values))
    assert min(values.numel(), SAMPLE // 2) <= len(taken) <= 2 * SAMPLE
    if len(shape) == 2:
        assert len(set((taken % shape[1]).tolist())) == shape[1]


@pytest.mark.parametrize(("optimizer", "exact"), [(torch.optim.SGD, True), (torch.optim.AdamW, True)])
def test_update_against_the_definition(optimizer, exact):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 1))
    model(torch.randn(9, 5)).square().mean().backward()
    parameters = list(model.parameters())
    old = [p.detach().double().clone() for p in parameters]
    gradients = [p.grad.double().clone() for p in parameters]
    before = BeforeUpdate(parameters)
    nn.utils.clip_grad_norm_(parameters, 1e-3)
    optimizer(parameters, lr=0.05).step()
    update = before.compare()
    changes = [p.detach().double() - o for p, o in zip(parameters, old, strict=True)]
    assert update.lengths == pytest.approx([float(c.norm()) for c in changes])
    slope = sum(float((g * c).sum()) for g, c in zip(gradients, changes, strict=True))
    assert update.predicted_change == pytest.approx(slope, rel=1e-5)
    assert exact


def test_large_parameters_are_estimated_within_a_few_percent():
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(700, 1000))
    weight.grad = torch.randn(700, 1000)
    before = BeforeUpdate([weight])
    change = -0.01 * weight.grad
    with torch.no_grad():
        weight += change
    update = before.compare()
    assert update.lengths[0] == pytest.approx(float(change.norm()), rel=0.03)
    assert update.predicted_change == pytest.approx(float((weight.grad * change).sum()), rel=0.03)


def test_parameters_without_gradient_have_no_slope():
    frozen = nn.Parameter(torch.ones(3), requires_grad=False)
    assert BeforeUpdate([frozen]).compare().lengths == [0.0]
    assert BeforeUpdate([]).compare().predicted_change == 0.0


@given(st.lists(st.floats(width=32), min_size=2, max_size=30), st.integers(0, 29), st.integers(0, 29))
def test_fingerprint_tells_every_change_of_bits(values, i, j):
    tensor = torch.tensor(values)
    other = tensor.clone()
    assert fingerprint(tensor) == fingerprint(other)
    i, j = i % len(values), j % len(values)
    other[i], other[j] = tensor[j], tensor[i]
    same_bits = torch.equal(tensor.view(torch.int32), other.view(torch.int32))
    assert (fingerprint(tensor) == fingerprint(other)) == same_bits


@pytest.mark.parametrize("pattern", [(1, -1, 0), (1, -2, 1), (0, 0, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_opposite_changes_do_not_cancel(pattern, dtype):
    tensor = torch.full((3,), 0.6, dtype=dtype)
    step = torch.finfo(dtype).eps / 2
    moved = (tensor.double() + torch.tensor(pattern, dtype=torch.float64) * step).to(dtype)
    assert not torch.equal(tensor, moved)
    assert fingerprint(tensor) != fingerprint(moved)


def test_fingerprint_in_chunks_is_that_of_the_whole(monkeypatch):
    values = torch.randn(1000)
    whole = fingerprint(values)
    monkeypatch.setattr("dltool.probes.parameters.CHUNK", 77)
    assert fingerprint(values) == whole


def test_fingerprint_is_that_of_plain_python():
    def mix(x):
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) % 2**64
        return x ^ (x >> 31)

    tensor = torch.tensor([1.5, -2.0, 0.0])
    bits = tensor.view(torch.int32).tolist()
    total = sum(mix((b + i * 0x9E3779B97F4A7C15) % 2**64) for i, b in enumerate(bits)) % 2**64
    assert fingerprint(tensor) % 2**64 == total


def test_row_fingerprints():
    rows = torch.tensor([[0.0, 1.0], [-0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    found = row_fingerprints(rows).tolist()
    assert found[0] == found[1] == found[3] != found[2]


def test_roles_and_owners():
    model = nn.ModuleDict(
        {
            "e": nn.Embedding(4, 3),
            "l": nn.Linear(3, 3),
            "n": nn.BatchNorm1d(3),
            "m": nn.MultiheadAttention(4, 2),
            "r": nn.LSTM(2, 2),
        }
    )
    model.register_parameter("scale", nn.Parameter(torch.ones(3)))
    found = {p.name: (p.owner, p.role) for p in named_parameters(model)}
    assert found["scale"] == ("", "other")
    assert found["e.weight"] == ("e", "embedding")
    assert found["l.weight"] == ("l", "weight")
    assert found["l.bias"] == ("l", "bias")
    assert found["n.weight"] == ("n", "normalisation")
    assert found["m.out_proj.weight"] == ("m", "weight")
    assert found["r.weight_hh_l0"] == ("r", "weight")
    assert found["r.bias_hh_l0"] == ("r", "bias")


def test_tied_parameters_are_listed_once():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    assert [p.name for p in named_parameters(model)] == ["0.weight", "0.bias", "1.bias"]


@pytest.mark.parametrize("rows", [[], [0], [3, 3, 9999], list(range(0, 10_000, 7))])
def test_a_sparse_gradient_is_sampled_as_if_it_were_dense(rows):
    embedding = nn.Embedding(10_000, 3, sparse=True)
    (embedding(torch.tensor(rows, dtype=torch.long)) * torch.rand(len(rows), 3)).sum().backward()
    gradient = embedding.weight.grad
    assert sample(gradient).equal(sample(gradient.to_dense()))


def test_complex_and_whole_numbers_have_norms_and_updates():
    parameters = [nn.Parameter(torch.tensor([3 + 4j, 0j])), nn.Parameter(torch.tensor([2, 0]), requires_grad=False)]
    assert norms(parameters) == [5.0, 2.0]
    before = BeforeUpdate(parameters)
    with torch.no_grad():
        parameters[0] += torch.tensor([3j, 4])
    assert before.compare().lengths == [5.0, 0.0]
