"""A loaded spec to an experiment: data, model, loss, optimizer and schedule, with all mistakes that can be told at once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from dltool.core.errors import DataError, Problem, UserError
from dltool.core.measured.task import DataFacts
from dltool.data.dataset import DataBundle
from dltool.data.facts import with_outputs
from dltool.probes.nested import place, transform
from dltool.specs.build.criterion import SumCriterion
from dltool.specs.build.data import build_data
from dltool.specs.build.imports import construct
from dltool.specs.build.loss import boundary, build_criterion, checked, default_loss, task_kind
from dltool.specs.build.metrics import MetricContext, build_metric
from dltool.specs.build.model import BuiltModel, build_model
from dltool.specs.build.optimizers import DEFAULT_LR, build_optimizer, default_optimizer
from dltool.specs.build.schedules import RunLength, build_schedule
from dltool.specs.load import LoadedSpec
from dltool.specs.misfit import Collector, MisfitError, first_line
from dltool.specs.schema.base import Target
from dltool.specs.schema.losses import BceWithLogits
from dltool.specs.schema.metrics import Metric as MetricSpec
from dltool.specs.schema.spec import Spec
from dltool.specs.shapes.incoming import Incoming, incoming_of
from dltool.training.experiment import (
    Batch,
    BatchSource,
    EarlyStopping,
    Experiment,
    Metric,
    Nested,
    Regularisation,
    Schedule,
    TrainSettings,
)  # fmt: skip
from dltool.training.modes import evaluating
from dltool.training.untouched import untouched

CHECKED_SAMPLES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What the command line adds to a target."""

    device: torch.device
    seed: int | None = None
    epochs: int | None = None
    steps: int | None = None
    allow_import: tuple[str, ...] = ()


def build_experiment(loaded: LoadedSpec, options: RunOptions) -> Experiment:
    """Everything that the spec describes, ready to train.

    Raises:
        SpecError: what does not fit together, all at once where one mistake does not hide another.
        DataError: data that cannot be read.
    """
    spec, allowed = loaded.spec, options.allow_import
    seed = spec.seed if options.seed is None else options.seed
    data = build_data(loaded, seed)
    batch = first_batch(data.train)
    collector = Collector(loaded)
    incoming = collector.build(("model", "input"), lambda: _incoming(spec, data))
    collector.raise_if_any()
    assert incoming is not None
    built = collector.build(("model",), lambda: build_model(loaded, incoming, batch.input, seed, allowed))
    if built is None:  # what does not need the model can still be told
        loss = spec.loss
        if loss is not None:
            collector.build(("loss",), lambda: build_criterion(loss, allowed))
        collector.raise_if_any()
    assert built is not None
    built.model.to(options.device)
    experiment = _Parts(loaded, options, data, built, batch, seed, collector).experiment()
    collector.raise_if_any()
    assert experiment is not None
    return experiment


def first_batch(source: BatchSource) -> Batch:
    """A few samples, always the same, as they are when not augmented.

    Raises:
        DataError: there are none.
    """
    for batch in source.fixed(limit=CHECKED_SAMPLES):
        return batch
    raise DataError(Problem(message="the training split has no samples"))


def _incoming(spec: Spec, data: DataBundle) -> Incoming:
    variable = data.variable_length
    return incoming_of(
        spec.model, Incoming(tuple(data.input_shape), sequence=variable, padded=variable, integers=data.integer_inputs)
    )


