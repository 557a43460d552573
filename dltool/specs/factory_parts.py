"""What a factory gave, turned into the parts of an experiment; what it left open is assumed, and said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import lr_scheduler

from dltool.core.errors import Problem, TargetError, closest
from dltool.specs.build.criterion import SpecTerm, SumCriterion, UserTerm
from dltool.specs.build.optimizers import default_optimizer
from dltool.specs.schema import losses as schema
from dltool.training.experiment import Nested, Schedule
from dltool.training.failure import explain

PLAIN_FUNCTIONS: Mapping[Any, schema.Loss] = {
    F.cross_entropy: schema.CrossEntropy(),
    F.nll_loss: schema.Nll(),
    F.mse_loss: schema.Mse(),
    F.l1_loss: schema.L1(),
    F.smooth_l1_loss: schema.SmoothL1(),
    F.huber_loss: schema.Huber(),
    F.binary_cross_entropy: schema.Bce(),
    F.binary_cross_entropy_with_logits: schema.BceWithLogits(),
}
MODULES: Mapping[type[nn.Module], Any] = {
    nn.CrossEntropyLoss: (schema.CrossEntropy, "ignore_index", "label_smoothing"),
    nn.NLLLoss: (schema.Nll, "ignore_index"),
    nn.SmoothL1Loss: (schema.SmoothL1, "beta"),
    nn.HuberLoss: (schema.Huber, "delta"),
    nn.MSELoss: (schema.Mse,),
    nn.L1Loss: (schema.L1,),
    nn.BCELoss: (schema.Bce,),
    nn.BCEWithLogitsLoss: (schema.BceWithLogits,),
}
"""The spec's loss of each of torch's, and the arguments that they share."""
SCHEDULER_KEYS = ("scheduler", "interval")
SCHEDULER_FORM = '{"scheduler": ..., "interval": "step"}'
SAME_SHAPE = frozenset({"mse", "l1", "smooth_l1", "huber", "bce", "bce_with_logits"})


class TorchTerm(UserTerm):
    """One of torch's own losses: its value is the user's call, but it can be told by sample too."""

    def __init__(self, function: Callable[[Nested, Nested], Tensor], known: SpecTerm) -> None:
        super().__init__(function)
        self.kind = known.kind
        self._known = known

    def per_sample(self, output: Nested, target: Nested) -> Tensor | None:
        """Shape (N,); None where torch would broadcast."""
        if self.kind in SAME_SHAPE and output.shape != target.shape:
            return None
        return self._known.per_sample(output, target)

    def count(self, target: Nested) -> float | None:
        """What its mean divides by."""
        return self._known.count(target)


def factory_criterion(loss: Any) -> SumCriterion:
    """A callable, or named callables added up.

    Raises:
        TargetError: it is neither.
    """
    if isinstance(loss, Mapping) and loss and not isinstance(loss, nn.Module):
        terms = {str(name): (_term(function), 1.0) for name, function in loss.items()}
        return SumCriterion(" + ".join(terms), terms)
    term = _term(loss)
    name = term.kind if term.kind != UserTerm.kind else getattr(loss, "__name__", type(loss).__name__)
    return SumCriterion(name, {name: (term, 1.0)})


def _term(function: Any) -> UserTerm:
    if not callable(function):
        raise TargetError(
            Problem(message="`loss` cannot be called", value=type(function).__name__, expected="(output, target) -> scalar")
        )
    if isinstance(function, type) and issubclass(function, nn.Module):
        name = function.__name__
        raise TargetError(Problem(message="`loss` is a class, not a loss made from it", value=name, expected=f"{name}()"))
    known = _known(function)
    return UserTerm(function) if known is None else TorchTerm(function, SpecTerm(known))


def _known(function: Any) -> schema.Loss | None:
    """The loss of the spec that this one of torch's is, where its arguments have one too."""
    if getattr(function, "reduction", "mean") not in {"mean", "sum"}:
        return None
    kind = type(function)
    if not isinstance(function, nn.Module):
        return PLAIN_FUNCTIONS.get(function) if getattr(function, "__hash__", None) else None
    given: dict[str, Any] = {"reduction": getattr(function, "reduction", "mean")}
    weight = getattr(function, "weight", None)
    if isinstance(weight, Tensor) and not bool(weight.isfinite().all()):  # a fault of its own, which no spec may have
        return None
    if isinstance(weight, Tensor) and kind in {nn.CrossEntropyLoss, nn.NLLLoss}:
        given["weight"] = tuple(weight.tolist())
    elif weight is not None or getattr(function, "pos_weight", None) is not None:
        return None
    if kind not in MODULES:
        return None
    spec, *names = MODULES[kind]
    return spec(**given, **{name: getattr(function, name) for name in names})  # type: ignore[no-any-return]


