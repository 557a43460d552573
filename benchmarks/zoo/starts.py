"""Nets at their start, healthy and broken, for `benchmarks/init_stats.py`: functions of nothing, weights from the seed."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Init = Callable[[Tensor], object]
CLASSES = 10


def kaiming(weight: Tensor) -> object:
    """He et al. 2015."""
    return nn.init.kaiming_normal_(weight, nonlinearity="relu")


def lecun(weight: Tensor) -> object:
    """LeCun et al. 1998."""
    return nn.init.kaiming_normal_(weight, nonlinearity="linear")


def normal(std: float) -> Init:
    """N(0, std²)."""
    return lambda weight: nn.init.normal_(weight, std=std)


def he_times(gain: float) -> Init:
    """He's weights, times ``gain``."""
    return lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu").mul_(gain)


def started(net: nn.Module, init: Init | None, bias: float = 0.0) -> nn.Module:
    """``net`` with every weight of rank two and more from ``init``; as torch starts it for None."""
    with torch.no_grad():
        for module in net.modules():
            if init is not None and isinstance(module, nn.Linear | nn.Conv2d):
                init(module.weight)
                if module.bias is not None:
                    nn.init.constant_(module.bias, bias)
    return net


def mlp(depth: int, width: int, activation: type[nn.Module], init: Init | None, bias: float = 0.0) -> nn.Module:
    """``depth`` hidden layers."""
    layers: list[nn.Module] = []
    for a, b in pairwise([64] + [width] * depth):
        layers += [nn.Linear(a, b), activation()]
    return started(nn.Sequential(*layers, nn.Linear(width, CLASSES)), init, bias)


def autoencoder() -> nn.Module:
    """Wide, narrow, wide."""
    layers: list[nn.Module] = []
    for a, b in pairwise([64, 256, 64, 16, 64, 256]):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return started(nn.Sequential(*layers, nn.Linear(256, CLASSES)), kaiming)


class Plus(nn.Module):
    """x + f(x), or relu of it, with a projection where the shapes differ."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module | None = None, *, relu: bool = False) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        """Same leading shape."""
        out = (x if self.shortcut is None else self.shortcut(x)) + self.branch(x)
        return torch.relu(out) if self.relu else out


def conv(a: int, b: int, stride: int = 1) -> nn.Conv2d:
    """3 by 3, with no bias."""
    return nn.Conv2d(a, b, 3, stride, 1, bias=False)


def resnet(blocks: int, *, zero_last: bool = False) -> nn.Module:
    """He et al. 2016a: basic blocks in three stages; ``zero_last`` starts each branch at zero (Goyal et al. 2017)."""
    layers: list[nn.Module] = [conv(3, 8), nn.BatchNorm2d(8), nn.ReLU()]
    a = 8
    for stage, b in enumerate((8, 16, 32)):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            last = nn.BatchNorm2d(b)
            if zero_last:
                nn.init.zeros_(last.weight)
            branch = nn.Sequential(conv(a, b, stride), nn.BatchNorm2d(b), nn.ReLU(inplace=True), conv(b, b), last)
            shortcut = None if a == b else nn.Sequential(nn.Conv2d(a, b, 1, stride, bias=False), nn.BatchNorm2d(b))
            layers.append(Plus(branch, shortcut, relu=True))
            a = b
    return started(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(a, CLASSES)), None)


def vgg(convs: int, *, norm: bool, init: Init | None) -> nn.Module:
    """Plain convolutions with pooling every third."""
    layers: list[nn.Module] = []
    a = 3
    for index in range(convs):
        layers += [conv(a, 16), *([nn.BatchNorm2d(16)] if norm else []), nn.ReLU(inplace=True)]
        layers += [nn.MaxPool2d(2)] if index % 3 == 2 and index < 9 else []
        a = 16
    return started(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, CLASSES)), init)


def residual_mlp(blocks: int, *, norm: bool, init: Init | None = kaiming) -> nn.Module:
    """Two-layer branches on a stream of 64."""
    found = [
        Plus(
            nn.Sequential(
                *([nn.LayerNorm(64)] if norm else []),
                nn.Linear(64, 64, bias=False),
                nn.ReLU(),
                nn.Linear(64, 64, bias=False),
            )
        )
        for _ in range(blocks)
    ]
    return started(nn.Sequential(*found, nn.Linear(64, CLASSES)), init)


class Last(nn.Module):
    """A recurrent layer's output at the last step."""

    def __init__(self, rnn: nn.RNNBase) -> None:
        super().__init__()
        self.rnn = rnn
        self.head = nn.Linear(rnn.hidden_size, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, F) to (N, classes)."""
        return self.head(self.rnn(x)[0][:, -1])  # type: ignore[no-any-return]


def recurrent(rnn: nn.RNNBase, std: float | None = None) -> nn.Module:
    """One of torch's, with weights of ``std``."""
    for weight in rnn.parameters():
        if std is not None and weight.ndim > 1:
            nn.init.normal_(weight, std=std)
    return Last(rnn)


