"""The model that a spec describes, and the layers that torch.nn does not have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dltool.specs.build.sequences import LengthAware, Stack, real_steps


class SpecModel(Stack):
    """The layers of a spec in order, each a child under its ``name``, or its index where it has none.

    ``model(x)`` takes a tensor (N, ...), or ``{"values": (N, T, ...), "lengths": (N,)}`` for padded sequences.
    """

    def forward(self, x: Tensor | Mapping[str, Tensor], lengths: Tensor | None = None) -> Tensor:
        """The output of the last layer."""
        if isinstance(x, Tensor):
            return super().forward(x, lengths)
        return super().forward(x["values"], x["lengths"])


class Residual(Stack):
    """x + layers(x) (He et al. 2016, eq. 1); where the shapes differ, shortcut(x) + layers(x) (eq. 2).

    The shortcut is the child ``shortcut``.
    """

    def __init__(self, layers: Iterable[tuple[str, nn.Module]], shortcut: Stack | None = None) -> None:
        super().__init__(layers)
        self.shortcut = shortcut

    def layers(self) -> Iterator[nn.Module]:
        """The layers of the branch, without the shortcut."""
        return (layer for name, layer in self.named_children() if name != "shortcut")

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(N, ...) to the shape that the branch gives."""
        return (x if self.shortcut is None else self.shortcut(x, lengths)) + super().forward(x, lengths)


class DropConnect(nn.Linear):
    """A linear layer whose weights, not outputs, are dropped with probability ``p`` while training (Wan et al. 2013).

    One mask serves the whole batch, the weights that stay are scaled by 1 / (1 - p), biases are kept, and in eval mode
    the layer is plain linear: the mean of the paper's masks, without its Gaussian sampling.
    """

    def __init__(self, in_features: int, out_features: int, *, p: float = 0.5, bias: bool = True) -> None:
        super().__init__(in_features, out_features, bias=bias)
        self.p = p

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name
        """(N, ..., in_features) to (N, ..., out_features)."""
        return F.linear(input, F.dropout(self.weight, self.p, self.training), self.bias)

    def extra_repr(self) -> str:
        """The arguments, for repr()."""
        return f"{super().extra_repr()}, p={self.p}"


class GaussianNoise(nn.Module):
    """Adds N(0, std²) to every value while training; does nothing in eval mode."""

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def forward(self, x: Tensor) -> Tensor:
        """(N, ...) to the same shape."""
        return x + self.std * torch.randn_like(x) if self.training and self.std > 0 else x

    def extra_repr(self) -> str:
        """The arguments, for repr()."""
        return f"std={self.std}"


class Reshape(nn.Module):
    """Gives every sample the shape ``shape``; one entry may be -1."""

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.shape = tuple(shape)

    def forward(self, x: Tensor) -> Tensor:
        """(N, ...) to (N, *shape)."""
        return x.reshape(x.shape[0], *self.shape)

    def extra_repr(self) -> str:
        """The arguments, for repr()."""
        return f"shape={self.shape}"


class GlobalPool(LengthAware):
    """Mean or maximum over whole dimensions: over space for images (N, C, ...), over time for sequences (N, T, F).

    With lengths it pools over time, and only the real steps of each sequence count.
    """

    ends_sequence = True

    def __init__(self, kind: Literal["avg", "max"], dims: Sequence[int]) -> None:
        super().__init__()
        self.kind = kind
        self.dims = tuple(dims)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(N, C, ...) or (N, T, F) to (N, C) or (N, F)."""
        if lengths is None:
            return x.mean(self.dims) if self.kind == "avg" else x.amax(self.dims)
        padding = ~real_steps(lengths, x.shape[1])[:, :, None]
        if self.kind == "avg":
            return x.masked_fill(padding, 0.0).sum(1) / lengths[:, None].to(x.dtype)
        return x.masked_fill(padding, float("-inf")).amax(1)

    def extra_repr(self) -> str:
        """The arguments, for repr()."""
        return f"{self.kind}, dims={self.dims}"


class SequenceBatchNorm(nn.BatchNorm1d, LengthAware):
    """Batch normalisation of the features of (N, T, F), over samples and real steps."""

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(N, T, F) to the same shape; padding becomes zero."""
        if lengths is None:
            return super().forward(x.flatten(0, 1)).view_as(x)
        real = real_steps(lengths, x.shape[1])
        normed = super().forward(x[real])
        return torch.zeros_like(x, dtype=normed.dtype).masked_scatter(real[:, :, None], normed)


class Recurrent(LengthAware):
    """A torch RNN, LSTM or GRU (the child of that name) that returns a tensor: the whole sequence, or its last step.

    The last step of a bidirectional net is where each direction ends: the forward one at the last real step, the backward
    one at the first; the two are concatenated.
    """

    def __init__(self, rnn: nn.RNNBase, *, last_step: bool) -> None:
        super().__init__()
        self.kind = rnn.mode.split("_")[0].lower()
        self.add_module(self.kind, rnn)
        self.ends_sequence = last_step

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(N, T, F) to (N, T, H) or, for the last step, (N, H); twice H where bidirectional."""
        rnn = self.get_submodule(self.kind)
        if lengths is None:
            output, state = rnn(x)
        else:
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
            output, state = rnn(packed)
            output, _ = nn.utils.rnn.pad_packed_sequence(output, batch_first=True, total_length=x.shape[1])
        if not self.ends_sequence:
            return output  # type: ignore[no-any-return]
        hidden: Tensor = state[0] if isinstance(state, tuple) else state
        return torch.cat((hidden[-2], hidden[-1]), dim=-1) if rnn.bidirectional else hidden[-1]


class SelfAttention(LengthAware):
    """Multi-head attention of a sequence to itself; padding is masked out. The child ``attention`` is torch's."""

    def __init__(self, attention: nn.MultiheadAttention) -> None:
        super().__init__()
        self.attention = attention

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(N, T, E) to the same shape."""
        padding = None if lengths is None else ~real_steps(lengths, x.shape[1])
        output, _ = self.attention(x, x, x, key_padding_mask=padding, need_weights=False)
        return output  # type: ignore[no-any-return]


class TransformerEncoderLayer(nn.TransformerEncoderLayer, LengthAware):
    """torch's layer, batch first, with padding masked out."""

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:  # type: ignore[override]
        """(N, T, E) to the same shape."""
        padding = None if lengths is None else ~real_steps(lengths, x.shape[1])
        return super().forward(x, src_key_padding_mask=padding)