def factory_optimizer(given: Any, parameters: list[nn.Parameter]) -> torch.optim.Optimizer | None:
    """The optimizer; None where nothing is trainable.

    Raises:
        TargetError: no optimizer, or a callable that raises or returns something else.
    """
    if isinstance(given, torch.optim.Optimizer):
        return given
    if not parameters:
        return None
    if given is None:
        return default_optimizer(parameters)
    made = _called(given, parameters, "optimizer")
    if not isinstance(made, torch.optim.Optimizer):
        raise TargetError(
            Problem(
                message="`optimizer` is no optimizer",
                value=type(made).__name__,
                expected="a torch.optim.Optimizer, or a callable that makes one from the parameters",
            )
        )
    return made


def factory_schedule(given: Any, optimizer: torch.optim.Optimizer | None) -> Schedule | None:
    """The schedule, stepped when the factory says; else as torch's documentation has it.

    That is after every step for OneCycleLR and CyclicLR, and once an epoch for all others.

    Raises:
        TargetError: no scheduler, one of another optimizer, or one that cannot be stepped when the factory says.
    """
    interval = None
    if isinstance(given, Mapping):
        interval, given = _interval(given), given["scheduler"]
    if given is None or optimizer is None:
        return None
    scheduler = given if hasattr(given, "step") and not isinstance(given, type) else _called(given, optimizer, "scheduler")
    if not hasattr(scheduler, "step") or not hasattr(scheduler, "state_dict"):
        raise TargetError(
            Problem(message="`scheduler` is none", value=type(scheduler).__name__, expected="a scheduler of torch's")
        )
    if getattr(scheduler, "optimizer", optimizer) is not optimizer:
        raise TargetError(
            Problem(
                message="`scheduler` moves the rate of another optimizer than the one that is stepped",
                value=type(scheduler).__name__,
                expected="the same optimizer in `optimizer`, or a callable that makes the scheduler from it",
            )
        )
    plateau = isinstance(scheduler, lr_scheduler.ReduceLROnPlateau)
    if plateau and interval == "step":
        raise TargetError(
            Problem(
                message="ReduceLROnPlateau waits for the loss of an epoch, and cannot be stepped after every step",
                key="scheduler.interval",
                value="step",
                expected="epoch",
            )
        )
    per_step = isinstance(scheduler, lr_scheduler.OneCycleLR | lr_scheduler.CyclicLR)
    unit = interval or ("step" if per_step else "epoch")
    return Schedule(name=type(scheduler).__name__, scheduler=scheduler, unit=unit, needs_metric=plateau)


def _interval(given: Mapping[Any, Any]) -> Literal["step", "epoch"] | None:
    """What a mapping says of when to step; its form is that of Lightning's."""
    problems = [
        Problem(message="`scheduler` has an unknown key", value=repr(key), suggestion=closest(str(key), SCHEDULER_KEYS))
        for key in given
        if key not in SCHEDULER_KEYS
    ]
    if "scheduler" not in given:
        problems.append(Problem(message="`scheduler` is a mapping without a scheduler", expected=SCHEDULER_FORM))
    interval = given.get("interval")
    if interval not in (None, "step", "epoch"):
        key = "scheduler.interval"
        problems.append(Problem(message="no such interval", key=key, value=repr(interval), expected="step or epoch"))
    if problems:
        raise TargetError(*problems)
    return interval


def says_when(given: Any) -> bool:
    """Whether the factory itself says when its scheduler is to be stepped."""
    return isinstance(given, Mapping) and given.get("interval") is not None


def stepped_when(schedule: Schedule) -> str:
    """What was assumed of a scheduler alone."""
    other = "; return " + SCHEDULER_FORM + " to step it after every step"
    return f"{schedule.name} is stepped after every {schedule.unit}{'' if schedule.unit == 'step' else other}."


def factory_scaler(given: Any) -> Any:
    """The gradient scaler, or None.

    Raises:
        TargetError: it is none.
    """
    if given is not None and not isinstance(given, torch.amp.GradScaler):
        raise TargetError(
            Problem(message="`scaler` is no gradient scaler", value=type(given).__name__, expected="a torch.amp.GradScaler")
        )
    return given


def _called(given: Any, argument: Any, what: str) -> Any:
    if not callable(given):
        raise TargetError(Problem(message=f"`{what}` cannot be used", value=type(given).__name__))
    try:
        return given(argument)
    except Exception as error:
        raise explain(error, f"calling `{what}`") from error
