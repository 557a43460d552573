"""The recurrence against torch's own layers, gate by gate."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from dltool.probes import gates
from dltool.probes.gates import GateCounts, saturated_gates

LAYERS = [
    lambda **k: nn.LSTM(3, 4, **k),
    lambda **k: nn.GRU(3, 4, **k),
    lambda **k: nn.RNN(3, 4, **k),
    lambda **k: nn.LSTM(3, 4, proj_size=2, **k),
]
SHAPES = [{}, {"batch_first": True}, {"num_layers": 2}, {"bidirectional": True, "num_layers": 2}, {"bias": False}]


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("make", LAYERS)
@pytest.mark.parametrize("options", SHAPES)
def test_recurrence_reaches_torchs_states(make, options, monkeypatch):
    torch.manual_seed(0)
    layer = make(**options)
    x = torch.randn(5, 6, 3)
    outputs = []
    step = gates._step
    monkeypatch.setattr(gates, "_step", lambda *a: outputs.append(step(*a)) or outputs[-1])
    with torch.no_grad():
        expected, state = layer(x)
        flat = saturated_gates(layer, x)
    hidden = state[0] if isinstance(state, tuple) else state
    steps = 6 if layer.batch_first else 5
    last = [outputs[(i + 1) * steps - 1][1] for i in range(len(hidden))]
    assert torch.allclose(torch.stack(last), hidden, atol=1e-6)
    per_layer = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1}[layer.mode] * 4
    assert flat.shape == (11 - steps, steps, per_layer * len(hidden))
    assert torch.isfinite(expected).all()


def test_flat_gates_by_hand():
    torch.manual_seed(0)
    layer = nn.LSTM(2, 2)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.bias_ih_l0[2:4] = 9.0  # forget gates
        layer.bias_ih_l0[4] = 4.0  # one cell gate
    flat = saturated_gates(layer, torch.zeros(3, 1, 2))
    assert flat[0].tolist() == [[0, 0, 1, 1, 1, 0, 0, 0]] * 3


def test_padding_does_not_count():
    layer = nn.GRU(2, 3, batch_first=True)
    x = torch.randn(2, 5, 2)
    flat = saturated_gates(layer, pack_padded_sequence(x, [2, 5], batch_first=True, enforce_sorted=False))
    assert flat.isnan().all(2).tolist() == [[False, False, True, True, True], [False] * 5]
    short = saturated_gates(layer, x[:1, :2])
    assert torch.equal(flat[0, :2], short[0])


def test_initial_state_is_used():
    layer = nn.GRU(1, 2)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.weight_hh_l0[:2] = 9.0
    assert saturated_gates(layer, torch.zeros(1, 1, 1)).sum() == 0
    assert saturated_gates(layer, torch.zeros(1, 1, 1), torch.ones(1, 1, 2))[0, 0, :2].tolist() == [1, 1]


@pytest.mark.parametrize("cell", [nn.LSTMCell(3, 4), nn.GRUCell(3, 4), nn.RNNCell(3, 4)])
def test_cells(cell):
    assert saturated_gates(cell, torch.randn(5, 3)).shape[:2] == (5, 1)


def test_relu_rnn_has_no_gates():
    assert saturated_gates(nn.RNN(2, 2, nonlinearity="relu"), torch.randn(3, 1, 2)) is None


def test_counts_add_up_over_batches_and_bound_the_work():
    layer = nn.LSTM(2, 3, batch_first=True)
    with torch.no_grad():
        layer.bias_ih_l0[:3] = 50.0
    counts = GateCounts({"lstm": layer})
    with torch.no_grad():
        for size in (5, 100):
            with counts.counting():
                layer(torch.randn(size, 40, 2))
    assert counts.observations["lstm"] == 5 + gates.MOST_SAMPLES
    assert counts.unsaturated["lstm"][:3].tolist() == [0, 0, 0]
    assert counts.unsaturated["lstm"][3:].min() > 0
    assert float(counts.saturated_values["lstm"]) / counts.observations["lstm"] == pytest.approx(0.25, abs=0.02)
