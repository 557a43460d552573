"""The sources that a spec names, read: which reader for which source, and whose mistake was made where. Without torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from dltool.core.errors import DataError, Problem
from dltool.data.sources import synthetic
from dltool.data.sources.arrays import read_npy, read_npz
from dltool.data.sources.columns import Selection
from dltool.data.sources.csv import read_csv
from dltool.data.sources.images import read_images
from dltool.data.sources.jsonl import read_jsonl
from dltool.data.sources.parquet import read_parquet
from dltool.data.table import Glance, Table
from dltool.specs.load import LoadedSpec
from dltool.specs.schema import generators, sources

Known = dict[tuple[sources.Source, Path, int, int], Table]
"""Tables that were read, by source, the spec's folder, seed and part."""


@dataclass(frozen=True, slots=True)
class _Read:
    """How a source is read: ``seed`` and ``part`` (0: training) make up synthetic data, ``folder`` is the spec's."""

    folder: Path
    seed: int
    part: int
    glance: Glance | None
    known: Known | None

    def table(self, source: sources.Source) -> Table:
        """What the source holds; what is known already is not read again."""
        if self.known is None:
            return self._read(source)
        key = (source, self.folder, self.seed if isinstance(source, sources.Synthetic) else 0, self.part)
        if key not in self.known:
            self.known[key] = self._read(source)
        return self.known[key]

    def _read(self, source: sources.Source) -> Table:
        folder, glance = self.folder, self.glance
        match source:
            case sources.Csv(header=header, delimiter=delimiter):
                chosen = _selection(source.target, source.features)
                return read_csv(folder / source.path, chosen, header=header, delimiter=delimiter, glance=glance)
            case sources.Npz():
                return read_npz(folder / source.path, inputs=source.input, targets=source.target, glance=glance)
            case sources.Npy():
                return read_npy(folder / source.path, folder / source.target, glance=glance)
            case sources.Parquet():
                return read_parquet(folder / source.path, _selection(source.target, source.features), glance=glance)
            case sources.Jsonl():
                return read_jsonl(folder / source.path, _selection(source.target, source.features), glance=glance)
            case sources.Images():
                size = (source.size, source.size) if isinstance(source.size, int) else source.size
                return read_images(folder / source.path, size=size, channels=source.channels)
            case sources.Synthetic():
                return self._generate(source.generator)
            case _:
                raise AssertionError(f"no reader for {source.kind}")

    def _generate(self, generator: generators.Generator) -> Table:
        truth, draw = synthetic.truth_generator(self.seed), synthetic.sample_generator(self.seed, self.part)
        n = generator.n if self.glance is None else min(generator.n, self.glance.most_rows)
        match generator:
            case generators.Blobs(features=features, classes=classes, spread=spread):
                pair = synthetic.blobs(n, truth, draw, features=features, classes=classes, spread=spread)
            case generators.Circles(noise=noise, factor=factor):
                pair = synthetic.circles(n, draw, noise=noise, factor=factor)
            case generators.Moons(noise=noise):
                pair = synthetic.moons(n, draw, noise=noise)
            case generators.Spirals(classes=classes, turns=turns, noise=noise):
                pair = synthetic.spirals(n, draw, classes=classes, turns=turns, noise=noise)
            case generators.Xor(noise=noise):
                pair = synthetic.xor(n, draw, noise=noise)
            case generators.LinearTarget(features=features, noise=noise):
                pair = synthetic.linear(n, truth, draw, features=features, noise=noise)
            case generators.Sinusoid(features=features, noise=noise):
                pair = synthetic.sinusoid(n, truth, draw, features=features, noise=noise)
            case _:
                raise AssertionError(f"no generator for {generator.kind}")
        return replace(synthetic.table(generator.kind, *pair), left_out=generator.n - n)


def read_tables(
    loaded: LoadedSpec, seed: int, glance: Glance | None = None, known: Known | None = None
) -> tuple[Table, Table | None]:
    """The training and the validation samples; one table alone where the spec splits it.

    With a ``glance`` only the first samples of each; ``known`` keeps tables for the next spec with the same source.

    Raises:
        DataError: the mistakes of both sources, with the spec's line where the spec named what is not there.
    """
    data = loaded.spec.data
    given: list[tuple[tuple[str, ...], sources.Source]] = [((), data.source)] if data.source is not None else []
    given += [((key,), source) for key, source in (("train", data.train), ("val", data.val)) if source is not None]
    tables: list[Table] = []
    problems: list[Problem] = []
    for part, (below, source) in enumerate(given):
        try:
            tables.append(_Read(loaded.directory, seed, part, glance, known).table(source))
        except DataError as error:
            problems += at_its_key(loaded, error, ("data", *below, source.kind)).problems
    if problems:
        raise DataError(*problems)
    return tables[0], tables[1] if len(tables) > 1 else None


def at_its_key(loaded: LoadedSpec, error: DataError, prefix: tuple[str, ...]) -> DataError:
    """The problems that a key of the spec brought about, with that key and its place in the spec."""
    return DataError(*(_with_place(loaded, problem, prefix) for problem in error.problems))


def _with_place(loaded: LoadedSpec, problem: Problem, prefix: tuple[str, ...]) -> Problem:
    if problem.key is None:
        return problem
    path = (*prefix, *problem.key.split("."))
    return replace(problem, key=".".join(path), location=loaded.locate(path))


def _selection(target: sources.Columns, features: sources.Columns | None) -> Selection:
    wanted = target if isinstance(target, tuple) else (target,)
    chosen = features if features is None or isinstance(features, tuple) else (features,)
    return Selection(target=wanted, features=chosen)
