"""``--probe`` of files: every picture once through the small default net."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

import torch
import torch.nn.functional as F

from dltool.core.file_names import printable
from dltool.core.measured.scan_model import Probed
from dltool.diagnostics.scan.default_net import NAME, default_net
from dltool.diagnostics.scan.options import ScanOptions
from dltool.diagnostics.scan.probe import BATCH, Place, Placed, bare_experiment, probe
from dltool.scanning.plane import INSPECTOR, unpacked
from dltool.scanning.pool import Done, Job, inspect_all
from dltool.scanning.record import Item
from dltool.specs.factory_parts import factory_criterion
from dltool.training.experiment import Batch
from dltool.training.stop import StopFlag


def probe_pictures(pictures: Sequence[Job], target: str, options: ScanOptions) -> Probed:
    """Pass ``pictures``, which were found to be whole, through the net and a loss. Worker processes decode them."""
    if not pictures:
        return Probed(model=NAME, samples=0, reason_not_probed="there are no pictures; tables need a spec or a factory")
    labels = {job.item.label for job in pictures} - {None}
    classes = {label: at for at, label in enumerate(sorted(label for label in labels if label is not None))}
    criterion = factory_criterion(F.cross_entropy if len(classes) > 1 else F.mse_loss)
    net = default_net(None, max(1, len(classes)))
    stop = options.stop or StopFlag(options.timeout_s)
    unread: list[Item] = []
    made = bare_experiment(
        net, criterion, target, options.seed or 0, _batches(_read(pictures, options, stop), classes, unread)
    )
    found = probe(made, NAME, frozenset(), stop)
    if not unread:
        return found
    reason = found.reason_not_probed or "Pillow cannot read them"
    return replace(found, not_probed=found.not_probed + len(unread), reason_not_probed=reason)


def _read(pictures: Sequence[Job], options: ScanOptions, stop: StopFlag) -> Iterator[Done]:
    settings = replace(options.pool(), inspector=INSPECTOR)
    for batch in inspect_all(pictures, settings, lambda: stop.reason is not None):
        yield from batch


def _batches(read: Iterator[Done], classes: dict[str, int], unread: list[Item]) -> Placed:
    while some := list(islice(read, BATCH)):
        whole = [done for done in some if done.found.numbers]
        unread += [done.job.item for done in some if not done.found.numbers]
        if not whole:
            continue
        places = [Place(printable(done.job.item.name), printable(done.job.item.path)) for done in whole]
        inputs = torch.stack([torch.from_numpy(unpacked(done.found.numbers))[None] for done in whole])
        targets = [classes.get(done.job.item.label or "", 0) for done in whole]
        yield places, Batch(inputs, torch.tensor(targets) if len(classes) > 1 else torch.zeros(len(whole), 1))
