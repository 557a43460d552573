"""A whole spec."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from dltool.specs.schema.base import SpecModel
from dltool.specs.schema.data import Data
from dltool.specs.schema.losses import AnyLoss
from dltool.specs.schema.metrics import AnyMetric
from dltool.specs.schema.model import Model
from dltool.specs.schema.optimizers import AnyOptimizer
from dltool.specs.schema.schedules import AnySchedule
from dltool.specs.schema.train import Regularize, Rules, Train, Watch
from dltool.specs.schema.types import FilePath


class Spec(SpecModel):
    """What to train, on what, and how. An absent loss or optimizer is chosen from the data, and the report says so.

    ``vars`` and ``extends`` are used up while a file is loaded, so that they are empty in a loaded spec.
    """

    version: Literal[1] = 1
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**63)] = 0
    vars: dict[str, Any] = Field(default_factory=dict)
    """Values for ``${vars.name}``."""
    extends: FilePath | tuple[FilePath, ...] | None = None
    """Specs that this one starts from: mappings are merged key by key, lists and values replaced."""
    data: Data
    model: Model
    loss: AnyLoss | None = None
    metrics: tuple[AnyMetric, ...] = ()
    optimizer: AnyOptimizer | None = None
    schedule: AnySchedule | None = None
    regularize: Regularize = Regularize.model_construct()  # calling a model would build its validator at every start
    train: Train = Train.model_construct()
    watch: Watch = Watch.model_construct()
    rules: Rules = Rules.model_construct()

    @model_validator(mode="before")
    @classmethod
    def _empty_section_is_none(cls, form: Any) -> Any:
        """A section whose lines are all comments (``train:``) is as good as none."""
        if not isinstance(form, Mapping):
            return form
        sections = ("vars", "metrics", "regularize", "train", "watch", "rules")
        return {key: value for key, value in form.items() if value is not None or key not in sections}
