"""The ``data`` part of a spec: a source that is split, or one source each for training and validation."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from dltool.specs.schema.augmentations import AnyAugmentation
from dltool.specs.schema.base import Family, Short, SpecModel
from dltool.specs.schema.sources import SOURCE, AnySource
from dltool.specs.schema.types import Count, FilePath, Flag, Name, Number, Whole

Normalize = Literal["none", "standard", "minmax"]


class Split(Short):
    """What is held out: a share of the samples (below 1) or a number of them."""

    first: ClassVar[str | None] = "val"
    val: Annotated[float, Field(strict=True, gt=0, lt=1, allow_inf_nan=False)] | Count
    stratify: Flag | None = None
    """Every class in the same share on both sides; absent: for classification."""
    seed: Whole | None = None
    """The spec's own seed when absent."""


class Pad(Short):
    """Sequences of unequal length are filled up with ``value``: to the longest of the batch, or to ``length``."""

    first: ClassVar[str | None] = "value"
    value: Number = 0.0
    length: Count | None = None

    @model_validator(mode="before")
    @classmethod
    def _true_is_zeros(cls, form: Any) -> Any:
        return {} if form is True else form


class Data(SpecModel):
    """What is learnt from, and how it is delivered."""

    inlined: ClassVar[tuple[str, Family] | None] = ("source", SOURCE)
    source: AnySource | None = None
    """In a spec the source's own name stands here: ``csv: {path: iris.csv, target: species}``."""
    split: Split | None = None
    train: AnySource | None = None
    val: AnySource | None = None
    task: Literal["classification", "regression"] | None = None
    """What the targets are; absent: classification for words and whole numbers, regression for other numbers."""
    shuffle: Flag = True
    exclude: FilePath | None = None
    """A .jsonl file whose lines name the samples to leave out: {"path": ...} or {"row": ...}; or a manifest of a scan."""
    limit: Count | None = None
    """Only so many samples, drawn from the seed before the split."""
    classes: tuple[Whole | Name, ...] | None = Field(default=None, min_length=2)
    """Only samples of these classes, which are numbered from 0 in this order."""
    one_hot: Flag = False
    pad: Pad | None = None
    batch_size: Count | Literal["full"] = 32
    normalize: Normalize = "none"
    normalize_target: Normalize = "none"
    augment: tuple[AnyAugmentation, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _take_source_out(cls, form: Any) -> Any:
        """``csv: {...}`` among the other keys becomes ``source: {csv: {...}}``."""
        if not isinstance(form, Mapping) or "source" in form:
            return form
        rest = {key: value for key, value in form.items() if key not in SOURCE.members}
        named = {key: value for key, value in form.items() if key in SOURCE.members}
        if named:
            rest["source"] = named
        if rest.get("pad") is False:
            rest["pad"] = None
        return rest

    @model_validator(mode="after")
    def _one_way_of_giving_data(self) -> Self:
        if self.source is None and self.train is None:
            raise PydanticCustomError("no_source", "a data source is missing")
        if self.source is not None and (self.train is not None or self.val is not None):
            raise PydanticCustomError("two_ways", "give one source (and split it), or train and val, not both")
        if self.train is not None and self.split is not None:
            raise PydanticCustomError("nothing_to_split", "split cuts a single source; train and val are split already")
        if self.classes is not None and len(set(self.classes)) < len(self.classes):
            raise PydanticCustomError("class_named_twice", "classes names a class twice")
        return self
