"""What probes measure, as plain numbers and names: the only thing that rules get to see.

A run's measurements are a set of sections, one frozen dataclass each. A rule names the sections that it needs; a run that
did not measure one of them makes the rule "skipped", with that reason. Sections survive JSON (``core.codec``), so a saved
report can be judged again. Losses are in the units of the loss, norms are L2, shares and ratios are between 0 and 1.

No slots here: a slotted dataclass is a second class, and the first would stay among ``Section.__subclasses__()``.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, TypeVar

from dltool.core.codec import decode, encode
from dltool.core.finding import Phase

PLACES: Mapping[str, tuple[str, ...]] = {
    "compare": (
        "sides",
        "not_compared",
        "compared_findings",
        "rules_lost",
        "changes",
        "words",
        "curves",
        "compared_samples",
    ),
    "design": ("architecture", "objective", "samples", "plan"),
    "gradcheck": ("parameters", "inputs", "culprits", "points"),
    "hunt": ("steps_run", "steps_planned", "first_bad_step", "guarding", "lead_up", "fix_trials", "evidence", "bad_inputs"),
    "init_stats": ("layers", "growth", "loss_at_start", "candidates", "coordinate_check"),
    "lint": ("specs",),
    "lr_find": ("suggested_lr", "lr_range", "curve", "lr_answer", "lr_trials", "lr_decades", "own_lr"),
    "scan": ("samples_scanned", "bad_samples", "scan", "formats"),
    "scan_classes": ("classes", "suspected_labels"),
    "scan_flaws": ("flaws",),
    "scan_likeness": ("duplicates", "near_duplicates", "equal_rows", "shared_rows", "strangers"),
    "scan_model": ("sample_shapes", "model_fit", "probe"),
    "scan_pictures": ("images",),
    "scan_run": ("left_out", "manifest_check", "shard_records"),
    "scan_tables": ("features", "extremes"),
    "speed": ("speed",),
}
"""The keys of the sections in each module of ``core.measured``, which is imported when one of them is to be read."""

TaskKind = Literal["classification", "binary", "regression", "other"]


@dataclass(frozen=True, kw_only=True)
class Section:
    """Base of every section; ``key`` is its name in the report's ``measurements``.

    Where two commands measure different things under one name, ``only_in`` says whose this section is.
    """

    key: ClassVar[str]
    only_in: ClassVar[str | None] = None


SectionT = TypeVar("SectionT", bound=Section)


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
class Task(Section):
    """What is to be learnt, from which data, against which loss."""

    key: ClassVar[str] = "task"
    kind: TaskKind
    loss: str
    loss_terms: tuple[str, ...]
    outputs: int | None
    train_samples: int | None
    val_samples: int | None
    batch_size: int | None
    full_batch: bool
    steps_per_epoch: int
    class_counts: tuple[int, ...] | None = None
    target_mean: float | None = None
    target_std: float | None = None
    target_min: float | None = None
    target_max: float | None = None
    per_element: bool = False
    dropout: bool = False
    augmented: bool = False
    batch_norm: bool = False


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
class TensorFacts:
    """A tensor in numbers; ``minimum`` and ``maximum`` are over its finite values, None where it has none."""

    shape: tuple[int, ...]
    dtype: str
    nan: int = 0
    positive_inf: int = 0
    negative_inf: int = 0
    zeros: int = 0
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, kw_only=True)
class NonFiniteEvent:
    """The first place where a value stopped being finite, at the step it happened.

    The fields from ``file`` on are known where the step was traced. ``inputs`` are the tensors that the birth operator took
    and ``output`` the first bad one that it gave; ``index`` is the first bad place in it and ``operands`` are the values
    that the inputs had there, where the operator is elementwise. ``makers`` are the public names of the operators that made
    the inputs in this step (None for what was there before it), ``names`` what the others are called (``parameter w``,
    ``input``). ``finite_again`` is, in backward, the forward function that had turned the bad value met there into a
    finite one. ``arguments`` are its plain arguments by name (an exponent,
    an eps). In backward ``forward_op`` is the operator whose gradient was computed. ``source`` says where a value
    came from that was bad before the step ("target", "exp_avg_sq"), ``proof`` in words what was mended to heal the step,
    ``settings`` the optimizer's numbers (lr, eps, ...) and the rest of what a cause may hang on. ``code`` is the user's
    line itself.
    """

    phase: Phase
    step: int
    value: Literal["nan", "inf"]
    count: int
    module: str | None = None
    parameter: str | None = None
    op: str | None = None
    samples: tuple[int, ...] | None = None
    term: str | None = None
    file: str | None = None
    line: int | None = None
    aten: str | None = None
    forward_op: str | None = None
    inputs: tuple[TensorFacts, ...] = ()
    output: TensorFacts | None = None
    index: tuple[int, ...] | None = None
    operands: tuple[float, ...] = ()
    makers: tuple[str | None, ...] = ()
    names: tuple[str | None, ...] = ()
    finite_again: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    source: str | None = None
    proof: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    code: str | None = None


@dataclass(frozen=True, kw_only=True)
class NonFinite(Section):
    """Non-finite values met in the run, earliest first; empty on a healthy one."""

    key: ClassVar[str] = "non_finite"
    events: tuple[NonFiniteEvent, ...]


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
class Output(Section):
    """What the trained (or starting) model returns on a sample of the data, in eval mode."""

    key: ClassVar[str] = "output"
    final_module: str | None
    final_activation: str | None
    loss_expects: Literal["logits", "probabilities", "log-probabilities", "values", "unknown"]
    rows_sum_to_one: bool | None
    non_negative: bool
    within_unit_interval: bool
    spread_ratio: float | None
    initial_loss: float | None
    expected_initial_loss: float | None


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


@dataclass(frozen=True, kw_only=True)
class DataProblemRows:
    """Rows of one split that share a fault; ``rows`` are the first few, counted from 0 in that split's source order."""

    split: str
    column: str | None
    count: int
    rows: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class DataFacts(Section):
    """What was seen of the data before training."""

    key: ClassVar[str] = "data"
    non_finite_inputs: tuple[DataProblemRows, ...]
    non_finite_targets: tuple[DataProblemRows, ...]
    label_min: int | None
    label_max: int | None
    labels_present: int | None
    outputs: int | None
    out_of_range: tuple[DataProblemRows, ...]
    input_mean: float | None
    input_std: float | None
    input_min: float | None
    input_max: float | None
    constant_features: tuple[int, ...]


