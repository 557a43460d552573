"""Optimizers, with torch's arguments (but for switches of implementation), and a rate that may decay at every step."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from dltool.specs.schema.base import Family, Named, Target
from dltool.specs.schema.types import Count, Flag, NonNegative, Positive, Probability

Betas = tuple[Probability, Probability]


class Optimizer(Named):
    """Base of every optimizer. ``decay``: the rate at step t is lr / (1 + decay · t), as Keras 1 had it."""

    first: ClassVar[str | None] = "lr"
    decay: NonNegative = 0.0


class Sgd(Optimizer):
    """Gradient descent: plain, with momentum, or Nesterov's."""

    kind: ClassVar[str] = "sgd"
    lr: Positive = 1e-3
    momentum: Probability = 0.0
    dampening: NonNegative = 0.0
    weight_decay: NonNegative = 0.0
    nesterov: Flag = False
    maximize: Flag = False

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> Self:
        if self.nesterov and (self.momentum == 0 or self.dampening != 0):
            raise PydanticCustomError("nesterov", "nesterov needs a momentum above 0 and no dampening")
        return self


class Adagrad(Optimizer):
    """Duchi et al. 2011."""

    kind: ClassVar[str] = "adagrad"
    lr: Positive = 1e-2
    lr_decay: NonNegative = 0.0
    weight_decay: NonNegative = 0.0
    initial_accumulator_value: NonNegative = 0.0
    eps: NonNegative = 1e-10
    maximize: Flag = False


class Adadelta(Optimizer):
    """Zeiler 2012."""

    kind: ClassVar[str] = "adadelta"
    lr: Positive = 1.0
    rho: Probability = 0.9
    eps: NonNegative = 1e-6
    weight_decay: NonNegative = 0.0
    maximize: Flag = False


class RmsProp(Optimizer):
    """Hinton 2012."""

    kind: ClassVar[str] = "rmsprop"
    lr: Positive = 1e-2
    alpha: Probability = 0.99
    eps: NonNegative = 1e-8
    weight_decay: NonNegative = 0.0
    momentum: Probability = 0.0
    centered: Flag = False
    maximize: Flag = False


class Adam(Optimizer):
    """Kingma & Ba 2015."""

    kind: ClassVar[str] = "adam"
    lr: Positive = 1e-3
    betas: Betas = (0.9, 0.999)
    eps: NonNegative = 1e-8
    weight_decay: NonNegative = 0.0
    amsgrad: Flag = False
    maximize: Flag = False
    decoupled_weight_decay: Flag = False


class AdamW(Optimizer):
    """Loshchilov & Hutter 2019: Adam with weight decay beside the gradient, not in it."""

    kind: ClassVar[str] = "adamw"
    lr: Positive = 1e-3
    betas: Betas = (0.9, 0.999)
    eps: NonNegative = 1e-8
    weight_decay: NonNegative = 1e-2
    amsgrad: Flag = False
    maximize: Flag = False


class NAdam(Optimizer):
    """Dozat 2016: Adam with Nesterov momentum."""

    kind: ClassVar[str] = "nadam"
    lr: Positive = 2e-3
    betas: Betas = (0.9, 0.999)
    eps: NonNegative = 1e-8
    weight_decay: NonNegative = 0.0
    momentum_decay: NonNegative = 4e-3
    decoupled_weight_decay: Flag = False
    maximize: Flag = False


class Lbfgs(Optimizer):
    """Limited-memory BFGS; wants full batches (``batch_size: full``)."""

    kind: ClassVar[str] = "lbfgs"
    lr: Positive = 1.0
    max_iter: Count = 20
    max_eval: Count | None = None
    tolerance_grad: NonNegative = 1e-7
    tolerance_change: NonNegative = 1e-9
    history_size: Count = 100
    line_search_fn: Literal["strong_wolfe"] | None = None


OPTIMIZERS: tuple[type[Optimizer], ...] = (Sgd, Adagrad, Adadelta, RmsProp, Adam, AdamW, NAdam, Lbfgs)

OPTIMIZER = Family("an optimizer", lambda: OPTIMIZERS, target=True)
AnyOptimizer = Annotated[Optimizer | Target, OPTIMIZER]
