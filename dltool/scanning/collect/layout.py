"""What the names of folders tell: which split a sample belongs to, and its class.

Understood are ``class/file``, ``split/class/file``, ``class/split/file`` and ``split/file``. Folders tell classes where
there are at least two of them and none has a name that says what kind of file it holds ("images", "masks").
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

SPLITS = {
    "train": "train",
    "training": "train",
    "trainset": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
    "testset": "test",
    "eval": "test",
    "holdout": "test",
}
"""Names of splits, and what they are called here."""

NO_CLASSES = frozenset(
    """images image imgs img jpegimages pictures photos frames labels label masks mask annotations annotation ann gt
    ground_truth segmentation segmentations data raw csv json xml txt npy meta metadata docs scripts src depth rgb""".split()  # noqa: SIM905
)
ENTRIES_TRIED = 20_000
TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".npy", ".npz", ".safetensors")


@dataclass(frozen=True, slots=True)
class Layout:
    """How deep the folders of classes lie: 0 or 1 below what is scanned, None where folders tell none.

    ``by_split`` says that the topmost folders are splits, ``splits_within`` that those within the classes are.
    """

    class_depth: int | None = None
    by_split: bool = False
    splits_within: bool = False

    def told_by(self, folders: list[str]) -> tuple[str | None, str | None]:
        """(label, split) of a file in ``folders``, from the topmost down."""
        label = split = None
        if folders:
            if self.by_split:
                split = split_name(folders[0])
            elif self.splits_within and len(folders) > 1:
                split = split_name(folders[1])
            if self.class_depth is not None and len(folders) > self.class_depth:
                label = folders[self.class_depth]
                if self.by_split and split is None:
                    label = None
        return label, split


def split_name(folder: str) -> str | None:
    """train, val or test, None where a name tells none.

    >>> [split_name(name) for name in ("Train", "validation", "train2017", "test_images", "trained")]
    ['train', 'val', 'train', 'test', None]
    """
    word = re.split(r"[-_. \d]", folder.lower(), maxsplit=1)[0]
    return SPLITS.get(word)


def split_in_name(file: str) -> str | None:
    """The split that a shard's name tells (``imagenet-val-000003.tar``)."""
    return next((SPLITS[word] for word in re.split(r"[^a-z]+", file.lower()) if word in SPLITS), None)


def names_tell_splits(folder: str) -> bool:
    """Whether tables in a folder are called after splits: one of them train, and another val or test."""
    with suppress(OSError), os.scandir(Path(folder)) as entries:
        names = (entry.name for entry in islice(entries, ENTRIES_TRIED) if not entry.name.startswith("."))
        found = {split_in_name(name) for name in names if name.lower().endswith(TABLES)} - {None}
        return "train" in found and len(found) > 1
    return False


def layout_of(root: str) -> Layout:
    """Look at the two topmost levels of folders below ``root``."""
    top = _folders(root)
    splits = [name for name in top if split_name(name)]
    if len(splits) == len(top) > 0 or any(split_name(name) == "train" for name in splits):
        classes = {name for split in splits for name in _folders(f"{root}/{split}")}
        return Layout(1 if _are_classes(classes) else None, by_split=True)
    within = any(split_name(name) for folder in top[:20] for name in _folders(f"{root}/{folder}"))
    return Layout(0 if _are_classes(top) else None, splits_within=within)


def _are_classes(names: Iterable[str]) -> bool:
    found = set(names)
    return len(found) > 1 and not any(name.lower() in NO_CLASSES for name in found)


def _folders(path: str) -> list[str]:
    with suppress(OSError), os.scandir(Path(path)) as entries:
        tried = islice(entries, ENTRIES_TRIED)
        return sorted(entry.name for entry in tried if not entry.name.startswith(".") and _is_folder(entry))
    return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
