"""The ``data`` part of a spec, read: which reader for which source, and whose mistake was made where."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from dltool.core.errors import DataError, Problem
from dltool.data.assemble import Options, assemble
from dltool.data.augment import Augmentation
from dltool.data.dataset import DataBundle
from dltool.data.padding import Padding
from dltool.data.sources import synthetic
from dltool.data.sources.arrays import read_npy, read_npz
from dltool.data.sources.columns import Selection
from dltool.data.sources.csv import read_csv
from dltool.data.sources.images import read_images
from dltool.data.sources.jsonl import read_jsonl
from dltool.data.sources.parquet import read_parquet
from dltool.data.table import Table
from dltool.data.targets import Wanted
from dltool.specs.load import LoadedSpec
from dltool.specs.schema import augmentations, generators, sources
from dltool.specs.schema.base import Target
from dltool.specs.schema.layer_linear import Embedding
from dltool.specs.schema.losses import AnyLoss, CrossEntropy, Ctc, Loss, MultilabelMargin, Nll, Terms
from dltool.specs.schema.model import Layered
from dltool.specs.schema.spec import Spec


def build_data(loaded: LoadedSpec, seed: int) -> DataBundle:
    """Read, split, normalise and batch the data of a spec; ``seed`` decides every random choice.

    Raises:
        DataError: files that cannot be read, or do not fit what the spec says of them, with the spec's line where the spec
            named what is not there.
    """
    data = loaded.spec.data
    if data.source is not None:
        train, val = _read(loaded, data.source, (), seed, 0), None
    else:
        assert data.train is not None
        train, val = _read_both(loaded, data.train, data.val, seed)
    try:
        bundle = assemble(train, val, _options(loaded, seed))
    except DataError as error:
        raise _placed(loaded, error, ("data",)) from None
    if bundle.val is None:
        text = "There is no validation data (`data.split`, or `data.val`): overfitting cannot be seen."
        bundle = replace(bundle, assumptions=(*bundle.assumptions, text))
    return bundle


def _read_both(
    loaded: LoadedSpec, train: sources.Source, val: sources.Source | None, seed: int
) -> tuple[Table, Table | None]:
    """Both sources, or the mistakes of both."""
    tables: list[Table] = []
    problems: list[Problem] = []
    for part, (key, source) in enumerate((("train", train), ("val", val))):
        if source is None:
            continue
        try:
            tables.append(_read(loaded, source, (key,), seed, part))
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(*problems)
    return tables[0], tables[1] if len(tables) > 1 else None


def _read(loaded: LoadedSpec, source: sources.Source, below: tuple[str, ...], seed: int, part: int) -> Table:
    try:
        return _reader(source, loaded.directory, seed, part)()
    except DataError as error:
        raise _placed(loaded, error, ("data", *below, source.kind)) from None


def _placed(loaded: LoadedSpec, error: DataError, prefix: tuple[str, ...]) -> DataError:
    """The problems that a key of the spec brought about, with that key and its place in the spec."""
    return DataError(*(_with_place(loaded, problem, prefix) for problem in error.problems))


def _with_place(loaded: LoadedSpec, problem: Problem, prefix: tuple[str, ...]) -> Problem:
    if problem.key is None:
        return problem
    path = (*prefix, *problem.key.split("."))
    return replace(problem, key=".".join(path), location=loaded.locate(path))


def _reader(source: sources.Source, folder: Path, seed: int, part: int) -> Callable[[], Table]:
    match source:
        case sources.Csv():
            chosen = _selection(source.target, source.features)
            return lambda: read_csv(folder / source.path, chosen, header=source.header, delimiter=source.delimiter)
        case sources.Npz():
            return lambda: read_npz(folder / source.path, inputs=source.input, targets=source.target)
        case sources.Npy():
            return lambda: read_npy(folder / source.path, folder / source.target)
        case sources.Parquet():
            return lambda: read_parquet(folder / source.path, _selection(source.target, source.features))
        case sources.Jsonl():
            return lambda: read_jsonl(folder / source.path, _selection(source.target, source.features))
        case sources.Images():
            size = (source.size, source.size) if isinstance(source.size, int) else source.size
            return lambda: read_images(folder / source.path, size=size, channels=source.channels)
        case sources.Synthetic():
            return lambda: _generate(source.generator, seed, part)
        case _:
            raise AssertionError(f"no reader for {source.kind}")


def _selection(target: sources.Columns, features: sources.Columns | None) -> Selection:
    wanted = target if isinstance(target, tuple) else (target,)
    chosen = features if features is None or isinstance(features, tuple) else (features,)
    return Selection(target=wanted, features=chosen)


def _generate(generator: generators.Generator, seed: int, part: int) -> Table:
    truth, draw = synthetic.truth_generator(seed), synthetic.sample_generator(seed, part)
    n = generator.n
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
    return synthetic.table(generator.kind, *pair)


def _options(loaded: LoadedSpec, seed: int) -> Options:
    data = loaded.spec.data
    return Options(
        seed=seed,
        batch_size=data.batch_size,
        batch_size_asked="batch_size" in data.model_fields_set,
        val=None if data.split is None else data.split.val,
        split_seed=None if data.split is None else data.split.seed,
        stratify=None if data.split is None else data.split.stratify,
        shuffle=data.shuffle,
        excluded=None if data.exclude is None else loaded.directory / data.exclude,
        samples=data.limit,
        wanted=_wanted(loaded.spec),
        normalize=data.normalize,
        normalize_target=data.normalize_target,
        augmentation=_augmentation(data.augment),
        padding=None if data.pad is None else Padding(data.pad.value, data.pad.length),
        tokens=isinstance(loaded.spec.model, Layered) and isinstance(loaded.spec.model.layers[0], Embedding),
    )


def _wanted(spec: Spec) -> Wanted:
    loss = _first_loss(spec.loss)
    wanted = Wanted(
        loss=None if loss is None else loss.kind, task=spec.data.task, one_hot=spec.data.one_hot, classes=spec.data.classes
    )
    match loss:
        case CrossEntropy(ignore_index=ignored) | Nll(ignore_index=ignored) | Ctc(blank=ignored):
            return replace(wanted, ignored=ignored)
        case MultilabelMargin():
            return replace(wanted, ignored=-1)
        case _:
            return wanted


def _first_loss(loss: AnyLoss | None) -> Loss | None:
    """The loss that says what targets must look like: the only one, or the first term of several; None for user code."""
    if isinstance(loss, Terms):
        terms = (term.loss for term in loss.terms.values() if not isinstance(term.loss, Target))
        return next(terms, None)
    return None if isinstance(loss, Target) else loss


def _augmentation(listed: tuple[augmentations.AnyAugmentation, ...]) -> Augmentation | None:
    """All of the list as one; of a name that comes twice, the last counts."""
    if not listed:
        return None
    strengths: dict[str, float] = {}
    for entry in listed:
        match entry:
            case augmentations.Shift(pixels=pixels):
                strengths["shift_pixels"] = pixels
            case augmentations.Rotate(degrees=degrees):
                strengths["rotate_degrees"] = degrees
            case augmentations.Scale(ratio=ratio):
                strengths["scale_ratio"] = ratio
            case augmentations.Brightness(ratio=ratio):
                strengths["brightness_ratio"] = ratio
            case augmentations.HFlip(p=p):
                strengths["hflip_probability"] = p
            case augmentations.Noise(std=std):
                strengths["noise_std"] = std
            case _:
                raise AssertionError(f"no augmentation for {entry.kind}")
    return Augmentation(**strengths)  # type: ignore[arg-type] # shift_pixels is an int in both