class Measurements:
    """The sections of one run, by type: ``measured[History]`` is the history."""

    def __init__(self, sections: Iterable[Section] = ()) -> None:
        self._sections: dict[type[Section], Section] = {type(section): section for section in sections}

    def __getitem__(self, kind: type[SectionT]) -> SectionT:
        section = self._sections[kind]
        assert isinstance(section, kind)
        return section

    def __contains__(self, kind: type[Section]) -> bool:
        return kind in self._sections

    @property
    def keys(self) -> frozenset[str]:
        """The keys of the sections."""
        return frozenset(kind.key for kind in self._sections)

    def __iter__(self) -> Iterator[Section]:
        return iter(self._sections.values())

    def get(self, kind: type[SectionT]) -> SectionT | None:
        """The section, or None when this run did not measure it."""
        section = self._sections.get(kind)
        assert section is None or isinstance(section, kind)
        return section

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data, by section key; a section of one field is that field (``layers`` is a list)."""
        return {section.key: _flatten(section) for section in self}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], command: str = "train") -> Measurements:
        """Rebuild the sections of a saved report of ``command``; keys that are no section are passed over."""
        modules = (module for module, keys in PLACES.items() if not data.keys().isdisjoint(keys))
        known = [kind for kind in _sections_in(modules) if kind.only_in in {None, command}]
        kinds = {kind.key: kind for kind in sorted(known, key=lambda kind: kind.only_in is not None)}
        return cls(decode(kinds[key], _unflatten(kinds[key], item)) for key, item in data.items() if key in kinds)


def every_section() -> tuple[type[Section], ...]:
    """Every kind of section, those of single commands included."""
    return _sections_in(PLACES)


def _sections_in(modules: Iterable[str]) -> tuple[type[Section], ...]:
    """The sections of these modules of ``core.measured``, after those of this one."""
    names = [__name__, *(importlib.import_module(f"dltool.core.measured.{module}").__name__ for module in modules)]
    return tuple(kind for name in names for kind in Section.__subclasses__() if kind.__module__ == name)


def _flatten(section: Section) -> Any:
    names = [f.name for f in fields(section)]
    return encode(getattr(section, names[0]) if len(names) == 1 else section)


def _unflatten(kind: type[Section], data: Any) -> Any:
    names = [f.name for f in fields(kind)]
    return {names[0]: data} if len(names) == 1 else data
