"""Code that does without torch's usual calls: what can be followed is, the rest is said to be unknown."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from code_zoo import LABELS, rows
from designs import sketch, traced
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint_sequential


class Odd(nn.Module):
    def __init__(self, forward: Callable[[Odd, Tensor], Tensor]) -> None:
        super().__init__()
        self.a, self.h, self.own = nn.Linear(4, 8), nn.Linear(8, 3), forward

    def forward(self, x: Tensor) -> Tensor:
        return self.own(self, x)


def layer_made_in_forward(m: Odd, x: Tensor) -> Tensor:
    m.late = nn.Linear(8, 8)
    return m.h(m.late(F.relu(m.a(x))))


def buffer_made_in_forward(m: Odd, x: Tensor) -> Tensor:
    m.register_buffer("mean", x.mean(0))
    return m.h(F.relu(m.a(x - m.mean)))


def written_where_told(m: Odd, x: Tensor) -> Tensor:
    out = torch.empty(2, 8)
    with torch.no_grad():
        torch.clamp(m.a(x), min=0, out=out)
    return m.h(out)


def data_replaced(m: Odd, x: Tensor) -> Tensor:
    held = torch.zeros(2, 8)
    held.data = F.relu(m.a(x)).detach()
    return m.h(held)


def masked_by_index(m: Odd, x: Tensor) -> Tensor:
    h = m.a(x) * 1.5
    h[h < 0] = 0.0
    return m.h(h)


def in_inference_mode(m: Odd, x: Tensor) -> Tensor:
    with torch.inference_mode():
        h = F.relu(m.a(x))
    return m.h(h.clone())


SEEN = {
    layer_made_in_forward: "linear relu linear linear",
    buffer_made_in_forward: "mean sub:x,0 linear relu linear",
    written_where_told: "linear relu linear",
    data_replaced: "linear relu linear",
    masked_by_index: "linear scale compare masked_fill:1,2 linear",
    in_inference_mode: "linear relu linear",
    lambda m, x: m.h.forward(F.relu(m.a.forward(x))): "linear relu linear",
    lambda m, x: m.h(sum([F.relu(m.a(x)), m.a(x)])): "linear relu linear:x residual-add:1,2 linear",
    lambda m, x: m.h(torch.stack([F.relu(row) for row in m.a(x)])): "linear select relu relu:1 stack:2,3 linear",
    lambda m, x: m.h(F.relu(m.a(x)) / x.abs().max().item()): "linear relu scale linear",
    lambda m, x: m.h(torch.ops.aten.relu.default(m.a(x))): "linear relu linear",
    lambda m, x: m.h(checkpoint_sequential([nn.ReLU(), nn.Tanh()], 2, m.a(x), use_reentrant=False)): (
        "linear relu tanh linear"
    ),
    lambda m, x: F.linear(F.relu(m.a(x)), m.h(m.a(x)).mean(0).unsqueeze(1).expand(3, 8)): (
        "linear relu linear:x linear mean reshape expand linear:1,6"
    ),
    lambda m, x: m.h(torch.fft.irfft(torch.fft.rfft(m.a(x)), n=8)): "linear fft_rfft unknown linear",
}


@pytest.mark.parametrize("forward", SEEN)
def test_odd_code_is_followed(forward: Callable[[Odd, Tensor], Tensor]) -> None:
    torch.manual_seed(0)
    model = Odd(forward)
    names = [name for name, _ in model.named_modules()], [name for name, _ in model.named_buffers()]
    found = traced(model, rows(), LABELS)
    assert sketch(found) == SEEN[forward]
    assert found.architecture.complete
    assert names == ([name for name, _ in model.named_modules()], [name for name, _ in model.named_buffers()])


def through_numpy(m: Odd, x: Tensor) -> Tensor:
    return m.h(torch.as_tensor(np.maximum(m.a(x).detach().numpy(), 0)))


def through_a_list(m: Odd, x: Tensor) -> Tensor:
    return m.h(torch.tensor(m.a(x).tolist()))


def through_functorch(m: Odd, x: Tensor) -> Tensor:
    return m.h(torch.vmap(torch.tanh)(m.a(x)))


@pytest.mark.parametrize("forward", [through_numpy, through_a_list, through_functorch])
def test_what_cannot_be_followed_makes_the_design_incomplete(forward: Callable[[Odd, Tensor], Tensor]) -> None:
    found = traced(Odd(forward), rows(), LABELS)
    assert not found.architecture.complete
    assert [layer.kind for layer in found.architecture.layers] == ["linear", "unknown", "linear"]


@pytest.mark.parametrize(
    "forward",
    [lambda _, __: torch.zeros(2, 3, requires_grad=True), lambda m, _: m.h.bias.expand(2, 3)],
)
def test_a_model_that_ignores_its_input_has_no_output_layer(forward: Callable[[Odd, Tensor], Tensor]) -> None:
    found = traced(Odd(forward), rows(), LABELS)
    assert found.architecture.outputs == ()


def test_a_model_that_returns_its_input() -> None:
    found = traced(Odd(lambda _, x: x), rows(), LABELS)
    assert found.architecture.outputs == (-1,)
