"""How a recurrent layer's gradient changes from time step to time step: what no hook on its output can see."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from dltool.probes.hooks import Run, visiting

MOST_SAMPLES = 64
MOST_STEPS = 64
LEAST_STEPS = 4


class ThroughTime:
    """For every recurrent layer, the factor a step and the steps there are; measured once, on its first input."""

    def __init__(self, modules: dict[str, nn.Module]) -> None:
        self._modules = {path: module for path, module in modules.items() if isinstance(module, nn.RNNBase)}
        self._inputs: dict[str, Any] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Keep the inputs of the forward pass within."""
        with visiting(self._modules, on_input=self._see):
            yield

    def _see(self, run: Run) -> None:
        self._inputs.setdefault(run.path, run.inputs[0])

    def factors(self) -> dict[str, tuple[float, int]]:
        """By path; layers with too short an input are left out."""
        found = {path: _factor(self._modules[path], given) for path, given in self._inputs.items()}
        return {path: factor for path, factor in found.items() if factor is not None}


def _factor(module: Any, given: Any) -> tuple[float, int] | None:
    """(‖∂h_T/∂h_0‖ / ‖∂h_T'/∂h_0‖)^(1 / (T - T')) with T' = T / 2, along one random direction of h."""
    if isinstance(given, PackedSequence):
        steps, _ = pad_packed_sequence(given, batch_first=False)
    elif given.ndim == 2:
        steps = given.unsqueeze(1)
    else:
        steps = given.transpose(0, 1) if module.batch_first else given
    length = len(steps)
    steps = steps[:MOST_STEPS, :MOST_SAMPLES].detach()
    if len(steps) < LEAST_STEPS:
        return None
    half = len(steps) // 2
    near, far = _sensitivity(module, steps[:half]), _sensitivity(module, steps)
    return None if not near > 0.0 else ((far / near) ** (1.0 / (len(steps) - half)), length)


def _sensitivity(module: Any, steps: Tensor) -> float:
    """‖∂(v · h_T)/∂h_0‖ for a fixed random direction v, over all layers and directions."""
    layers = module.num_layers * (2 if module.bidirectional else 1)
    samples = steps.shape[1]
    sizes = [module.proj_size or module.hidden_size] + ([module.hidden_size] if module.mode == "LSTM" else [])
    state = tuple(torch.zeros(layers, samples, size).to(steps).requires_grad_() for size in sizes)
    with torch.enable_grad():
        given = steps if not module.batch_first else steps.transpose(0, 1)
        _, ended = module(given, state if len(state) == 2 else state[0])
        last = ended[0] if isinstance(ended, tuple) else ended
        direction = torch.randn(last.shape, generator=torch.Generator().manual_seed(0)).to(last)
        gradients = torch.autograd.grad((last * direction).sum(), state)
    norms = [torch.linalg.vector_norm(g, dtype=torch.float64) for g in gradients]
    return float(torch.stack(norms).square().sum().sqrt())
