"""Every loss of ``torch.nn`` with its arguments, and three that it lacks: hinge, log_cosh, and sums of named terms."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from dltool.specs.schema.base import TARGET_KEY, Family, Named, SpecModel, Target
from dltool.specs.schema.types import Flag, Integer, Name, NonNegative, Number, Positive, Whole

Weights = tuple[NonNegative, ...]
"""One weight for each class."""


class Loss(Named):
    """Base of every loss. ``reduction: none`` is left out: what is trained on is one number."""

    reduction: Literal["mean", "sum"] = "mean"


class CrossEntropy(Loss):
    """Class indices (or class probabilities) against logits, or against probabilities with ``from_logits: false``."""

    kind: ClassVar[str] = "cross_entropy"
    weight: Weights | None = None
    ignore_index: Integer = -100
    label_smoothing: Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)] = 0.0
    from_logits: Flag = True


class Nll(Loss):
    """Class indices against log-probabilities (a model that ends in log_softmax)."""

    kind: ClassVar[str] = "nll"
    weight: Weights | None = None
    ignore_index: Integer = -100


class Bce(Loss):
    """0/1 targets against probabilities (a model that ends in sigmoid); with ``from_logits: true``, against logits."""

    kind: ClassVar[str] = "bce"
    weight: Weights | None = None
    from_logits: Flag = False


class BceWithLogits(Loss):
    """0/1 targets against logits; ``pos_weight`` weighs the ones, output by output."""

    kind: ClassVar[str] = "bce_with_logits"
    weight: Weights | None = None
    pos_weight: Weights | None = None


class Mse(Loss):
    """(y - ŷ)²."""

    kind: ClassVar[str] = "mse"


class L1(Loss):
    """|y - ŷ|."""

    kind: ClassVar[str] = "l1"


class SmoothL1(Loss):
    """Squared below ``beta``, absolute above, divided by ``beta``."""

    kind: ClassVar[str] = "smooth_l1"
    first: ClassVar[str | None] = "beta"
    beta: NonNegative = 1.0


class Huber(Loss):
    """Squared below ``delta``, absolute above."""

    kind: ClassVar[str] = "huber"
    first: ClassVar[str | None] = "delta"
    delta: Positive = 1.0


class LogCosh(Loss):
    """log(cosh(y - ŷ)): squared near 0, absolute far away."""

    kind: ClassVar[str] = "log_cosh"


class PoissonNll(Loss):
    """Counts against the (log of the) rate."""

    kind: ClassVar[str] = "poisson_nll"
    aliases: ClassVar[tuple[str, ...]] = ("poisson",)
    log_input: Flag = True
    full: Flag = False
    eps: Positive = 1e-8


class GaussianNll(Loss):
    """Targets against a mean and a variance: the output holds both, halved along its last dimension."""

    kind: ClassVar[str] = "gaussian_nll"
    full: Flag = False
    eps: Positive = 1e-6


class KlDiv(Loss):
    """Target probabilities against log-probabilities."""

    kind: ClassVar[str] = "kl_div"
    log_target: Flag = False


class Hinge(Loss):
    """The multi-class SVM head (Weston & Watkins): Σ over wrong classes of max(0, margin + s_wrong - s_right).

    ``squared`` squares each term (an L2-SVM).
    """

    kind: ClassVar[str] = "hinge"
    first: ClassVar[str | None] = "margin"
    margin: Positive = 1.0
    squared: Flag = False


class MultiMargin(Loss):
    """torch's multi-class margin: as hinge, to the power ``p``, divided by the number of classes."""

    kind: ClassVar[str] = "multi_margin"
    p: Literal[1, 2] = 1
    margin: Number = 1.0
    weight: Weights | None = None


class MultilabelMargin(Loss):
    """Hinge for several labels a sample: the target lists class indices, filled up with -1."""

    kind: ClassVar[str] = "multilabel_margin"


class MultilabelSoftMargin(Loss):
    """0/1 targets against logits, averaged over the classes."""

    kind: ClassVar[str] = "multilabel_soft_margin"
    weight: Weights | None = None


