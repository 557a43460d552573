"""How long and how to step, what is penalised, how closely it is watched, and what the rules are told."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from dltool.specs.schema.base import Short, SpecModel
from dltool.specs.schema.types import Count, Name, NonNegative, Number, Positive


class Regularize(SpecModel):
    """Penalties on the weights, and the largest norm of a unit's incoming weights."""

    l1: NonNegative = 0.0
    """Adds l1 · ‖w‖₁ to the loss."""
    l2: NonNegative = 0.0
    """Adds l2 / 2 · ‖w‖² to the loss, so that its gradient is that of weight_decay."""
    max_norm: Positive | None = None


class EarlyStopping(Short):
    """Stop after ``patience`` epochs in which ``monitor`` did not improve by more than ``min_delta``."""

    first: ClassVar[str | None] = "patience"
    patience: Count
    monitor: Name = "val_loss"
    """val_loss, train_loss, or val_ or train_ and a metric's name."""
    min_delta: NonNegative = 0.0


class Train(SpecModel):
    """The training loop."""

    epochs: Count = 20
    clip_norm: Positive | None = None
    """The gradient as a whole is scaled down to this L2 norm."""
    clip_value: Positive | None = None
    """Each entry of the gradient is cut off at plus or minus this."""
    early_stopping: EarlyStopping | None = None
    precision: Literal["fp32", "bf16", "fp64"] = "fp32"
    accumulate: Count = 1
    """Batches whose gradients are added up for one optimizer step."""


class Watch(SpecModel):
    """How closely the run is watched."""

    overhead: Annotated[float, Field(strict=True, gt=0, le=1, allow_inf_nan=False)] = 0.05
    """The share of the training time that looking may cost."""
    every: Count | None = None
    """Look at every n-th step instead of what the overhead allows."""


class Rules(SpecModel):
    """What the rules are told."""

    ignore: dict[Name, Name] = Field(default_factory=dict)
    """Rules that do not apply here, each with the reason."""
    thresholds: dict[Name, Number] = Field(default_factory=dict)
    """Limits of your own: ``dead-relu.fraction: 0.4``."""
    allow_nonfinite: tuple[Name, ...] = ()
    """Modules, parameters or buffers (shell-style patterns) that may hold NaN or Inf, such as a mask of -inf."""

    @model_validator(mode="before")
    @classmethod
    def _flatten_thresholds(cls, form: Any) -> Any:
        """``{dead-relu: {fraction: 0.4}}`` is the same as ``{dead-relu.fraction: 0.4}``, so that overrides reach it."""
        if not isinstance(form, Mapping) or not isinstance(form.get("thresholds"), Mapping):
            return form
        flat: dict[Any, Any] = {}
        for name, limit in form["thresholds"].items():
            flat |= (
                {f"{name}.{inner}": value for inner, value in limit.items()} if isinstance(limit, Mapping) else {name: limit}
            )
        return {**form, "thresholds": flat}
