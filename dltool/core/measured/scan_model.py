"""What a scan measured with torch: samples of a dataset as a loader gets them, and data against the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from dltool.core.finding import Phase
from dltool.core.measurements import Section


@dataclass(frozen=True, kw_only=True)
class OddSamples:
    """Samples one part of which has another shape or type than nine in ten of the others.

    Attributes:
        path, file: the dataset, and the file that it is made in.
        part: of a sample ("input", "target.boxes").
        value, usual: what they have, and what most have ("float32 (3, 32, 32)").
        rows: their places in the dataset, the first 1,000 of ``count``.
        refusal: what putting one of them into a batch with another raised; None where that went well, or was not tried
            because it is not known how batches are made.
        tried: whether it is known how batches are made.
    """

    path: str
    file: str
    part: str
    value: str
    usual: str
    rows: tuple[int, ...]
    count: int
    refusal: str | None = None
    tried: bool = False


@dataclass(frozen=True, kw_only=True)
class SampleShapes(Section):
    """Parts of samples that have one shape nearly everywhere, and the samples that differ."""

    key: ClassVar[str] = "sample_shapes"

    parts: int
    odd: tuple[OddSamples, ...]


@dataclass(frozen=True, kw_only=True)
class Misfit:
    """Why the model cannot take a batch.

    ``got`` is what reached ``module`` (a dotted path, "" for the model itself), ``wants`` what such a module takes. ``key``,
    ``file`` and ``line`` say where it was written, as far as that is known.
    """

    error: str
    got: str
    module: str | None = None
    kind: str | None = None
    wants: str | None = None
    hint: str | None = None
    key: str | None = None
    file: str | None = None
    line: int | None = None


@dataclass(frozen=True, kw_only=True)
class ModelFit(Section):
    """The model on a batch of the data. ``head`` is the module that makes the scores, ``outputs`` how many there are."""

    key: ClassVar[str] = "model_fit"

    head: str | None = None
    outputs: int | None = None
    misfits: tuple[Misfit, ...] = ()
    reason_not_tried: str | None = None


@dataclass(frozen=True, kw_only=True)
class ProbedSample:
    """A sample, or rows of a file, for which a model or its loss gave a value that is not finite.

    ``op`` is the operator at which it was born, in ``module`` of the model (None where that is not known).
    """

    path: str
    file: str
    rows: tuple[int, ...]
    phase: Phase
    value: Literal["nan", "inf"]
    op: str | None = None
    module: str | None = None
    code: str | None = None


@dataclass(frozen=True, kw_only=True)
class Probed(Section):
    """Every sample once through a model and a loss.

    ``model`` says which. ``told_already`` bad samples hold NaN or Inf themselves, which other findings tell;
    ``not_probed`` could not be passed (damaged, of another shape); ``reason_not_probed`` says why, or why none was.
    """

    key: ClassVar[str] = "probe"

    model: str
    samples: int
    bad: tuple[ProbedSample, ...] = ()
    told_already: int = 0
    not_probed: int = 0
    reason_not_probed: str | None = None
