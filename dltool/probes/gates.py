"""Saturated gates of LSTM and GRU, which torch computes inside one fused call that no hook can look into.

The recurrence is computed again, step by step, from the layer's own inputs and weights, for a bounded number of samples and
time steps: equations of torch.nn.LSTM, torch.nn.GRU and torch.nn.RNN (their documentation). A gate is a unit; gate g of
hidden unit j in layer l and direction d is unit ((l · directions + d) · gates + g) · hidden + j, with the gates in torch's
order (LSTM: input, forget, cell, output; GRU: reset, update, new). Dropout between layers is not applied: use in eval mode.
Of a longer sequence the first ``MOST_STEPS`` steps are seen, and the backward direction starts at the last of these.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from dltool.probes.hooks import Run, visiting
from dltool.probes.saturation import FLAT_RATIO

MOST_STEPS = 32
MOST_SAMPLES = 64
"""Per forward pass."""

GATED = (nn.LSTM, nn.GRU, nn.RNN, nn.LSTMCell, nn.GRUCell, nn.RNNCell)


@dataclass(slots=True)
class GateCounts:
    """For every gate of every recurrent module, on how many samples it was not saturated (on half its steps or more)."""

    modules: dict[str, nn.Module]
    observations: dict[str, int] = field(default_factory=dict)
    unsaturated: dict[str, Tensor] = field(default_factory=dict)
    saturated_values: dict[str, Tensor] = field(default_factory=dict)

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count the forward pass within."""
        with visiting({p: m for p, m in self.modules.items() if isinstance(m, GATED)}, on_input=self._see):
            yield

    def _see(self, run: Run) -> None:
        flat = saturated_gates(run.module, *run.inputs)
        if flat is None:
            return
        otherwise = (flat.nanmean(1) <= 0.5).sum(0)
        before = self.unsaturated.get(run.path)
        self.unsaturated[run.path] = otherwise if before is None else before + otherwise
        self.observations[run.path] = self.observations.get(run.path, 0) + len(flat)
        share = flat.nanmean().double() * len(flat)
        self.saturated_values[run.path] = self.saturated_values.get(run.path, torch.zeros_like(share)) + share


def saturated_gates(module: nn.Module, inputs: Any, state: Any = None) -> Tensor | None:
    """1 where a gate's derivative is below 1 % of its largest, 0 where it is not, NaN past the end of a sequence.

    Args:
        module: one of ``GATED``.
        inputs: its input, as a tensor or a PackedSequence.
        state: its initial state, or None for zeros.

    Returns:
        Shape (samples, steps, gates); None for a relu RNN, which has no gate that saturates.
    """
    if getattr(module, "nonlinearity", "tanh") == "relu":
        return None
    if isinstance(module, nn.RNNCellBase):
        return _cell(module, inputs, state)
    assert isinstance(module, nn.RNNBase)
    steps, real = _time_first(module, inputs)
    hidden, cell = _initial(module, steps, state)
    directions = 2 if module.bidirectional else 1
    found = []
    for layer in range(module.num_layers):
        outputs = []
        for direction in range(directions):
            index = layer * directions + direction
            start = hidden[index], None if cell is None else cell[index]
            flat, seen = _direction(module, f"l{layer}{'_reverse' if direction else ''}", steps, real, start)
            found.append(flat)
            outputs.append(seen)
        steps = torch.cat(outputs, -1)
    return torch.cat(found, -1).float().masked_fill(~real.T.unsqueeze(2), torch.nan)


def _direction(
    module: nn.RNNBase, suffix: str, steps: Tensor, real: Tensor, start: tuple[Tensor, Tensor | None]
) -> tuple[Tensor, Tensor]:
    """One layer in one direction: which gates are flat (N, T, gates · hidden), and its outputs (T, N, hidden)."""
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
    weights = [getattr(module, f"{name}_{suffix}", None) for name in names]
    times = list(range(len(steps)))
    if suffix.endswith("_reverse"):
        times.reverse()
    h, c = start
    flats: dict[int, Tensor] = {}
    seen: dict[int, Tensor] = {}
    for t in times:
        flats[t], new_h, new_c = _step(module.mode, steps[t], h, c, weights)
        live = real[t].unsqueeze(1)
        h = seen[t] = torch.where(live, new_h, h)
        c = torch.where(live, new_c, c) if c is not None and new_c is not None else None
    return torch.stack([flats[t] for t in sorted(flats)], 1), torch.stack([seen[t] for t in sorted(seen)])