def encoder(layers: int, *, norm_first: bool) -> nn.Module:
    """Torch's transformer, as it comes."""
    layer = [nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, norm_first=norm_first) for _ in range(layers)]
    return nn.Sequential(nn.Linear(8, 32), *layer, nn.Flatten(), nn.Linear(32 * 24, CLASSES))


class Attention(nn.Module):
    """Self-attention of one head."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, F) to the same."""
        q, k, v = self.qkv(x).chunk(3, -1)
        return self.out(F.scaled_dot_product_attention(q, k, v))  # type: ignore[no-any-return]


class Block(nn.Module):
    """GPT-2's: two branches behind layer norms."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), Attention(width)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), nn.Dropout(0.1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, F) to the same."""
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


def gpt(blocks: int, std: float = 0.02) -> nn.Module:
    """Radford et al. 2019: N(0, 0.02²), branches scaled by 1 / √(2 blocks)."""
    net = started(nn.Sequential(nn.Linear(8, 32), *[Block(32) for _ in range(blocks)], nn.LayerNorm(32)), normal(std))
    for name, weight in net.named_parameters():
        if name.endswith(("out.weight", "mlp.2.weight")):
            weight.data /= (2 * blocks) ** 0.5
    return nn.Sequential(net, nn.Flatten(), nn.Linear(32 * 24, CLASSES))


class Dense(nn.Module):
    """Huang et al. 2017: every layer sees all before it."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(3 + 8 * i), nn.ReLU(), conv(3 + 8 * i, 8)) for i in range(10)
        )
        self.head = nn.Linear(83, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) to (N, classes)."""
        for layer in self.layers:
            x = torch.cat((x, layer(x)), 1)
        return self.head(x.mean((2, 3)))  # type: ignore[no-any-return]


class UNet(nn.Module):
    """Down, up, and across."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList([conv(3, 8), conv(8, 16), conv(16, 32), conv(32, 64)])
        self.up = nn.ModuleList([conv(64 + 32, 32), conv(32 + 16, 16), conv(16 + 8, 8)])
        self.head = nn.Linear(8, CLASSES)
        started(self, kaiming)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) to (N, classes)."""
        kept = []
        for index, layer in enumerate(self.down):
            x = torch.relu(layer(F.max_pool2d(x, 2) if index else x))
            kept.append(x)
        for layer, across in zip(self.up, kept[-2::-1], strict=True):
            x = torch.relu(layer(torch.cat((F.interpolate(x, scale_factor=2.0), across), 1)))
        return self.head(x.mean((2, 3)))  # type: ignore[no-any-return]


def zero_head(net: nn.Module) -> nn.Module:
    """The last layer starts at zero."""
    last = [m for m in net.modules() if isinstance(m, nn.Linear)][-1]
    nn.init.zeros_(last.weight)
    return net


def scaled_identity(gain: float) -> nn.Module:
    """Twenty linear layers."""
    return started(nn.Sequential(*[nn.Linear(64, 64) for _ in range(20)], nn.Linear(64, CLASSES)), lambda w: (
        nn.init.eye_(w).mul_(gain)
    ))  # fmt: skip


ROWS, IMAGES, SEQUENCES = (64,), (3, 16, 16), (24, 8)
"""Shapes of one sample, standard normal."""

HEALTHY: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    **{f"relu {d} x 128, He": (lambda d=d: mlp(d, 128, nn.ReLU, kaiming), ROWS) for d in (4, 10, 20, 30)},  # type: ignore[misc]
    **{f"relu {d} x 64, torch's": (lambda d=d: mlp(d, 64, nn.ReLU, None), ROWS) for d in (2, 3, 4)},  # type: ignore[misc]
    "relu 10 x 256, orthogonal": (lambda: mlp(10, 256, nn.ReLU, lambda w: nn.init.orthogonal_(w, 2**0.5)), ROWS),
    "relu 6 x 64, Xavier": (lambda: mlp(6, 64, nn.ReLU, nn.init.xavier_normal_), ROWS),
    **{f"tanh {d} x 64, Xavier": (lambda d=d: mlp(d, 64, nn.Tanh, nn.init.xavier_normal_), ROWS) for d in (4, 10, 20)},  # type: ignore[misc]
    "tanh 10 x 64, Xavier 5/3": (lambda: mlp(10, 64, nn.Tanh, lambda w: nn.init.xavier_uniform_(w, 5 / 3)), ROWS),
    "tanh 4 x 64, torch's": (lambda: mlp(4, 64, nn.Tanh, None), ROWS),
    "sigmoid 1 x 64, torch's": (lambda: mlp(1, 64, nn.Sigmoid, None), ROWS),
    "selu 20 x 128, LeCun": (lambda: mlp(20, 128, nn.SELU, lecun), ROWS),
    "gelu 8 x 128, He": (lambda: mlp(8, 128, nn.GELU, kaiming), ROWS),
    "linear 20 x 64, orthogonal": (lambda: mlp(20, 64, nn.Identity, nn.init.orthogonal_), ROWS),
    "autoencoder, He": (autoencoder, ROWS),
    "relu 4 x 128, He, zero head": (lambda: zero_head(mlp(4, 128, nn.ReLU, kaiming)), ROWS),
    "resnet 9 blocks": (lambda: resnet(3), IMAGES),
    "resnet 24 blocks": (lambda: resnet(8), IMAGES),
    "resnet 48 blocks": (lambda: resnet(16), IMAGES),
    "resnet 9 blocks, zero branches": (lambda: resnet(3, zero_last=True), IMAGES),
    "vgg 10, batch norm": (lambda: vgg(10, norm=True, init=None), IMAGES),
    "vgg 16, batch norm, N(0, 1)": (lambda: vgg(16, norm=True, init=normal(1.0)), IMAGES),
    "vgg 8, He": (lambda: vgg(8, norm=False, init=kaiming), IMAGES),
    "densenet 10": (Dense, IMAGES),
    "unet": (UNet, IMAGES),
    "residual mlp 8": (lambda: residual_mlp(8, norm=False, init=None), ROWS),
    "residual mlp 24, layer norm": (lambda: residual_mlp(24, norm=True), ROWS),
    "transformer 6, post-norm": (lambda: encoder(6, norm_first=False), SEQUENCES),
    "transformer 12, pre-norm": (lambda: encoder(12, norm_first=True), SEQUENCES),
    "gpt 8, N(0, 0.02)": (lambda: gpt(8), SEQUENCES),
    "lstm": (lambda: recurrent(nn.LSTM(8, 64, batch_first=True)), SEQUENCES),
    "gru 3 layers": (lambda: recurrent(nn.GRU(8, 64, 3, batch_first=True)), SEQUENCES),
    "rnn": (lambda: recurrent(nn.RNN(8, 64, batch_first=True)), SEQUENCES),
}

