"""``--probe`` of files: every picture once through the small default net."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from dltool.core.file_names import printable
from dltool.core.measured.scan_model import Probed
from dltool.diagnostics.scan.default_net import NAME, as_input, default_net
from dltool.diagnostics.scan.options import ScanOptions
from dltool.diagnostics.scan.probe import BATCH, Place, Placed, bare_experiment, probe
from dltool.scanning.record import Item
from dltool.scanning.source import source_of
from dltool.specs.factory_parts import factory_criterion
from dltool.training.experiment import Batch
from dltool.training.stop import StopFlag

KEPT_MODES = frozenset({"L", "RGB", "F", "I", "I;16", "I;16B", "I;16L", "LA", "RGBA"})
"""Modes whose pixels are numbers; all others are converted first, as loaders do."""


def probe_pictures(pictures: Sequence[Item], target: str, options: ScanOptions) -> Probed:
    """Pass ``pictures``, which were found to be whole, through the net and a loss."""
    if not pictures:
        return Probed(model=NAME, samples=0, reason_not_probed="there are no pictures; tables need a spec or a factory")
    classes = {label: at for at, label in enumerate(sorted({item.label for item in pictures if item.label is not None}))}
    criterion = factory_criterion(F.cross_entropy if len(classes) > 1 else F.mse_loss)
    net = default_net(None, max(1, len(classes)))
    unread: list[Item] = []
    made = bare_experiment(net, criterion, target, options.seed or 0, _batches(pictures, classes, unread))
    found = probe(made, NAME, frozenset(), options.stop or StopFlag())
    if not unread:
        return found
    reason = found.reason_not_probed or "Pillow cannot read them"
    return Probed(
        model=NAME,
        samples=found.samples,
        bad=found.bad,
        told_already=found.told_already,
        not_probed=found.not_probed + len(unread),
        reason_not_probed=reason,
    )


def _batches(pictures: Sequence[Item], classes: dict[str, int], unread: list[Item]) -> Placed:
    for start in range(0, len(pictures), BATCH):
        inputs, targets, places = [], [], []
        for item in pictures[start : start + BATCH]:
            pixels = _pixels(item)
            if pixels is None:
                unread.append(item)
                continue
            inputs.append(as_input(pixels, None))
            targets.append(classes.get(item.label or "", 0))
            places.append(Place(printable(item.name), printable(item.path)))
        if inputs:
            answer = torch.tensor(targets) if len(classes) > 1 else torch.zeros(len(inputs), 1)
            yield places, Batch(torch.stack(inputs), answer)


def _pixels(item: Item) -> NDArray[Any] | None:
    from PIL import Image

    with suppress(Exception), warnings.catch_warnings():  # decoders raise whatever their parsers do
        warnings.simplefilter("ignore")
        with source_of(item).open() as stream, Image.open(stream) as image:
            picture = image if image.mode in KEPT_MODES else image.convert("RGB")
            return np.asarray(picture)
    return None
