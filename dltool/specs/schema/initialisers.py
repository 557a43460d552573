"""How weights start. Arguments are those of ``torch.nn.init``."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import model_validator

from dltool.specs.schema.base import Family, Named, SpecModel
from dltool.specs.schema.types import Count, NonNegative, Number, Positive

Nonlinearity = Literal[
    "linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
    "sigmoid", "tanh", "relu", "leaky_relu", "selu",
]  # fmt: skip
FanMode = Literal["fan_in", "fan_out"]


class Initialiser(Named):
    """Base of every initialiser."""


class Normal(Initialiser):
    """N(mean, std²)."""

    kind: ClassVar[str] = "normal"
    first: ClassVar[str | None] = "mean"
    mean: Number = 0.0
    std: NonNegative = 1.0


class TruncatedNormal(Initialiser):
    """N(mean, std²), redrawn until within [a, b] (absolute values, not multiples of std)."""

    kind: ClassVar[str] = "truncated_normal"
    first: ClassVar[str | None] = "mean"
    mean: Number = 0.0
    std: NonNegative = 1.0
    a: Number = -2.0
    b: Number = 2.0


class Uniform(Initialiser):
    """U(a, b)."""

    kind: ClassVar[str] = "uniform"
    first: ClassVar[str | None] = "a"
    a: Number = 0.0
    b: Number = 1.0


class XavierUniform(Initialiser):
    """Glorot & Bengio 2010: variance 2 / (fan_in + fan_out), uniform."""

    kind: ClassVar[str] = "xavier_uniform"
    aliases: ClassVar[tuple[str, ...]] = ("glorot_uniform",)
    first: ClassVar[str | None] = "gain"
    gain: Positive = 1.0


class XavierNormal(Initialiser):
    """Glorot & Bengio 2010: variance 2 / (fan_in + fan_out), normal."""

    kind: ClassVar[str] = "xavier_normal"
    aliases: ClassVar[tuple[str, ...]] = ("glorot_normal",)
    first: ClassVar[str | None] = "gain"
    gain: Positive = 1.0


class KaimingUniform(Initialiser):
    """He et al. 2015: variance gain² / fan, uniform; ``a`` is the negative slope of a leaky ReLU."""

    kind: ClassVar[str] = "kaiming_uniform"
    aliases: ClassVar[tuple[str, ...]] = ("he_uniform",)
    first: ClassVar[str | None] = "a"
    a: Number = 0.0
    mode: FanMode = "fan_in"
    nonlinearity: Nonlinearity = "leaky_relu"


class KaimingNormal(Initialiser):
    """He et al. 2015: variance gain² / fan, normal; ``a`` is the negative slope of a leaky ReLU."""

    kind: ClassVar[str] = "kaiming_normal"
    aliases: ClassVar[tuple[str, ...]] = ("he_normal",)
    first: ClassVar[str | None] = "a"
    a: Number = 0.0
    mode: FanMode = "fan_in"
    nonlinearity: Nonlinearity = "leaky_relu"


class LecunUniform(Initialiser):
    """LeCun et al. 1998: variance 1 / fan_in, uniform."""

    kind: ClassVar[str] = "lecun_uniform"


class LecunNormal(Initialiser):
    """LeCun et al. 1998: variance 1 / fan_in, normal (the start that SELU asks for)."""

    kind: ClassVar[str] = "lecun_normal"


class Orthogonal(Initialiser):
    """Saxe et al. 2014: a random (semi-)orthogonal matrix times ``gain``."""

    kind: ClassVar[str] = "orthogonal"
    first: ClassVar[str | None] = "gain"
    gain: Number = 1.0


class Identity(Initialiser):
    """``gain`` on the diagonal, zero elsewhere: each layer starts by passing on what it gets, ``gain`` times."""

    kind: ClassVar[str] = "identity"
    first: ClassVar[str | None] = "gain"
    gain: Number = 1.0


class Lsuv(Initialiser):
    """Mishkin & Matas 2016: orthogonal, then each layer rescaled on a batch until its output has unit variance."""

    kind: ClassVar[str] = "lsuv"
    tolerance: Positive = 0.1
    max_iterations: Count = 10


class Zeros(Initialiser):
    """All zeros."""

    kind: ClassVar[str] = "zeros"


class Ones(Initialiser):
    """All ones."""

    kind: ClassVar[str] = "ones"


class Constant(Initialiser):
    """All ``val``."""

    kind: ClassVar[str] = "constant"
    first: ClassVar[str | None] = "val"
    val: Number


INITIALISERS: tuple[type[Initialiser], ...] = (
    Normal, TruncatedNormal, Uniform, XavierUniform, XavierNormal, KaimingUniform, KaimingNormal, LecunUniform,
    LecunNormal, Orthogonal, Identity, Lsuv, Zeros, Ones, Constant,
)  # fmt: skip

INITIALISER = Family("an initialiser", lambda: INITIALISERS)
AnyInitialiser = Annotated[Initialiser, INITIALISER]


class LayerInit(SpecModel):
    """A name for the weights, or one each for ``weight`` and ``bias``.

    A named weight initialiser sets biases to zero unless ``bias`` says otherwise; without either, torch's own stands.
    """

    whole: ClassVar[str | None] = "weight"
    weight: AnyInitialiser | None = None
    bias: AnyInitialiser | None = None

    @model_validator(mode="before")
    @classmethod
    def _name_alone_is_for_weights(cls, form: Any) -> Any:
        if isinstance(form, LayerInit) or (isinstance(form, Mapping) and form and form.keys() <= {"weight", "bias"}):
            return form
        return {"weight": form}
