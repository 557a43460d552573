"""Models whose backward does not belong to their forward, each in one way, and models that only look so."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function


class Turned(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return -grad * ctx.saved_tensors[0].cos()


class Doubled(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return 4 * grad * ctx.saved_tensors[0]


class TermMissing(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * x.sigmoid()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad * ctx.saved_tensors[0].sigmoid()


class Transposed(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return x @ weight

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        return grad @ weight, x.T @ grad  # the first should be grad @ weight.T


class Right(Function):
    """In the newer style, whose forward has no context."""

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.exp()

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad * ctx.saved_tensors[0]


class Apply(nn.Module):
    def __init__(self, kind: type[Function]) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, x: Tensor) -> Tensor:
        return self.kind.apply(x)


class Product(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(size, size))

    def forward(self, x: Tensor) -> Tensor:
        return Transposed.apply(x, self.weight)


class Branches(nn.Module):
    """One of two branches is cut off."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.kept, self.cut = nn.Linear(size, size), nn.Linear(size, size)

    def forward(self, x: Tensor) -> Tensor:
        return self.kept(x) + self.cut(x).detach()


class Scaled(nn.Module):
    """x · |w|, with w at 0."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(size))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.w.abs()


class Difference(Scaled):
    """relu(w) − relu(−w) is w, yet autograd gives 0 at 0, where both slopes are 1."""

    def forward(self, x: Tensor) -> Tensor:
        return x * (self.w.relu() - (-self.w).relu())


CALLS = [0]


class Counting(nn.Module):
    """What it counts is nobody's attribute, and cannot be put back."""

    def forward(self, x: Tensor) -> Tensor:
        CALLS[0] += 1
        return x * (1 + 0.1 * CALLS[0])


class Remembering(nn.Module):
    """Counts, caches and draws from a generator of its own, all of which an evaluation has to find as the first one did."""

    def __init__(self) -> None:
        super().__init__()
        self.calls, self.last, self.generator = 0, torch.zeros(()), torch.Generator().manual_seed(3)

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        noise = torch.randn(x.shape, generator=self.generator, dtype=x.dtype)
        scaled = x * (1 + 0.1 * self.calls) + self.last + 0.1 * noise
        self.last = scaled.detach().mean()
        return scaled


class Casting(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (x.float() * torch.ones(x.shape[1], dtype=torch.float32)).half().to(torch.float32)


def made(middle: nn.Module | None, *, size: int = 6, inputs: Tensor | None = None) -> dict[str, Any]:
    """``middle`` between two linear layers (0 and 2), with dropout and data of four batches."""
    torch.manual_seed(0)
    x = torch.randn(64, 5) if inputs is None else inputs
    y = torch.randint(0, 3, (len(x),))
    layers = [nn.Linear(x.shape[1], size), middle or nn.Tanh(), nn.Linear(size, 3)]
    return {
        "model": nn.Sequential(*layers),
        "batches": [(x[i : i + 16], y[i : i + 16]) for i in range(0, len(x), 16)],
        "loss": nn.CrossEntropyLoss(),
        "optimizer": lambda parameters: torch.optim.SGD(parameters, lr=0.1),
    }


def turned() -> dict[str, Any]:
    return made(Apply(Turned))


def doubled() -> dict[str, Any]:
    return made(Apply(Doubled))


def term_missing() -> dict[str, Any]:
    return made(Apply(TermMissing))


def transposed() -> dict[str, Any]:
    torch.manual_seed(1)
    return made(Product(6))


def cut_branch() -> dict[str, Any]:
    torch.manual_seed(1)
    return made(Branches(6))


def right() -> dict[str, Any]:
    return made(Apply(Right))


def plain() -> dict[str, Any]:
    return made(nn.Sequential(nn.BatchNorm1d(6), nn.ReLU(inplace=True), nn.Dropout(0.3)))


def casting() -> dict[str, Any]:
    return made(Casting())


def counting() -> dict[str, Any]:
    return made(Counting())


def remembering() -> dict[str, Any]:
    return made(Remembering())


def absolute() -> dict[str, Any]:
    return made(Scaled(6))


def difference() -> dict[str, Any]:
    return made(Difference(6))


def relu_at_zero() -> dict[str, Any]:
    parts = made(nn.ReLU())
    nn.init.zeros_(parts["model"][0].weight)
    nn.init.zeros_(parts["model"][0].bias)
    return parts


def tied_maxima() -> dict[str, Any]:
    parts = made(None)
    pooled = nn.Sequential(nn.Unflatten(1, (1, 2, 2)), nn.Conv2d(1, 2, 1), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(2, 3))
    nn.init.zeros_(pooled[1].weight)
    return parts | {"model": pooled, "batches": [(torch.tensor([[1.0, -1.0, 1.0, -1.0]] * 8), torch.arange(8) % 3)]}


def wrong_loss() -> dict[str, Any]:
    return made(None) | {"loss": lambda output, target: Turned.apply(output).square().mean() + 0 * target.sum()}


def nan_loss() -> dict[str, Any]:
    return made(None) | {"loss": lambda output, target: (output.sum() * 0).log() * 0 + target.sum() * 0}


def frozen() -> dict[str, Any]:
    parts = made(None)
    parts["model"][0].requires_grad_(False)
    return parts
