"""``dltool scan spec.yaml``: the files behind its data, and its data against its model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from dltool.core.errors import DataError, Problem, SpecError
from dltool.core.finding import Severity
from dltool.core.measured.scan_classes import ClassTable
from dltool.core.measured.scan_flaws import ScanFlaws
from dltool.core.measured.scan_model import Misfit, ModelFit, Probed
from dltool.core.measured.task import DataFacts
from dltool.core.measurements import Section
from dltool.core.report import Report
from dltool.data.batches import Batches
from dltool.data.subset import read_exclusions
from dltool.diagnostics.scan.against_model import CPU, fit_of
from dltool.diagnostics.scan.conclude import Conclusion, conclude
from dltool.diagnostics.scan.dataset.parts import Part
from dltool.diagnostics.scan.dataset.reading import Reader
from dltool.diagnostics.scan.dataset.survey import Survey
from dltool.diagnostics.scan.from_code import CLASS_LOSSES, MODEL
from dltool.diagnostics.scan.gather import Gathering
from dltool.diagnostics.scan.options import ScanOptions
from dltool.diagnostics.scan.outlets import Outlets
from dltool.diagnostics.scan.probe import Place, Placed, of_spec, probe
from dltool.diagnostics.scan.run import Scan
from dltool.diagnostics.scan.spec_sources import LeftOut, SpecSource, sources_of
from dltool.diagnostics.task import describe_task
from dltool.scanning.progress import SilentScan
from dltool.scanning.record import Entry, Item, Tier
from dltool.scanning.settings import InspectSettings
from dltool.specs.build.experiment import RunOptions, build_experiment
from dltool.specs.load import LoadedSpec, load
from dltool.training import rng
from dltool.training.experiment import Experiment
from dltool.training.stop import StopFlag

AGAINST_MODEL = ("model", "loss")
"""Keys of a spec below which a mistake may be that data and model do not fit."""
NOT_OF_DATA = ("_target_", "pretrained", "init")


def run_spec(target: str, options: ScanOptions, started_s: float) -> Report:
    """Scan the data that the spec names, and try its model on it.

    Raises:
        SpecError: the spec.
        DataError: data that is not there, or cannot be read for another reason than damage that was found.
        UserError: options that mean nothing, or a file that cannot be written.
    """
    loaded = load(target, options.overrides)
    found = sources_of(loaded)
    outlets = Outlets.open(options, Path(found[0].target.root) if found else None)
    scan = _SpecScan(loaded, found, options)
    progress = options.progress or SilentScan()
    with closing(progress), rng.randomness_kept(CPU):
        progress.start()
        sections = list(scan.sections(outlets))
    about = Conclusion(
        target=target,
        started_s=started_s,
        assumptions=tuple(scan.assumptions),
        ignored=loaded.ignored_rules(),
        orders=loaded.orders,
        thresholds=loaded.spec.rules.thresholds,
        seed=loaded.spec.seed if options.seed is None else options.seed,
        torch=torch.__version__.split("+")[0],
        spec_sha256=loaded.sha256,
    )
    return conclude(sections, options, outlets, about)


class _SpecScan:
    def __init__(self, loaded: LoadedSpec, found: list[SpecSource], options: ScanOptions) -> None:
        self.loaded, self.found, self.options = loaded, found, options
        self.assumptions: list[str] = []
        self._stop = options.stop or StopFlag(options.timeout_s)
        excluded = loaded.spec.data.exclude
        self._left_out = None if excluded is None else LeftOut(read_exclusions(loaded.directory / excluded))
        self._damaged = False
        self._names: dict[str, tuple[str, str]] = {}
        """Name and path as the report has them, by where a file lies."""

    def sections(self, outlets: Outlets) -> Iterator[Section]:
        """Files first; then what only the spec knows."""
        gathering = Gathering.begin(outlets, "spec", self.options, self._stop)
        for source in self.found:
            self._scan(source, gathering)
        experiment, fit = self._built()
        if not self.found and experiment is not None:
            self._survey(experiment, gathering)
        gathered = list(gathering.sections(self.options.tier, stopped=self._stop.reason or "finished"))
        flaws = next(section for section in gathered if isinstance(section, ScanFlaws))
        for section in gathered:
            completed = self._completed(section, experiment, fit)
            if completed is not None:
                yield completed
        if fit is not None:
            yield fit
        if experiment is not None and experiment.facts is not None:
            yield _facts(experiment, experiment.facts)
            yield describe_task(experiment)
        if self.options.probe and self._stop.reason is None:
            yield self._probed(experiment, flaws)

    def _scan(self, source: SpecSource, gathering: Gathering) -> None:
        settings = InspectSettings(
            tier=Tier(self.options.tier),
            target=source.column,
            want_row_hashes=len(self.found) > 1 and self.options.tier != "quick",
        )
        scan = Scan(source.target, replace(self.options, probe=False, stop=self._stop), settings)
        for _, entry in scan.entries(gathering):
            name = source.name(entry.item.name)
            kept = entry if self._left_out is None else self._left_out.without(entry, source.target.root)
            if kept is not None:
                item = kept.item._replace(index=gathering.files, name=name, split=source.split or kept.item.split)
                self._names[str(Path(item.path).absolute())] = name, item.path
                self._damaged |= any(flaw.severity is Severity.ERROR for flaw in kept.found.flaws)
                gathering.take(Entry(item, kept.found))

    def _built(self) -> tuple[Experiment | None, ModelFit | None]:
        """The experiment; or why data and model do not fit, as findings tell it."""
        options = RunOptions(device=CPU, seed=self.options.seed, allow_import=self.options.allow_import)
        try:
            experiment = build_experiment(self.loaded, options)
        except SpecError as error:
            if not all(_is_misfit(problem) for problem in error.problems):
                raise
            return None, ModelFit(misfits=tuple(map(_misfit, error.problems)))
        except DataError as error:
            if not self._damaged:
                raise
            self.assumptions.append(f"The model was not tried: {error.problems[0]}")
            return None, None
        self.assumptions += experiment.assumptions
        batch = next(iter(experiment.train.fixed(4, 4)))
        return experiment, fit_of(experiment.model, batch.input)[0]

    def _survey(self, experiment: Experiment, gathering: Gathering) -> None:
        """Data that is made up: sample by sample, as the model gets it."""
        for split, source in (("train", experiment.train), ("val", experiment.val)):
            if isinstance(source, Batches):
                path = f"{self.loaded.path}#{split}"
                survey = Survey(path, self.loaded.path)
                batches = [batch for _, batch in source.in_order()]
                part = Part(name=split, split=None, source=batches, form="batches")
                for read in Reader(part, lambda: self._stop.reason is not None, []).samples():
                    survey.add(read)
                gathering.take(Entry(Item(gathering.files, path, self.loaded.path, split=split), survey.inspection([])))

    def _completed(self, section: Section, experiment: Experiment | None, fit: ModelFit | None) -> Section | None:
        """With what only the spec knows; a target that is regressed has no classes."""
        if not isinstance(section, ClassTable) or experiment is None:
            return section
        if experiment.task == "regression":
            return None
        facts = experiment.facts
        indexed = experiment.criterion.name in CLASS_LOSSES and self.loaded.spec.data.classes is None
        outputs = facts.outputs if facts is not None and indexed and (facts.outputs or 0) > 1 else None
        head = fit.head if fit is not None and outputs is not None else None
        return replace(section, outputs=outputs, batch_size=experiment.train.batch_size, head=head)

    def _probed(self, experiment: Experiment | None, flaws: ScanFlaws) -> Probed:
        if experiment is None:
            return Probed(model=MODEL, samples=0, reason_not_probed="data and model do not fit, or the data cannot be read")
        told = frozenset(
            Place(sample.path, flawed.file, sample.row)
            for flawed in flaws.files
            if flawed.rule == "non-finite-value" and flawed.severity is Severity.ERROR
            for sample in flawed.samples
        )
        return probe(of_spec(experiment, self._batches(experiment)), MODEL, told, self._stop)

    def _batches(self, experiment: Experiment) -> Placed:
        for split, source in (("train", experiment.train), ("val", experiment.val)):
            if isinstance(source, Batches):
                for places, batch in source.in_order():
                    yield [self._place(path, row, split) for path, row in places], batch

    def _place(self, path: str, row: int | None, split: str) -> Place:
        known = self._names.get(str(Path(path).absolute()))
        if known is None:
            return Place(f"{self.loaded.path}#{split}", self.loaded.path, row)
        return Place(known[0], known[1], row)


def _is_misfit(problem: Problem) -> bool:
    key = problem.key or ""
    return key.split(".")[0] in AGAINST_MODEL and not any(part in key.split(".") for part in NOT_OF_DATA)


def _misfit(problem: Problem) -> Misfit:
    expected = "" if problem.expected is None else f"; expected {problem.expected}"
    found = "" if problem.value is None else f" (found {problem.value})"
    where = problem.location
    return Misfit(
        error=f"{problem.message}{found}{expected}",
        got="",
        key=problem.key,
        file=None if where is None else where.file,
        line=None if where is None else where.line,
    )


def _facts(experiment: Experiment, facts: DataFacts) -> DataFacts:
    """A model that begins with a normalisation takes inputs of any scale: theirs is not judged."""
    first = next((m for m in experiment.model.modules() if next(m.parameters(recurse=False), None) is not None), None)
    norms = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)  # noqa: SLF001 - the base of all
    return replace(facts, input_mean=None, input_std=None) if isinstance(first, norms) else facts
