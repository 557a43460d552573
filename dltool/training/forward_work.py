"""How much work one forward pass is, counted and not timed: what a budget in steps can be reckoned from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from dltool.training.evaluate import Evaluator
from dltool.training.experiment import BatchSource

OPERATOR_FLOPS = 50_000.0
"""What calling one operator costs before it computes anything, about 5 µs at 10 GFLOP/s (one CPU core). A GPU computes more
in that time, so there the estimate errs towards looking less often.
"""

FUSED_LAYERS = ("rnn", "lstm", "gru", "transformer_encoder", "multi_head_attention")
"""Operators that are a whole layer and have no formula: each weight matrix meets each time step of the input once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardWork:
    """One forward pass: operators called per batch, floating-point operations per sample."""

    operators: float
    flops_per_sample: float

    def flops(self, batches: float, samples: float) -> float:
        """Work of evaluating ``samples`` in ``batches``, the operators' own cost included, in FLOP."""
        return batches * self.operators * OPERATOR_FLOPS + samples * self.flops_per_sample


def measure(evaluator: Evaluator, source: BatchSource) -> ForwardWork:
    """Count one evaluated batch of ``source``; the model is left as it was."""
    return count(lambda: evaluator(source, limit=evaluator.batch_size(source) or 1).samples)


def count(forward: Callable[[], int]) -> ForwardWork:
    """Count one forward pass; ``forward`` runs it and returns its samples."""
    counter = _Counter()
    with counter:
        samples = forward()
    return ForwardWork(operators=counter.operators, flops_per_sample=counter.flops / max(samples, 1))


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every operator below autograd; matrix products and the like by torch's own formulas, the rest by output size."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operators = 0
        self.flops = 0.0

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        self.operators += 1
        formula = flop_registry.get(func._overloadpacket)  # noqa: SLF001 - as torch's FlopCounterMode does
        if formula is not None:
            self.flops += formula(*args, **(kwargs or {}), out_val=out)
        else:
            self.flops += _flops_by_size(func, args, out)
        return out


def _flops_by_size(func: Any, args: Sequence[Any], out: Any) -> float:
    if not any(word in func.name() for word in FUSED_LAYERS):
        return float(sum(tensor.numel() for tensor in _tensors(out)))
    rows, *rest = _tensors(args)
    return 2.0 * rows.numel() / max(rows.size(-1), 1) * sum(weight.numel() for weight in rest if weight.ndim == 2)


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    return [tensor for item in value for tensor in _tensors(item)] if isinstance(value, tuple | list) else []
