"""Numbers for people, beside the loss."""

from typing import Annotated, ClassVar

from dltool.specs.schema.base import Family, Named
from dltool.specs.schema.types import Count


class Metric(Named):
    """Base of every metric."""


class Accuracy(Metric):
    """Share of samples whose class is right (for one output: the right side of the boundary)."""

    kind: ClassVar[str] = "accuracy"


class TopK(Metric):
    """Share of samples whose class is among the ``k`` highest outputs."""

    kind: ClassVar[str] = "top_k"
    first: ClassVar[str | None] = "k"
    k: Count = 5


class MseMetric(Metric):
    """Mean squared error."""

    kind: ClassVar[str] = "mse"


class MaeMetric(Metric):
    """Mean absolute error."""

    kind: ClassVar[str] = "mae"


class R2(Metric):
    """Share of the targets' variance that is explained: 1 is perfect, 0 no better than their mean."""

    kind: ClassVar[str] = "r2"


METRICS: tuple[type[Metric], ...] = (Accuracy, TopK, MseMetric, MaeMetric, R2)

METRIC = Family("a metric", lambda: METRICS)
AnyMetric = Annotated[Metric, METRIC]
