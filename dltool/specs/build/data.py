"""The ``data`` part of a spec, ready to be trained on."""

from __future__ import annotations

from dataclasses import replace

from dltool.core.errors import DataError
from dltool.data.assemble import Options, assemble
from dltool.data.augment import Augmentation
from dltool.data.dataset import DataBundle
from dltool.data.padding import Padding
from dltool.specs.load import LoadedSpec
from dltool.specs.read_source import at_its_key, read_tables
from dltool.specs.schema import augmentations
from dltool.specs.schema.layer_linear import Embedding
from dltool.specs.schema.model import Layered
from dltool.specs.wanted import wanted


def build_data(loaded: LoadedSpec, seed: int) -> DataBundle:
    """Read, split, normalise and batch the data of a spec; ``seed`` decides every random choice.

    Raises:
        DataError: files that cannot be read, or do not fit what the spec says of them, with the spec's line where the spec
            named what is not there.
    """
    train, val = read_tables(loaded, seed)
    try:
        bundle = assemble(train, val, _options(loaded, seed))
    except DataError as error:
        raise at_its_key(loaded, error, ("data",)) from None
    if bundle.val is None:
        text = "There is no validation data (`data.split`, or `data.val`): overfitting cannot be seen."
        bundle = replace(bundle, assumptions=(*bundle.assumptions, text))
    return bundle


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
        wanted=wanted(loaded.spec),
        normalize=data.normalize,
        normalize_target=data.normalize_target,
        augmentation=_augmentation(data.augment),
        padding=None if data.pad is None else Padding(data.pad.value, data.pad.length),
        tokens=isinstance(loaded.spec.model, Layered) and isinstance(loaded.spec.model.layers[0], Embedding),
    )


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
