"""What `init-stats` measured: signals and gradients through the depth before any training, candidates, and widths.

Signals go from the input to the output, gradients back. The *trunk* is what both pass in turn: layers with weights that lie
in no residual block, and the blocks as wholes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from dltool.core.measured.training import UnitShare
from dltool.core.measurements import Section

Role = Literal["weights", "block", "activation", "normalisation", "embedding", "other"]
Theory = Literal["he", "xavier", "lecun"]


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """Counts of values in bins of equal width from ``low`` to ``high``; ``outside`` are those beyond, or not finite."""

    low: float
    high: float
    counts: tuple[int, ...]
    outside: int


@dataclass(frozen=True, kw_only=True)
class WeightScale:
    """The spread of one weight (of one gate, for fused ones the mean over gates) against theory.

    ``expected_std`` is that of ``theory`` for the activation in use, with its ``gain``: He (He et al. 2015) gain / √fan_in,
    Xavier (Glorot & Bengio 2010) gain · √(2 / (fan_in + fan_out)), LeCun (LeCun et al. 1998) 1 / √fan_in.
    ``variance_ratio`` is the measured variance over the expected one. ``before_norm``: a normalisation follows, which takes
    the scale out again.
    """

    parameter: str
    std: float
    expected_std: float
    variance_ratio: float
    theory: Theory
    gain: float
    activation: str | None
    fan_in: int
    fan_out: int
    before_norm: bool


@dataclass(frozen=True, kw_only=True)
class InitLayer:
    """One place in the network, in the order of the forward pass; a block stands after what is in it.

    ``signal_std`` is the spread from sample to sample: the standard deviation over samples, root mean square over units and
    positions. ``std`` is over all values, so that it also sees what is the same for every sample. ``gradient_norm`` is the
    norm of the loss's gradient with respect to the output, ``weight_gradient_norm`` with respect to its parameters.
    ``signal_growth`` is ``signal_std`` over that of the layer or block before in the same ``inside`` (the residual block
    around it; None in the trunk), ``gradient_growth`` is ``gradient_norm`` over that of the next. ``through_time`` is the
    factor by which a recurrent layer's gradient changes per time step, over ``time_steps`` of them.
    """

    name: str
    kind: str
    depth: int
    call: int
    role: Role
    activation: str | None
    output_shape: tuple[int, ...]
    parameters: int
    trainable: bool
    is_output: bool
    inside: str | None
    mean: float
    std: float
    signal_std: float
    gradient_norm: float | None
    weight_gradient_norm: float | None
    signal_growth: float | None = None
    gradient_growth: float | None = None
    dead: UnitShare | None = None
    saturated: UnitShare | None = None
    saturated_values: float | None = None
    weights: tuple[WeightScale, ...] = ()
    zero_weights: bool = False
    histogram: Histogram | None = None
    through_time: float | None = None
    time_steps: int | None = None


@dataclass(frozen=True, kw_only=True)
class InitLayers(Section):
    """The network at its start, place by place."""

    key: ClassVar[str] = "layers"
    only_in: ClassVar[str | None] = "init-stats"

    layers: tuple[InitLayer, ...]


@dataclass(frozen=True, kw_only=True)
class Growth:
    """How a quantity changes along its way through the trunk: a robust line through its logarithm (Theil and Sen).

    ``factor`` is over the whole way, ``per_layer`` over one layer, in the direction of travel (gradients: from the output to
    the input). ``steady`` when the trend is beyond chance (Mann and Kendall's one-sided 1 % point, or every single step goes
    one way). ``cut_at`` is the first layer on the way after which nothing arrives any more, ``non_finite_at`` the first with
    NaN or Inf. ``start`` and ``end`` name the ends of the way, ``blocks`` counts residual blocks among the ``layers``.
    """

    factor: float
    per_layer: float
    steady: bool
    layers: int
    blocks: int
    start: str
    end: str
    cut_at: str | None = None
    non_finite_at: str | None = None


@dataclass(frozen=True, kw_only=True)
class SignalGrowth(Section):
    """Forward and backward growth; None where fewer than two layers of the trunk carry a number.

    ``zero_head``: the output layer starts at zero, so that no gradient passes it in the first step. ``input_finite``: the
    batch itself holds no NaN or Inf. ``variance_ratio`` is the median over the trunk's weights, norms apart.
    """

    key: ClassVar[str] = "growth"

    forward: Growth | None
    backward: Growth | None
    samples: int
    zero_head: bool = False
    input_finite: bool = True
    variance_ratio: float | None = None


@dataclass(frozen=True, kw_only=True)
class LossAtStart(Section):
    """The loss before the first step, and what the task implies.

    ``chance_loss`` is that of a classifier for which all classes are equally likely (ln K for cross-entropy),
    ``trivial_loss`` that of the best constant output: the entropy of the class frequencies, the variance of the target.
    """

    key: ClassVar[str] = "loss_at_start"

    loss: float
    chance_loss: float | None
    trivial_loss: float | None
    trivial: str | None


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One initialisation, measured on the same batches as the others.

    ``score`` is 0 for one that keeps everything (see ``dltool init-stats --help``); lower is better. ``problem`` says why it
    could not be measured. ``dead`` and ``saturated`` are the worst shares of any hidden layer.
    """

    name: str
    yaml: str | None
    score: float
    forward: Growth | None
    backward: Growth | None
    loss: float
    dead: float | None
    saturated: float | None
    symmetric: bool = False
    problem: str | None = None


@dataclass(frozen=True, kw_only=True)
class Remeasured:
    """A candidate over several seeds: its score and both factors, seed by seed."""

    name: str
    scores: tuple[float, ...]
    forward_factors: tuple[float, ...]
    backward_factors: tuple[float, ...]
    losses: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Comparison(Section):
    """Candidates, best first; ``as it is`` among them.

    ``remeasured`` are the best ones over further seeds, on which the choice of ``recommended`` rests; ``lines`` are the YAML
    (or, for a factory, Python) lines to use.
    """

    key: ClassVar[str] = "candidates"

    candidates: tuple[Candidate, ...]
    recommended: str | None
    lines: tuple[str, ...]
    remeasured: tuple[Remeasured, ...]
    kept: tuple[str, ...] = ()
    """Layers with an initialisation of their own, which the candidates left alone."""


@dataclass(frozen=True, kw_only=True)
class CoordinateLayer:
    """One layer over the widths: root mean square of its output at the start, and of its change over the steps taken.

    The exponents are slopes of log size over log width (0: does not depend on the width), with their standard errors.
    """

    name: str
    is_output: bool
    activations: tuple[float, ...]
    updates: tuple[float, ...]
    activation_exponent: float
    activation_error: float
    update_exponent: float
    update_error: float


CoordinateVerdict = Literal[
    "independent", "activations-grow", "activations-shrink", "updates-grow", "updates-shrink", "unstable"
]


@dataclass(frozen=True, kw_only=True)
class CoordinateCheck(Section):
    """Activations and updates over widths (Yang et al. 2022, appendix D.1): means over ``seeds``, after ``steps`` steps."""

    key: ClassVar[str] = "coordinate_check"

    varied: str
    widths: tuple[int, ...]
    steps: int
    seeds: int
    optimizer: str
    lr: float
    layers: tuple[CoordinateLayer, ...]
    verdict: CoordinateVerdict
    reason: str
    advice: tuple[str, ...] = ()