class SoftMargin(Loss):
    """Targets 1 and -1: log(1 + e^(-y · ŷ))."""

    kind: ClassVar[str] = "soft_margin"


class HingeEmbedding(Loss):
    """A distance against 1 (alike) or -1 (not)."""

    kind: ClassVar[str] = "hinge_embedding"
    first: ClassVar[str | None] = "margin"
    margin: Number = 1.0


class MarginRanking(Loss):
    """Which of two outputs ranks higher, 1 or -1: the output holds both, halved along its last dimension."""

    kind: ClassVar[str] = "margin_ranking"
    first: ClassVar[str | None] = "margin"
    margin: Number = 0.0


class CosineEmbedding(Loss):
    """The angle of two vectors against 1 (alike) or -1 (not): the output holds both, halved along its last dimension."""

    kind: ClassVar[str] = "cosine_embedding"
    first: ClassVar[str | None] = "margin"
    margin: Annotated[float, Field(strict=True, ge=-1, le=1, allow_inf_nan=False)] = 0.0


class TripletMargin(Loss):
    """Anchor nearer to positive than to negative: the output holds the three, in thirds along its last dimension."""

    kind: ClassVar[str] = "triplet_margin"
    first: ClassVar[str | None] = "margin"
    margin: Positive = 1.0
    p: Positive = 2.0
    eps: Positive = 1e-6
    swap: Flag = False


class Ctc(Loss):
    """Label sequences, filled up with ``blank``, against log-probabilities (N, T, C)."""

    kind: ClassVar[str] = "ctc"
    first: ClassVar[str | None] = "blank"
    blank: Whole = 0
    zero_infinity: Flag = False


PLAIN_LOSSES: tuple[type[Loss], ...] = (
    CrossEntropy, Nll, Bce, BceWithLogits, Mse, L1, SmoothL1, Huber, LogCosh, PoissonNll, GaussianNll, KlDiv, Hinge,
    MultiMargin, MultilabelMargin, MultilabelSoftMargin, SoftMargin, HingeEmbedding, MarginRanking, CosineEmbedding,
    TripletMargin, Ctc,
)  # fmt: skip
TERM_LOSS = Family("a loss", lambda: PLAIN_LOSSES, target=True)
AnyTermLoss = Annotated[Loss | Target, TERM_LOSS]


class Term(SpecModel):
    """One named term: a loss, and its weight in the sum (``{mse: {weight: 0.1}}``)."""

    whole: ClassVar[str | None] = "loss"
    loss: AnyTermLoss
    weight: Number = 1.0

    @model_validator(mode="before")
    @classmethod
    def _take_weight_out(cls, form: Any) -> Any:
        """A single number called weight is the term's; a list is the loss's own, one for each class."""
        if isinstance(form, Term) or (isinstance(form, Mapping) and "loss" in form):
            return form
        if not isinstance(form, Mapping):
            return {"loss": form}
        outer = {"weight": form["weight"]} if "weight" in form else {}
        rest = {key: value for key, value in form.items() if key != "weight"}
        if TARGET_KEY not in rest and len(rest) == 1:
            name, arguments = next(iter(rest.items()))
            if isinstance(arguments, Mapping) and not outer and isinstance(arguments.get("weight"), int | float):
                outer = {"weight": arguments["weight"]}
                rest = {name: {key: value for key, value in arguments.items() if key != "weight"}}
        return {"loss": rest, **outer}


class Terms(Named):
    """Several losses of the same output, added up: ``terms: {main: cross_entropy, aux: {mse: {weight: 0.1}}}``."""

    kind: ClassVar[str] = "terms"
    whole: ClassVar[str | None] = "terms"
    terms: dict[Name, Term] = Field(min_length=1)


LOSS = Family("a loss", lambda: (*PLAIN_LOSSES, Terms), target=True)
AnyLoss = Annotated[Loss | Terms | Target, LOSS]
