"""Watches a run: at chosen steps it asks the probes to measure, at the end it makes sections of what they found.

A look takes its step apart without touching it. Before the update it reads the gradients and keeps samples of the weights;
after it, the step's own batch goes through the model once more, with the same random state, which shows the activations and
what the update did to the loss. Between looks the recorder keeps the random state of each step, so that one whose loss turns
out non-finite can be run again, and does nothing else.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dltool.core.codec import decode, encode
from dltool.core.measured.training import GradientTrace, Parameters, StepGain, StepGains, Watch
from dltool.core.measurements import Section
from dltool.probes.activations import IdleCounts, Moments, Network
from dltool.probes.gates import GateCounts
from dltool.probes.graph import foreign_parameters
from dltool.probes.nested import batch_size
from dltool.probes.parameters import BeforeUpdate, fingerprint, named_parameters, norms, total_norm
from dltool.probes.places import Key
from dltool.probes.preserve import TorchRandom, device_of, preserved
from dltool.probes.residual import Residuals
from dltool.training.experiment import Batch, Experiment, Nested
from dltool.training.failure import explain
from dltool.training.forward_work import ForwardWork, count
from dltool.training.observer import Observer, StepInfo
from dltool.training.recorder_audit import Audit, audit, audit_batch_size
from dltool.training.recorder_incidents import Incidents
from dltool.training.recorder_plan import (
    FEWEST_AUDIT_SAMPLES,
    LookPlan,
    Sizes,
    audit_flops,
    audit_samples,
    look_flops,
    plan_looks,
    step_flops,
)
from dltool.training.recorder_records import ActivationSeries, idle_shares, layer_records, parameter_records
from dltool.training.recorder_series import ParameterSeries
from dltool.training.recorder_symmetry import SymmetryWatch

FEWEST_AT_START = 16
"""Samples of the first batch from which idle units are told: one that fires half the time stays silent in 1 of 65536."""

ROUNDINGS = 4.0
"""Machine epsilons that a mean over a batch is off by."""


@dataclass(slots=True)
class _Look:
    """A step that is being looked at."""

    step: int
    gradients: list[float]
    weights: list[float]
    before: BeforeUpdate


class Recorder(Observer):
    """Records one run of ``fit``; hand it to ``fit`` as an observer, then ask for ``sections``."""

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment
        self._model = experiment.model
        self._bf16 = experiment.settings.precision == "bf16"
        self._device = device_of(experiment.model)
        self._parameters = named_parameters(experiment.model)
        self._network = Network(experiment.model)
        self._residuals = Residuals(experiment.model)
        self._symmetry = SymmetryWatch(experiment.model)
        self._series = ParameterSeries()
        self._activations = ActivationSeries()
        self._gains: list[StepGain] = []
        self._incidents = Incidents(experiment)
        self._trace: list[tuple[int, float]] = []
        self._prints: dict[str, int] = {}
        self._plan: LookPlan | None = None
        self._audit_samples = FEWEST_AUDIT_SAMPLES
        self._steps_planned = 0
        self._next = 0
        self._updates = 0
        self._idle_at_start: dict[Key, float] = {}
        self._unregistered: tuple[tuple[int, ...], ...] = ()
        self._random: TorchRandom | None = None
        self._looking = False
        self._look: _Look | None = None
        self._audited: Audit | None = None
        self.initial_loss: float | None = None
        """The loss of step 0, before the first update; None until then."""

    def run_start(self, steps_planned: int, steps_per_epoch: int) -> None:
        """Remember what the weights and buffers were."""
        del steps_per_epoch
        self._steps_planned = steps_planned
        self._device = device_of(self._model)
        self._prints = {p.name: fingerprint(p.tensor) for p in self._parameters}
        self._incidents.start()
        self._symmetry.start()

    def step_start(self, info: StepInfo, batch: Batch) -> None:
        """Keep the random state; before the first look, learn the network."""
        self._random = TorchRandom.capture(self._device)
        self._look = None
        self._looking = info.step == self._next
        if self._looking:
            plan = self._plan or self._learn(batch)
            self._next = plan.next_after(info.step)

    def forward_end(self, info: StepInfo, output: Nested, loss: Tensor) -> None:
        """At the first step: parameters in the graph of the loss that nobody will update."""
        del output
        if info.step == 0:
            known = self._optimised() | {id(p.tensor) for p in self._parameters}
            self._unregistered = tuple(tuple(p.shape) for p in foreign_parameters(loss, known))

    def backward_end(self, info: StepInfo) -> None:
        """On a look: norms of the gradients, and samples to compare with after the update."""
        if not self._looking:
            return
        tensors = [p.tensor for p in self._parameters]
        gradients = norms(p.grad for p in tensors)
        self._look = _Look(info.step, gradients, norms(p.detach() for p in tensors), BeforeUpdate(tensors))
        self._trace.append((info.step, total_norm(gradients)))
        self._symmetry.see_gradients()

    def update_end(self, info: StepInfo, batch: Batch, loss: float) -> None:
        """On a look: what the update did to the weights and to the loss of its own batch, and every layer's activations."""
        self._updates += 1
        if self.initial_loss is None:
            self.initial_loss = loss
        look, self._look, self._looking = self._look, None, False
        if look is None:
            return
        update = look.before.compare()
        self._series.add(look.step, gradients=look.gradients, weights=look.weights, updates=update.lengths)
        self._incidents.look(look.step, look.gradients, {p.name: p.tensor for p in self._parameters})
        loss_after = self._try_again(batch)
        if self._experiment.settings.accumulate == 1:
            self._gains.append(
                StepGain(
                    step=info.step,
                    loss_before=loss,
                    predicted_change=update.predicted_change,
                    actual_change=loss_after - loss,
                    resolution=ROUNDINGS * abs(loss) * torch.finfo(torch.bfloat16 if self._bf16 else self._dtype()).eps,
                )
            )

    def bad_step(self, info: StepInfo, batch: Batch, output: Nested, loss: Tensor) -> None:
        """Run the step again to find where the loss went bad; with accumulated batches its random state is not known."""
        del output, loss
        self._looking = False
        if self.initial_loss is None:
            self.initial_loss = float("nan")
        self._incidents.trace(info.step, batch, self._replay, self._precision)

    def sections(self) -> list[Section]:
        """Everything measured. The first call runs the pass over unaugmented samples for idle units, within the budget."""
        if self._audited is None:
            self._audited = audit(self._experiment, self._network, self._audit_samples, self._precision)
        plan = self._plan or LookPlan(every=1, doublings=0)
        prints = {p.name: fingerprint(p.tensor) for p in self._parameters}
        return [
            layer_records(
                self._network,
                self._residuals,
                self._parameters,
                self._series,
                self._activations,
                self._audited,
                self._idle_at_start,
            ),
            Parameters(
                parameters=parameter_records(
                    self._network,
                    self._parameters,
                    self._series,
                    self._optimised(),
                    {n: prints[n] != p for n, p in self._prints.items()},
                ),
                steps=self._updates,
                unregistered=self._unregistered,
            ),
            StepGains(gains=tuple(self._gains)),
            GradientTrace(steps=tuple(step for step, _ in self._trace), norms=tuple(norm for _, norm in self._trace)),
            self._incidents.section(),
            Watch(
                overhead=self._experiment.settings.watch_overhead,
                every=plan.every,
                looks=len(self._series.steps),
                steps=self._updates,
            ),
            self._symmetry.section(),
        ]

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs to go on bit for bit."""
        return {
            "plan": encode(self._plan),
            "audit_samples": self._audit_samples,
            "next": self._next,
            "updates": self._updates,
            "initial_loss": torch.tensor([] if self.initial_loss is None else [self.initial_loss], dtype=torch.float64),
            "series": self._series.state_dict(),
            "activations": self._activations.state_dict(),
            "network": self._network.state_dict(),
            "residuals": sorted(self._residuals.paths),
            "symmetry": self._symmetry.state_dict(),
            "gains": encode(StepGains(gains=tuple(self._gains))),
            "incidents": self._incidents.state_dict(),
            "trace_steps": [step for step, _ in self._trace],
            "trace_norms": torch.tensor([norm for _, norm in self._trace], dtype=torch.float64),
            "prints": dict(self._prints),
            "unregistered": [list(shape) for shape in self._unregistered],
            "idle_at_start": [[*key, share] for key, share in self._idle_at_start.items()],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what ``state_dict`` gave; called after ``run_start``."""
        self._plan = None if state["plan"] is None else decode(LookPlan, state["plan"])
        self._audit_samples, self._next, self._updates = state["audit_samples"], state["next"], state["updates"]
        self.initial_loss = next(iter(state["initial_loss"].tolist()), None)
        self._series.load_state_dict(state["series"])
        self._activations.load_state_dict(state["activations"])
        self._network.load_state_dict(state["network"])
        self._residuals.paths = set(state["residuals"])
        self._symmetry.load_state_dict(state["symmetry"])
        self._gains = list(decode(StepGains, state["gains"]).gains)
        self._incidents.load_state_dict(state["incidents"])
        self._trace = list(zip(state["trace_steps"], state["trace_norms"].tolist(), strict=True))
        self._prints = dict(state["prints"])
        self._unregistered = tuple(tuple(shape) for shape in state["unregistered"])
        self._idle_at_start = {(path, call): share for path, call, share in state["idle_at_start"]}

    def _learn(self, batch: Batch) -> LookPlan:
        """Forward passes before the first step: which modules run in which order, and how much work that is."""
        samples = batch_size(batch.input) or 1

        def forward() -> int:
            try:
                self._model(batch.input)
            except Exception as problem:
                raise explain(problem, "running the model on a training batch") from problem
            return samples

        with preserved(self._model, replay=self._random), self._precision():
            with self._network.learning_places(samples):
                work = count(forward)
            idle, gates = IdleCounts(self._network), GateCounts(self._network.modules)
            # On its own, for what it computes is not the model's work.
            with self._residuals.finding(), idle.counting(samples), gates.counting():
                forward()
        if samples >= FEWEST_AT_START:
            self._idle_at_start = idle_shares(self._network, Audit(idle, gates, all_samples=False))
        self._plan = self._planned(work, samples)
        return self._plan

    def _planned(self, work: ForwardWork, samples: int) -> LookPlan:
        """When to look, and how long the pass at the end may be."""
        settings, places = self._experiment.settings, len(self._network.places)
        step = step_flops(work, samples) * settings.accumulate
        elements = sum(p.tensor.numel() for p in self._parameters)
        size = audit_batch_size(samples)
        self._audit_samples = audit_samples(
            steps=self._steps_planned,
            audit=audit_flops(work, places, size),
            step=step,
            overhead=settings.watch_overhead,
            batch_size=size,
        )
        return plan_looks(
            steps=self._steps_planned,
            look=look_flops(work, Sizes(places=places, parameters=len(self._parameters), elements=elements), samples),
            step=step,
            overhead=settings.watch_overhead,
            every=settings.watch_every,
        )

    def _try_again(self, batch: Batch) -> float:
        """The step's batch again, in the same mode and with the same random state, now that the weights have moved."""
        moments = Moments(self._network)
        with preserved(self._model, replay=self._replay):
            with self._precision(), moments.watching(batch_size(batch.input)):
                loss = self._experiment.criterion(self._model(batch.input), batch.target)
            self._activations.add(moments.values())
            return float(loss)

    def _optimised(self) -> set[int]:
        optimizer = self._experiment.optimizer
        groups = [] if optimizer is None else optimizer.param_groups
        return {id(parameter) for group in groups for parameter in group["params"]}

    @property
    def _replay(self) -> TorchRandom | None:
        """The random state of the step; with accumulated batches that of its last batch is not known."""
        return self._random if self._experiment.settings.accumulate == 1 else None

    def _precision(self) -> AbstractContextManager[object]:
        return torch.autocast(self._device.type, dtype=torch.bfloat16) if self._bf16 else nullcontext()

    def _dtype(self) -> torch.dtype:
        return next((p.tensor.dtype for p in self._parameters if p.tensor.is_floating_point()), torch.float32)
