"""Every activation of ``torch.nn``. Softmax and its kin take the last dimension where torch would warn and guess."""

from typing import ClassVar, Literal

from dltool.specs.schema.layer_base import Layer
from dltool.specs.schema.types import Count, Flag, Integer, NonNegative, Number, Positive


class Activation(Layer):
    """Base of every activation."""


class Relu(Activation):
    """max(0, x)."""

    kind: ClassVar[str] = "relu"


class LeakyRelu(Activation):
    """x where positive, ``negative_slope`` · x elsewhere."""

    kind: ClassVar[str] = "leaky_relu"
    first: ClassVar[str | None] = "negative_slope"
    negative_slope: Number = 0.01


class Rrelu(Activation):
    """A leaky ReLU whose slope is drawn from U(lower, upper) while training."""

    kind: ClassVar[str] = "rrelu"
    first: ClassVar[str | None] = "lower"
    lower: Number = 1 / 8
    upper: Number = 1 / 3


class Relu6(Activation):
    """min(max(0, x), 6)."""

    kind: ClassVar[str] = "relu6"


class Elu(Activation):
    """x where positive, alpha · (eˣ - 1) elsewhere."""

    kind: ClassVar[str] = "elu"
    first: ClassVar[str | None] = "alpha"
    alpha: Number = 1.0


class Celu(Activation):
    """max(0, x) + min(0, alpha · (e^(x / alpha) - 1))."""

    kind: ClassVar[str] = "celu"
    first: ClassVar[str | None] = "alpha"
    alpha: Positive = 1.0


class Selu(Activation):
    """Self-normalising ELU (Klambauer et al. 2017); start it with lecun_normal."""

    kind: ClassVar[str] = "selu"


class Gelu(Activation):
    """x · Φ(x), exact or by tanh."""

    kind: ClassVar[str] = "gelu"
    first: ClassVar[str | None] = "approximate"
    approximate: Literal["none", "tanh"] = "none"


class Silu(Activation):
    """x · sigmoid(x), also known as swish."""

    kind: ClassVar[str] = "silu"


class Mish(Activation):
    """x · tanh(softplus(x))."""

    kind: ClassVar[str] = "mish"


class Softplus(Activation):
    """log(1 + e^(beta · x)) / beta, linear above ``threshold``."""

    kind: ClassVar[str] = "softplus"
    first: ClassVar[str | None] = "beta"
    beta: Positive = 1.0
    threshold: Number = 20.0


class Softsign(Activation):
    """x / (1 + |x|)."""

    kind: ClassVar[str] = "softsign"


class Sigmoid(Activation):
    """1 / (1 + e⁻ˣ)."""

    kind: ClassVar[str] = "sigmoid"


class LogSigmoid(Activation):
    """log(sigmoid(x))."""

    kind: ClassVar[str] = "log_sigmoid"
    aliases: ClassVar[tuple[str, ...]] = ("logsigmoid",)


class Hardsigmoid(Activation):
    """A sigmoid of three straight pieces."""

    kind: ClassVar[str] = "hardsigmoid"


class Tanh(Activation):
    """Hyperbolic tangent."""

    kind: ClassVar[str] = "tanh"


class Tanhshrink(Activation):
    """x - tanh(x)."""

    kind: ClassVar[str] = "tanhshrink"


class Hardtanh(Activation):
    """x cut off at ``min_val`` and ``max_val``."""

    kind: ClassVar[str] = "hardtanh"
    first: ClassVar[str | None] = "min_val"
    min_val: Number = -1.0
    max_val: Number = 1.0


class Hardswish(Activation):
    """x · hardsigmoid(x)."""

    kind: ClassVar[str] = "hardswish"


class Softshrink(Activation):
    """x drawn towards 0 by ``lambd``; 0 within it."""

    kind: ClassVar[str] = "softshrink"
    first: ClassVar[str | None] = "lambd"
    lambd: NonNegative = 0.5


class Hardshrink(Activation):
    """x, but 0 within ± ``lambd``."""

    kind: ClassVar[str] = "hardshrink"
    first: ClassVar[str | None] = "lambd"
    lambd: Number = 0.5


class Threshold(Activation):
    """x where above ``threshold``, ``value`` elsewhere."""

    kind: ClassVar[str] = "threshold"
    first: ClassVar[str | None] = "threshold"
    threshold: Number
    value: Number


class Glu(Activation):
    """Halves ``dim``: first half · sigmoid(second half)."""

    kind: ClassVar[str] = "glu"
    first: ClassVar[str | None] = "dim"
    dim: Integer = -1


class Softmax(Activation):
    """Shares that sum to 1 along ``dim``."""

    kind: ClassVar[str] = "softmax"
    first: ClassVar[str | None] = "dim"
    dim: Integer = -1


class Softmin(Activation):
    """softmax(-x) along ``dim``."""

    kind: ClassVar[str] = "softmin"
    first: ClassVar[str | None] = "dim"
    dim: Integer = -1


class LogSoftmax(Activation):
    """log(softmax(x)) along ``dim``."""

    kind: ClassVar[str] = "log_softmax"
    first: ClassVar[str | None] = "dim"
    dim: Integer = -1


class Softmax2d(Activation):
    """Softmax over the channels of (N, C, H, W)."""

    kind: ClassVar[str] = "softmax2d"


class Prelu(Activation):
    """A leaky ReLU that learns its slope; ``init`` is the slope that it starts from."""

    kind: ClassVar[str] = "prelu"
    first: ClassVar[str | None] = "num_parameters"
    num_parameters: Count = 1
    init: Number = 0.25
    l2: NonNegative | None = None
    frozen: Flag = False


ACTIVATIONS: tuple[type[Activation], ...] = (
    Relu, LeakyRelu, Prelu, Rrelu, Relu6, Elu, Celu, Selu, Gelu, Silu, Mish, Softplus, Softsign, Sigmoid, LogSigmoid,
    Hardsigmoid, Tanh, Tanhshrink, Hardtanh, Hardswish, Softshrink, Hardshrink, Threshold, Glu, Softmax, Softmin,
    LogSoftmax, Softmax2d,
)  # fmt: skip
