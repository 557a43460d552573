"""What probes measure of a training run: losses, layers and parameters, gradients and updates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from dltool.core.measurements import Section


@dataclass(frozen=True, kw_only=True)
class Summary:
    """One number followed over the looks of a run; NaN and Inf are kept, never dropped."""

    first: float
    median: float
    last: float
    minimum: float
    maximum: float
    count: int


@dataclass(frozen=True, kw_only=True)
class UnitShare:
    """The share of a layer's units in some state, with the bounds that the number of observations allows.

    A dead unit was never seen to fire; a saturated one was saturated on more than half of the samples (``tolerance_ratio``
    0.5). ``share`` counts the units seen to be so; ``lower`` only those that are so beyond doubt: the upper confidence bound
    of how often they would show otherwise is below ``tolerance_ratio``; ``upper`` all for which that is not ruled out.
    ``units`` are the units of the layer, ``observations`` the samples seen, ``examples`` the first few units in that state.
    """

    share: float
    lower: float
    upper: float
    tolerance_ratio: float
    units: int
    observations: int
    examples: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Optimisation(Section):
    """How the weights were moved. ``lr`` is the rate that was set, before any schedule."""

    key: ClassVar[str] = "optimisation"
    optimizer: str
    lr: float
    momentum: float
    weight_decay: float
    l1: float
    l2: float
    max_norm: float | None
    clip_norm: float | None
    clip_value: float | None
    clipped_steps: int
    steps: int
    epochs_planned: int
    epochs_run: int
    schedule: str | None
    precision: str
    accumulate: int
    stopped: Literal["finished", "early-stopping", "non-finite", "interrupted", "timeout"]


@dataclass(frozen=True, kw_only=True)
class Baseline(Section):
    """The loss of the best constant output: fitted on the training targets, measured on both splits.

    The blocks are its losses on the very groups of samples that ``History`` measures, so that the two compare pair by pair;
    empty where that was not measured.
    """

    key: ClassVar[str] = "baseline"
    description: str
    train_loss: float
    val_loss: float | None
    train_blocks: tuple[float, ...] = ()
    val_blocks: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class EpochRecord:
    """One epoch. ``running_loss`` is averaged while the weights moved, in training mode, without penalties.

    ``train_loss`` is measured again in eval mode on a fixed part of the training split (None where the budget left the
    epoch out); ``val_loss`` likewise on the validation split. The blocks are the means of the same fixed groups of samples
    at every epoch, so that two epochs can be compared pair by pair.
    """

    epoch: int
    step: int
    lr: float
    running_loss: float
    train_loss: float | None
    val_loss: float | None
    train_blocks: tuple[float, ...] = ()
    val_blocks: tuple[float, ...] = ()
    train_metrics: Mapping[str, float] | None = None
    val_metrics: Mapping[str, float] | None = None


@dataclass(frozen=True, kw_only=True)
class History(Section):
    """Every epoch run, and the one with the lowest validation loss (training loss where there is no validation)."""

    key: ClassVar[str] = "history"
    epochs: tuple[EpochRecord, ...]
    best_epoch: int | None
    train_block_weights: tuple[float, ...] = ()
    val_block_weights: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Spike:
    """A step whose loss stood far above what the steps before it led to expect."""

    step: int
    loss: float
    expected: float


@dataclass(frozen=True, kw_only=True)
class LossTrace(Section):
    """The loss by step: each point is the mean over ``stride`` steps; ``smoothed`` is the bias-corrected EWMA at its end."""

    key: ClassVar[str] = "loss_trace"
    stride: int
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    spikes: tuple[Spike, ...]


@dataclass(frozen=True, kw_only=True)
class LayerRecord:
    """One leaf module, in the order of the first forward pass (``depth`` counts from 0 over modules that ran).

    ``output_shape`` is that of one sample. A module without parameters that runs at several places (one shared relu) has a
    record for each, told apart by ``call``. ``saturated_values`` is the share of all its values that are saturated,
    whichever unit they belong to. ``idle_at_start`` is the share of units that were dead (or saturated) in the first batch,
    before the first step; None where that batch is too small to tell. Units of a recurrent layer are its gates.
    """

    name: str
    kind: str
    depth: int
    activation: str | None
    output_shape: tuple[int, ...]
    parameters: int
    trainable: bool
    gradient_norm: Summary | None
    weight_norm: Summary | None
    update_ratio: Summary | None
    activation_mean: Summary | None
    activation_std: Summary | None
    dead: UnitShare | None
    saturated: UnitShare | None
    is_output: bool = False
    residual: bool = False
    saturated_values: float | None = None
    idle_at_start: float | None = None
    call: int = 0


@dataclass(frozen=True, kw_only=True)
class Layers(Section):
    """The network, layer by layer."""

    key: ClassVar[str] = "layers"
    layers: tuple[LayerRecord, ...]


@dataclass(frozen=True, kw_only=True)
class ParameterRecord:
    """One parameter, by its name in ``named_parameters()``.

    ``gradient`` says what the looks saw: none at all, exact zeros at every look, or values. ``moved`` compares the last
    weights with the first. ``gradient_rms`` is the norm over the square root of the count, which compares layers of
    different width. ``update_ratio`` is ‖Δw‖/‖w‖ of one optimizer step.
    """

    name: str
    module: str
    shape: tuple[int, ...]
    role: Literal["weight", "bias", "normalisation", "embedding", "other"]
    depth: int | None
    requires_grad: bool
    in_optimizer: bool
    gradient: Literal["none", "zero", "present", "unseen"]
    moved: bool
    gradient_norm: Summary | None
    gradient_rms: Summary | None
    weight_norm: Summary | None
    update_ratio: Summary | None


@dataclass(frozen=True, kw_only=True)
class Parameters(Section):
    """Every parameter of the model; ``steps`` is how many optimizer steps were taken in all.

    ``unregistered`` are the shapes of parameters that the loss depends on and neither model nor optimizer knows of.
    """

    key: ClassVar[str] = "parameters"
    parameters: tuple[ParameterRecord, ...]
    steps: int
    unregistered: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, kw_only=True)
class StepGain:
    """One step tried on its own batch: same batch, same dropout mask, before and after the update.

    ``predicted_change`` is ⟨gradient, Δw⟩, the change in loss that the slope promises (negative when the step goes
    downhill); ``actual_change`` is what the loss did. Their ratio is the gain ratio of trust-region methods (Conn, Gould &
    Toint 2000, §6.1): near 1 the step is short against the curvature, below 0 it overshot.
    """

    step: int
    loss_before: float
    predicted_change: float
    actual_change: float
    resolution: float = 0.0


@dataclass(frozen=True, kw_only=True)
class StepGains(Section):
    """The gain of the steps that were looked at."""

    key: ClassVar[str] = "step_gains"
    gains: tuple[StepGain, ...]


@dataclass(frozen=True, kw_only=True)
class GradientTrace(Section):
    """The total gradient norm (before clipping) at each look; ``steps`` are the looks."""

    key: ClassVar[str] = "gradient_trace"
    steps: tuple[int, ...]
    norms: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Watch(Section):
    """How often the recorder looked, and the budget that decided it."""

    key: ClassVar[str] = "watch"
    overhead: float
    every: int
    looks: int
    steps: int


@dataclass(frozen=True, kw_only=True)
class InputUse(Section):
    """Loss on the same samples with their inputs as they are, exchanged among the samples, and set to their mean.

    ``difference`` is shuffled minus plain, with its 95 % interval from a paired bootstrap over blocks of samples.
    """

    key: ClassVar[str] = "input_use"
    split: Literal["train", "val"]
    samples: int
    loss: float
    shuffled_loss: float
    zeroed_loss: float
    difference: float
    difference_lower: float
    difference_upper: float


@dataclass(frozen=True, kw_only=True)
class LabelSignal(Section):
    """Do near neighbours in input space share a label more often than chance? Under the null hypothesis ``z`` is N(0, 1).

    ``distance_ratio`` is the root mean square distance to the neighbours over that between any two samples: near 1 they are
    no neighbours at all, as happens in many dimensions.
    """

    key: ClassVar[str] = "label_signal"
    samples: int
    neighbours: int
    agreement_ratio: float
    chance_ratio: float
    z: float
    distance_ratio: float | None = None


@dataclass(frozen=True, kw_only=True)
class SymmetricUnits:
    """Units of one layer that start with the same weights; ``gradients`` counts their distinct gradients at that point."""

    module: str
    parameter: str
    units: int
    distinct_weights: int
    distinct_gradients: int
    distinct_weights_last: int


@dataclass(frozen=True, kw_only=True)
class Symmetry(Section):
    """Layers with at least two units that hold identical weights at the start."""

    key: ClassVar[str] = "symmetry"
    layers: tuple[SymmetricUnits, ...]


@dataclass(frozen=True, kw_only=True)
class Mixing(Section):
    """How much one sample's output changes, in eval mode, when only the other samples of its batch are exchanged."""

    key: ClassVar[str] = "mixing"
    batch_size: int
    largest_change_ratio: float