def _step(mode: str, x: Tensor, h: Tensor, c: Tensor | None, weights: list[Any]) -> tuple[Tensor, Tensor, Tensor | None]:
    """One time step: which gates are flat (N, gates · hidden), and the new state."""
    w_ih, w_hh, b_ih, b_hh, projection = weights
    from_input, from_state = linear(x, w_ih, b_ih), linear(h, w_hh, b_hh)
    if mode.startswith("RNN"):
        new = torch.tanh(from_input + from_state)
        return _flat_tanh(new), new, None
    if mode == "LSTM":
        assert c is not None
        i, f, g, o = (from_input + from_state).chunk(4, 1)
        i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
        c = f * c + i * g
        h = o * c.tanh()
        flat = torch.cat((_flat_sigmoid(i), _flat_sigmoid(f), _flat_tanh(g), _flat_sigmoid(o)), 1)
        return flat, h if projection is None else linear(h, projection), c
    (r_x, z_x, n_x), (r_h, z_h, n_h) = from_input.chunk(3, 1), from_state.chunk(3, 1)
    r, z = (r_x + r_h).sigmoid(), (z_x + z_h).sigmoid()
    n = (n_x + r * n_h).tanh()
    return torch.cat((_flat_sigmoid(r), _flat_sigmoid(z), _flat_tanh(n)), 1), (1 - z) * n + z * h, None


def _flat_sigmoid(y: Tensor) -> Tensor:
    return y * (1 - y) < FLAT_RATIO / 4


def _flat_tanh(y: Tensor) -> Tensor:
    return 1 - y * y < FLAT_RATIO


def _cell(cell: nn.RNNCellBase, inputs: Tensor, state: Any) -> Tensor:
    x = inputs.unsqueeze(0) if inputs.ndim == 1 else inputs
    x = x[:MOST_SAMPLES]
    mode = {nn.LSTMCell: "LSTM", nn.GRUCell: "GRU"}.get(type(cell), "RNN_TANH")
    zeros = x.new_zeros(len(x), cell.hidden_size)
    h, c = state if isinstance(state, tuple) else (state, None)
    h, c = (zeros if s is None else s.reshape(-1, cell.hidden_size)[: len(x)] for s in (h, c))
    weights = [cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh, None]
    flat, _, _ = _step(mode, x, h, c, weights)
    return flat.float().unsqueeze(1)


def _time_first(module: nn.RNNBase, inputs: Any) -> tuple[Tensor, Tensor]:
    """The input as (T, N, F), and which of its steps are real, (T, N)."""
    if isinstance(inputs, PackedSequence):
        values, lengths = pad_packed_sequence(inputs)
    else:
        values = inputs.unsqueeze(1) if inputs.ndim == 2 else inputs.transpose(0, 1) if module.batch_first else inputs
        lengths = torch.full((values.shape[1],), len(values))
    values, lengths = values[:MOST_STEPS, :MOST_SAMPLES], lengths[:MOST_SAMPLES]
    real = torch.arange(len(values)).unsqueeze(1) < lengths.unsqueeze(0)
    return values, real.to(values.device)


def _initial(module: nn.RNNBase, steps: Tensor, state: Any) -> tuple[Tensor, Tensor | None]:
    """Initial hidden and (LSTM) cell state, each (layers · directions, N, hidden)."""
    samples = steps.shape[1]
    count = module.num_layers * (2 if module.bidirectional else 1)
    hidden, cell = state if isinstance(state, tuple) else (state, None)
    if hidden is None:
        hidden = steps.new_zeros(count, samples, module.proj_size or module.hidden_size)
    if cell is None and module.mode == "LSTM":
        cell = steps.new_zeros(count, samples, module.hidden_size)
    return _rows(hidden, count, samples), None if cell is None else _rows(cell, count, samples)


def _rows(state: Tensor, count: int, samples: int) -> Tensor:
    return state.reshape(count, -1, state.shape[-1])[:, :samples]