VANISHING, EXPLODING = "vanishing-activations", "exploding-activations"
GRADIENT_VANISHES, GRADIENT_EXPLODES = "vanishing-gradients-at-init", "exploding-gradients-at-init"

FADES, GROWS = frozenset({VANISHING, GRADIENT_VANISHES}), frozenset({EXPLODING, GRADIENT_EXPLODES})

BROKEN: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], frozenset[str]]] = {
    "relu 5 x 64, N(0, 1)": (lambda: mlp(5, 64, nn.ReLU, normal(1.0)), ROWS, GROWS),
    "relu 5 x 64, N(0, 0.01)": (lambda: mlp(5, 64, nn.ReLU, normal(0.01)), ROWS, FADES),
    "relu 20 x 64, torch's": (lambda: mlp(20, 64, nn.ReLU, None), ROWS, FADES),
    "relu 20 x 64, He x 1.5": (lambda: mlp(20, 64, nn.ReLU, he_times(1.5)), ROWS, GROWS),
    "relu 6 x 64, U(0, 1)": (lambda: mlp(6, 64, nn.ReLU, nn.init.uniform_), ROWS, GROWS),
    "relu 4 x 64, bias -20": (
        lambda: mlp(4, 64, nn.ReLU, kaiming, -20.0), ROWS, FADES
    ),
    "tanh 12 x 64, N(0, 0.02)": (lambda: mlp(12, 64, nn.Tanh, normal(0.02)), ROWS, FADES),
    "tanh 10 x 64, N(0, 1)": (lambda: mlp(10, 64, nn.Tanh, normal(1.0)), ROWS, frozenset({GRADIENT_EXPLODES})),
    "tanh 2 x 64, N(0, 3)": (lambda: mlp(2, 64, nn.Tanh, normal(3.0)), ROWS, frozenset({GRADIENT_VANISHES})),
    "sigmoid 8 x 64, torch's": (lambda: mlp(8, 64, nn.Sigmoid, None), ROWS, FADES),
    "sigmoid 20 x 16, N(0, 1)": (lambda: mlp(20, 16, nn.Sigmoid, normal(1.0)), ROWS, FADES),
    "identity x 0.5, 20": (lambda: scaled_identity(0.5), ROWS, FADES),
    "identity x 1.5, 20": (lambda: scaled_identity(1.5), ROWS, GROWS),
    "vgg 12, N(0, 0.01)": (lambda: vgg(12, norm=False, init=normal(0.01)), IMAGES, FADES),
    "vgg 8, N(0, 1)": (lambda: vgg(8, norm=False, init=normal(1.0)), IMAGES, GROWS),
    "residual mlp 30, He": (lambda: residual_mlp(30, norm=False), ROWS, GROWS),
    "rnn, N(0, 1)": (
        lambda: recurrent(nn.RNN(8, 64, batch_first=True, nonlinearity="relu"), 1.0),
        SEQUENCES,
        GROWS,
    ),
    "lstm, N(0, 3)": (lambda: recurrent(nn.LSTM(8, 64, batch_first=True), 3.0), SEQUENCES, frozenset({GRADIENT_VANISHES})),
    "relu 4 x 64, zeros": (lambda: mlp(4, 64, nn.ReLU, nn.init.zeros_), ROWS, frozenset({VANISHING})),
}  # fmt: skip
"""With the findings to expect: at least one of them."""
