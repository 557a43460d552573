"""L1, L2 and max-norm on weights: never on biases or normalisation parameters."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from dltool.training.experiment import Regularisation

NORMALISATIONS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)  # noqa: SLF001
TRANSPOSED = nn.modules.conv._ConvTransposeNd  # noqa: SLF001


def is_weight(module: nn.Module, name: str, parameter: nn.Parameter) -> bool:
    """A trainable matrix or kernel, as opposed to a bias or the scale of a normalisation."""
    weight = parameter.requires_grad and parameter.ndim >= 2 and "bias" not in name
    return weight and not isinstance(module, NORMALISATIONS)


def penalised(model: nn.Module, settings: Regularisation) -> Iterator[tuple[str, nn.Parameter, float]]:
    """Every weight that a penalty acts on, once: its name, the weight, and its coefficient of l2."""
    seen: set[int] = set()
    for prefix, module in model.named_modules():
        for name, parameter in module.named_parameters(prefix, recurse=False):
            l2 = settings.layer_l2.get(name, settings.l2)
            wanted = l2 or settings.l1
            if wanted and id(parameter) not in seen and is_weight(module, name.rpartition(".")[2], parameter):
                seen.add(id(parameter))
                yield name, parameter, l2


class Penalties:
    """Adds the slopes of l1 · ‖w‖₁ and l2 / 2 · ‖w‖², l1 · sign(w) and l2 · w, straight to the gradients.

    That is what backward through the penalty would give, without building it. As with torch's weight decay, a weight without
    a gradient is left alone. A layer's own l2 stands in place of the common one.
    """

    def __init__(self, model: nn.Module, settings: Regularisation) -> None:
        self._l1 = settings.l1
        self._groups: dict[float, list[Tensor]] = {}
        for _, parameter, l2 in penalised(model, settings):
            self._groups.setdefault(l2, []).append(parameter)

    def __bool__(self) -> bool:
        return bool(self._groups)

    @torch.no_grad()
    def apply(self) -> None:
        """Add the penalties' slopes to the gradients that are there."""
        for l2, parameters in self._groups.items():
            grads: list[Tensor] = []
            weights: list[Tensor] = []
            for parameter in parameters:
                if parameter.grad is not None:
                    grads.append(parameter.grad)
                    weights.append(parameter)
            if not grads:
                continue
            if l2:
                torch._foreach_add_(grads, weights, alpha=l2)
            if self._l1:
                torch._foreach_add_(grads, torch._foreach_sign(weights), alpha=self._l1)  # noqa: SLF001

    @torch.no_grad()
    def value(self) -> float:
        """The sum of all penalties at the current weights."""
        total = 0.0
        for l2, parameters in self._groups.items():
            squares = torch.stack(torch._foreach_norm(parameters)).square().sum().item() if l2 else 0.0  # noqa: SLF001
            magnitudes = torch.stack(torch._foreach_norm(parameters, 1)).sum().item() if self._l1 else 0.0  # noqa: SLF001
            total += l2 / 2 * squares + self._l1 * magnitudes
        return total


class MaxNorm:
    """Scales every unit's incoming weights down to a norm of at most ``limit`` (Srivastava et al. 2014, "Dropout", §5.1)."""

    def __init__(self, model: nn.Module, limit: float | None) -> None:
        self._limit = limit
        self._weights: list[tuple[nn.Parameter, int]] = []
        for module in model.modules() if limit is not None else ():
            for name, parameter in module.named_parameters(recurse=False):
                if is_weight(module, name, parameter) and not isinstance(module, nn.Embedding):
                    self._weights.append((parameter, 1 if isinstance(module, TRANSPOSED) else 0))

    def __bool__(self) -> bool:
        return bool(self._weights)

    @torch.no_grad()
    def apply(self) -> None:
        """Project in place; weights within the limit keep their bits."""
        assert self._limit is not None
        for weight, unit_dim in self._weights:
            weight.renorm_(p=2, dim=unit_dim, maxnorm=self._limit)
