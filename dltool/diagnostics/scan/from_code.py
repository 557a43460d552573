"""``dltool scan file.py:factory``: a Dataset, a loader or batches, sample by sample as training gets them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F

from dltool.core.errors import UserError
from dltool.core.finding import Severity
from dltool.core.measured.scan import Sample
from dltool.core.measured.scan_classes import ClassTable
from dltool.core.measured.scan_flaws import ScanFlaws
from dltool.core.measured.scan_model import ModelFit, Probed, SampleShapes
from dltool.core.measured.scan_pictures import ImageSet
from dltool.core.measured.scan_tables import FeatureTable
from dltool.core.measurements import Section
from dltool.core.report import Report
from dltool.diagnostics.scan.against_model import CPU, fit_of
from dltool.diagnostics.scan.conclude import Conclusion, conclude
from dltool.diagnostics.scan.dataset.apart import Apart, Terms
from dltool.diagnostics.scan.dataset.parts import Opened, Part, open_code
from dltool.diagnostics.scan.dataset.probing import default_batches, loader_batches, main_shape, pair_of
from dltool.diagnostics.scan.dataset.reading import Read, nothing_read
from dltool.diagnostics.scan.dataset.shapes import batch_of, most_common_example, odd_samples
from dltool.diagnostics.scan.dataset.survey import Survey
from dltool.diagnostics.scan.default_net import NAME, default_net, features_of
from dltool.diagnostics.scan.gather import Gathering
from dltool.diagnostics.scan.options import ScanOptions
from dltool.diagnostics.scan.outlets import Outlets
from dltool.diagnostics.scan.probe import Place, Placed, bare_experiment, probe
from dltool.probes.nested import first_tensor
from dltool.scanning.progress import ScanProgress, SilentScan
from dltool.scanning.record import Entry, Item
from dltool.specs.factory_batches import as_batch
from dltool.specs.factory_parts import factory_criterion
from dltool.specs.factory_trial import guessed_criterion
from dltool.training import rng
from dltool.training.experiment import Batch, Criterion
from dltool.training.stop import StopFlag

TICK_S = 0.1
CLASS_LOSSES = frozenset({"cross_entropy", "nll"})
MODEL = "the model"


def run_code(target: str, options: ScanOptions, started_s: float) -> Report:
    """Call the factory, read every sample that it gives once, and judge them.

    Raises:
        UserError: a factory that gives no data, options that mean nothing, or a file that cannot be written.
    """
    seed = 0 if options.seed is None else options.seed
    with rng.randomness_kept(CPU):
        opened = open_code(target, seed)
        outlets = Outlets.open(options, None)
        scan = _DatasetScan(target, opened, options, seed)
        with closing(scan.progress):
            scan.progress.start()
            sections = list(scan.sections(outlets))
    about = Conclusion(
        target=target,
        started_s=started_s,
        assumptions=tuple(scan.assumptions),
        files=(target.rpartition(":")[0],),
        seed=seed,
        torch=torch.__version__.split("+")[0],
    )
    return conclude(sections, options, outlets, about)


@dataclass(frozen=True, slots=True)
class _Seen:
    """A part that was read, and what was seen."""

    apart: Apart
    survey: Survey

    @property
    def part(self) -> Part:
        """What was read."""
        return self.apart.part


class _DatasetScan:
    def __init__(self, target: str, opened: Opened, options: ScanOptions, seed: int) -> None:
        self.target, self.options, self.seed = target, options, seed
        self.opened = opened
        self.progress: ScanProgress = options.progress or SilentScan()
        self.assumptions: list[str] = []
        self._stop = options.stop or StopFlag(options.timeout_s)
        self._file = target.rpartition(":")[0]
        self._terms = Terms(
            target=target,
            seed=seed,
            sample_timeout_s=options.sample_timeout_s,
            memory_bytes=options.memory_bytes,
            stopped=lambda: self._stop.reason is not None,
        )

    def sections(self, outlets: Outlets) -> Iterator[Section]:
        """Read everything; then model and probe, which need to know what samples look like."""
        gathering = Gathering.begin(outlets, "dataset", self.options, self._stop)
        seen = [self._survey(part, gathering) for part in self.opened.parts]
        if not any(each.survey.samples for each in seen) and self._stop.reason is None:
            raise nothing_read(self.target)
        fit, criterion = self._fit(seen[0])
        gathered = list(gathering.sections(self.options.tier, stopped=self._stop.reason or "finished"))
        for section in gathered:
            yield self._completed(section, fit, criterion, seen)
        pictures = sum(each.survey.pictures.total() for each in seen)
        if pictures:
            yield _pictures(seen)
        odd = [one for each in seen for one in odd_samples(each.survey, each.part)]
        yield SampleShapes(parts=sum(len(each.survey.columns) for each in seen), odd=tuple(odd))
        if fit is not None:
            yield fit
        if self.options.probe and self._stop.reason is None:
            flaws = next(section for section in gathered if isinstance(section, ScanFlaws))
            yield self._probed(seen, fit, criterion, _told(flaws))

    def _survey(self, part: Part, gathering: Gathering) -> _Seen:
        first = part is self.opened.parts[0]
        path = self.target if first else f"{self.target}#{part.name}"
        survey = Survey(path, self._file)
        again = self.options.probe or self.opened.model is not None
        apart = Apart(part, self._terms, keeps=again)
        tick_s = 0.0
        with rng.seeded(self.seed, CPU):
            for read in apart.samples():
                survey.add(read)
                if (now_s := time.monotonic()) >= tick_s + TICK_S:
                    tick_s = now_s
                    self.progress.advance(survey.samples, survey.read_bytes, None)
        gathering.take(Entry(Item(gathering.files, path, self._file, split=part.split), survey.inspection(apart.remarks)))
        return _Seen(apart, survey)

    def _fit(self, seen: _Seen) -> tuple[ModelFit | None, Criterion | None]:
        """The model on a batch of usual samples, and the loss that goes with what it gives."""
        model = self.opened.model
        if model is None:
            return None, None
        batch = self._a_batch(seen)
        if batch is None:
            return ModelFit(reason_not_tried="no batch could be made of the samples"), None
        fit, output = fit_of(model, batch.input)
        if output is None:
            return fit, None
        given = self.opened.given.get("loss")
        if given is not None:
            return fit, factory_criterion(given)
        try:
            return fit, guessed_criterion(output, batch.target, self.assumptions)
        except UserError as error:
            self.assumptions.append(f"No loss was tried: {error}")
            return fit, None

    def _a_batch(self, seen: _Seen) -> Batch | None:
        part = seen.part
        try:
            with rng.seeded(self.seed, CPU):
                if part.form == "batches":
                    first = next(read.value for read in seen.apart.items() if read.raised is None)
                    return as_batch(first, part.name)
                sample = most_common_example(seen.survey)
                count = part.batch_size or 2
                return None if sample is None else pair_of(batch_of(part, [sample] * count))
        except Exception as error:  # noqa: BLE001 - the user's collate function, or samples that make no batch
            self.assumptions.append(f"The model was not tried: no batch could be made ({error}).")
            return None

    def _completed(self, section: Section, fit: ModelFit | None, criterion: Criterion | None, seen: list[_Seen]) -> Section:
        """With what only the model and the loader know."""
        if isinstance(section, ClassTable):
            indexed = criterion is not None and criterion.name in CLASS_LOSSES
            outputs = fit.outputs if fit is not None and indexed else None
            size = self.options.batch_size or seen[0].part.batch_size
            return replace(
                section, outputs=outputs, batch_size=size, head=None if outputs is None or fit is None else fit.head
            )
        if isinstance(section, FeatureTable):  # ways to differ are no values that occur
            features = (replace(f, distinct=None) if (f.distinct or 0) > f.rows else f for f in section.features)
            return replace(section, features=tuple(features))
        return section

    def _probed(
        self, seen: list[_Seen], fit: ModelFit | None, criterion: Criterion | None, told: frozenset[Place]
    ) -> Probed:
        model = self.opened.model
        if model is not None and (fit is None or fit.misfits or fit.reason_not_tried is not None):
            return Probed(model=MODEL, samples=0, reason_not_probed="the model cannot take a batch of the data")
        if model is not None:
            batches = self._each(seen, lambda each, reads: loader_batches(each.part, each.survey, reads, each.apart.items))
            made = bare_experiment(model, criterion or _output_alone(), self.target, self.seed, batches)
            return probe(made, MODEL, told, self._stop)
        shape = next((shape for each in seen if (shape := main_shape(each.survey)) is not None), None)
        if shape is None:
            return Probed(model=NAME, samples=0, reason_not_probed="the samples hold no numbers")
        classes = {label: at for at, label in enumerate(sorted({label for each in seen for label in each.survey.classes}))}
        loss = factory_criterion(F.cross_entropy if classes else F.mse_loss)
        net = default_net(features_of(shape), max(1, len(classes)))
        batches = self._each(seen, lambda each, reads: default_batches(each.survey, reads, classes, shape))
        return probe(bare_experiment(net, loss, self.target, self.seed, batches), NAME, told, self._stop)

    def _each(self, seen: list[_Seen], make: Callable[[_Seen, Iterator[Read]], Placed]) -> Placed:
        for each in seen:
            yield from make(each, each.apart.samples())


def _output_alone() -> Criterion:
    """For samples without a target: bad where the output is."""

    def mean(output: Any, target: Any) -> torch.Tensor:  # noqa: ARG001 - the signature of a loss
        first = first_tensor(output)
        return torch.zeros(()) if first is None else first.float().mean()

    return factory_criterion(mean)


def _told(flaws: ScanFlaws) -> frozenset[Place]:
    """Samples that are known to hold values that are not finite."""
    samples: Iterator[tuple[Sample, str]] = (
        (sample, flawed.file)
        for flawed in flaws.files
        if flawed.rule == "non-finite-value" and flawed.severity is Severity.ERROR
        for sample in flawed.samples
    )
    return frozenset(Place(sample.path, file, sample.row) for sample, file in samples)


def _pictures(seen: list[_Seen]) -> ImageSet:
    """The samples that are pictures, for the rule on those of one value; shapes are told by a rule of their own."""
    forms = sum((each.survey.pictures for each in seen), start=type(seen[0].survey.pictures)())
    (dtype, size), _ = forms.most_common(1)[0]
    total = forms.total()
    constant = [image for each in seen for image in each.survey.constant]
    return ImageSet(
        images=total,
        modes={dtype: total},
        sizes={size: total},
        size_count=1,
        orientations={},
        animated=0,
        brightness=None,
        contrast=None,
        constant=tuple(constant[:1000]),
        more_constant=tuple(Sample(path=image.path, row=image.row) for image in constant[1000:]),
    )
