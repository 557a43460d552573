"""Where data comes from: one model for each format. Paths are relative to the file that names them."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from dltool.specs.schema.base import Family, Named
from dltool.specs.schema.generators import AnyGenerator
from dltool.specs.schema.types import Count, FilePath, Flag, Name, Whole

Column = Name | Whole
"""A column by name, or by position from 0 in a file without a header."""
Columns = Column | tuple[Column, ...]


class Source(Named):
    """Base of every source."""


class FileSource(Source):
    """Base of the sources that are one file."""

    first: ClassVar[str | None] = "path"
    path: FilePath


class Csv(FileSource):
    """A table as text; a target column of words is a classification, of whole numbers too (see ``task`` of data)."""

    kind: ClassVar[str] = "csv"
    target: Columns
    features: tuple[Column, ...] | None = None
    """Columns that are the input; all but the target when absent."""
    delimiter: Annotated[str, Field(strict=True, min_length=1, max_length=1)] | None = None
    """Found out from the first lines when absent."""
    header: Flag | None = None
    """Whether the first line holds the names; found out when absent."""


class Npz(FileSource):
    """Two arrays of one .npz file, by name; usual names (x and y, inputs and targets, ...) are found when absent."""

    kind: ClassVar[str] = "npz"
    input: Name | None = None
    target: Name | None = None


class Npy(FileSource):
    """Inputs in one .npy file, targets in another; both have one row a sample."""

    kind: ClassVar[str] = "npy"
    target: FilePath


class Parquet(FileSource):
    """A table of columns; a column of lists is a sequence."""

    kind: ClassVar[str] = "parquet"
    target: Columns
    features: tuple[Name, ...] | None = None


class Jsonl(FileSource):
    """One JSON object a line; a field that holds a (nested) list is a sequence or a tensor."""

    kind: ClassVar[str] = "jsonl"
    target: Name
    features: Name | tuple[Name, ...] | None = None
    """Fields that are the input; all but the target when absent."""


class Images(FileSource):
    """A folder for each class, images within; ``size`` is (height, width), those of the first image when absent."""

    kind: ClassVar[str] = "images"
    size: Count | tuple[Count, Count] | None = None
    channels: Literal[1, 3] = 3


class Synthetic(Source):
    """Data made up from the seed: ``synthetic: {blobs: {n: 500}}``."""

    kind: ClassVar[str] = "synthetic"
    whole: ClassVar[str | None] = "generator"
    generator: AnyGenerator


SOURCES: tuple[type[Source], ...] = (Csv, Npz, Npy, Parquet, Jsonl, Images, Synthetic)

SOURCE = Family("a data source", lambda: SOURCES)
AnySource = Annotated[Source, SOURCE]