def run_length(train: BatchSource, spec_epochs: int, accumulate: int, options: RunOptions) -> tuple[int, RunLength]:
    """Epochs and steps to run: ``steps`` alone makes as many epochs as it takes, both together whichever ends first."""
    per_epoch = -(-len(train) // accumulate)
    epochs = options.epochs or (spec_epochs if options.steps is None else -(-options.steps // per_epoch))
    total = epochs * per_epoch
    return epochs, RunLength(total if options.steps is None else min(total, options.steps), per_epoch)


@dataclass(slots=True)
class _Parts:
    """What is built once the model stands."""

    loaded: LoadedSpec
    options: RunOptions
    data: DataBundle
    built: BuiltModel
    batch: Batch
    seed: int
    collector: Collector
    assumptions: list[str] = field(default_factory=list)

    def experiment(self) -> Experiment | None:
        """The experiment, or None when the collector has problems."""
        spec, data = self.loaded.spec, self.data
        self.assumptions.extend(data.assumptions)
        epochs, run = run_length(data.train, spec.train.epochs, spec.train.accumulate, self.options)
        output = self.collector.build(("model",), self._output)
        if output is None:
            return None
        criterion = self.collector.build(("loss",), lambda: self._criterion(output))
        optimizer = self.collector.build(("optimizer",), self._optimizer)
        schedule = None
        if optimizer is not None:
            schedule = self.collector.build(("schedule",), lambda: self._schedule(optimizer, run))
        stopping = self.collector.build(("train", "early_stopping"), self._early_stopping)
        if criterion is None:
            return None
        metrics = self._metrics(criterion, output)
        if self.collector.problems:
            return None
        return Experiment(
            name=Path(self.loaded.path).stem,
            target=self.loaded.path,
            model=self.built.model,
            train=data.train,
            val=data.val,
            criterion=criterion,
            optimizer=optimizer,
            schedule=schedule,
            metrics=metrics,
            settings=self._settings(epochs, stopping),
            task=task_kind(criterion, output, self.batch.target),
            facts=self._facts(output, criterion),
            seed=self.seed,
            device=self.options.device,
            spec=self.loaded.resolved,
            spec_sha256=self.loaded.sha256,
            sources=self.built.sources,
            kept_in_eval=self.built.kept_in_eval,
            assumptions=tuple(self.assumptions),
            ignored_rules=self.loaded.ignored_rules(),
            orders=self.loaded.orders,
            key_lines=self.loaded.key_lines(),
            rule_thresholds=spec.rules.thresholds,
            allow_nonfinite=spec.rules.allow_nonfinite,
        )

    def _output(self) -> Nested:
        """What the model returns for a few training samples, in eval mode."""
        batch = Batch(*(place(part, self.options.device) for part in self.batch))
        try:
            return try_model(self.built.model, batch.input)
        except (UserError, KeyboardInterrupt):
            raise
        except Exception as error:
            raise MisfitError(
                f"the model cannot take a batch of the data: {type(error).__name__}: {first_line(error)}"
            ) from error

    def _channels_last(self) -> bool:
        leaving = self.built.output
        return leaving is not None and leaving.sequence and len(leaving.shape) == 2

    def _criterion(self, output: Nested) -> SumCriterion:
        spec = self.loaded.spec.loss
        target = place(self.batch.target, self.options.device)
        if spec is None:
            spec = default_loss(target, output, self.data.output_size if self.data.task != "regression" else None)
            self.assumptions.append(f"No loss was given: {spec.kind} was taken, which suits the targets.")
        criterion = build_criterion(spec, self.options.allow_import, channels_last=self._channels_last())
        checked(lambda: criterion(output, target))
        return criterion

    def _optimizer(self) -> torch.optim.Optimizer | None:
        spec, parameters = self.loaded.spec.optimizer, trainable(self.built.model)
        if not parameters:
            return None
        if spec is None:
            self.assumptions.append(f"No optimizer was given: AdamW with a learning rate of {DEFAULT_LR:g} was taken.")
            return default_optimizer(parameters)
        if not isinstance(spec, Target):
            return build_optimizer(spec, parameters)
        made = construct(spec, self.options.allow_import, parameters)
        if not isinstance(made, torch.optim.Optimizer):
            raise MisfitError("an optimizer must be a torch.optim.Optimizer", value=type(made).__name__, below=("_target_",))
        return made

    def _schedule(self, optimizer: torch.optim.Optimizer, run: RunLength) -> Schedule | None:
        spec = self.loaded.spec
        return build_schedule(spec.schedule, getattr(spec.optimizer, "decay", 0.0), optimizer, run)

    def _metrics(self, criterion: SumCriterion, output: Nested) -> list[Metric]:
        target = place(self.batch.target, self.options.device)
        variance = None if self.data.target_std is None else self.data.target_std**2
        metrics = []
        for index, spec in enumerate(self.loaded.spec.metrics):
            context = MetricContext(boundary(criterion), self._channels_last(), variance)
            metric = self.collector.build(("metrics", index), lambda s=spec, c=context: _tried(s, c, output, target))  # type: ignore[misc]
            metrics += [metric] if metric is not None else []
        return metrics

    def _early_stopping(self) -> EarlyStopping | None:
        spec = self.loaded.spec.train.early_stopping
        if spec is None:
            return None
        names = [metric.kind for metric in self.loaded.spec.metrics]
        known = ["val_loss", "train_loss", *names, *(f"val_{name}" for name in names)]
        if spec.monitor not in known:
            raise MisfitError(
                "nothing of that name is measured", value=spec.monitor, expected=", ".join(known), below=("monitor",)
            )
        return EarlyStopping(patience=spec.patience, monitor=spec.monitor, min_delta=spec.min_delta)

    def _settings(self, epochs: int, stopping: EarlyStopping | None) -> TrainSettings:
        spec = self.loaded.spec
        return TrainSettings(
            epochs=epochs,
            max_steps=self.options.steps,
            clip_norm=spec.train.clip_norm,
            clip_value=spec.train.clip_value,
            early_stopping=stopping,
            precision=spec.train.precision,
            accumulate=spec.train.accumulate,
            regularisation=Regularisation(
                l1=spec.regularize.l1,
                l2=spec.regularize.l2,
                max_norm=spec.regularize.max_norm,
                layer_l2=self.built.layer_l2,
            ),
            watch_overhead=spec.watch.overhead,
            watch_every=spec.watch.every,
        )

    def _facts(self, output: Nested, criterion: SumCriterion) -> DataFacts:
        """The data's facts, labels judged against the model's outputs."""
        outputs = self._outputs(output)
        yes_or_no = self.loaded.spec.loss is None and criterion.name == BceWithLogits.kind
        data = replace(self.data, valid_labels=(0, 1)) if yes_or_no else self.data
        return data.facts if outputs is None else with_outputs(data, outputs)

    def _outputs(self, output: Nested) -> int | None:
        if not isinstance(output, Tensor) or output.dim() < 2:
            return 1 if isinstance(output, Tensor) else None
        return output.shape[-1] if output.dim() == 2 or self._channels_last() else output.shape[1]


def _tried(spec: MetricSpec, context: MetricContext, output: Nested, target: Nested) -> Metric:
    metric = build_metric(spec, context)
    metric.update(transform(output, torch.detach), target)
    return metric


def trainable(model: nn.Module) -> list[nn.Parameter]:
    """The parameters that an optimizer may move."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def try_model(model: nn.Module, value: Nested) -> Nested:
    """The model's output in eval mode, with every module's mode and the random state put back.

    Gradients are on: a model or its loss may take some itself (a gradient penalty). The model gets a copy: it may write
    into its input, and the batches are those of the run. What it counts or caches is as before.
    """
    with untouched(model), evaluating(model), torch.enable_grad(), torch.random.fork_rng(devices=[]):
        return model(transform(value, torch.clone))
