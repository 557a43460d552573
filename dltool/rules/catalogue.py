"""The catalogue: every rule, in the order of the families and of the ids within them. One explicit tuple, no registry."""

from __future__ import annotations

from dltool.rules.activations.collapsed_representation import CollapsedRepresentation
from dltool.rules.activations.dead_relu import DeadRelu
from dltool.rules.activations.saturated_activation import SaturatedActivation
from dltool.rules.base import Rule
from dltool.rules.compared.data_shifted import DataShifted
from dltool.rules.compared.earlier_non_finite import EarlierNonFinite
from dltool.rules.compared.flow_changed import FlowChanged
from dltool.rules.compared.gradient_error_grew import GradientErrorGrew
from dltool.rules.compared.idle_units_grew import IdleUnitsGrew
from dltool.rules.compared.loss_regressed import LossRegressed
from dltool.rules.compared.metric_regressed import MetricRegressed
from dltool.rules.compared.not_comparable import NotComparable
from dltool.rules.compared.rule_not_judged import RuleNotJudged
from dltool.rules.compared.slower import Slower
from dltool.rules.compared.suggested_rate_moved import SuggestedRateMoved
from dltool.rules.data.class_imbalance import ClassImbalance
from dltool.rules.data.constant_feature import ConstantFeature
from dltool.rules.data.constant_image import ConstantImage
from dltool.rules.data.corrupt_file import CorruptFile
from dltool.rules.data.duplicate_sample import DuplicateSample
from dltool.rules.data.format_mismatch import FormatMismatch
from dltool.rules.data.label_out_of_range import LabelOutOfRange
from dltool.rules.data.labels_not_zero_based import LabelsNotZeroBased
from dltool.rules.data.missing_class import MissingClass
from dltool.rules.data.non_finite_value import NonFiniteValue
from dltool.rules.data.outlier import Outlier
from dltool.rules.data.shape_mismatch import ShapeMismatch
from dltool.rules.data.shuffled_labels import ShuffledLabels
from dltool.rules.data.split_leakage import SplitLeakage
from dltool.rules.data.suspected_label_error import SuspectedLabelError
from dltool.rules.data.unnormalised_input import UnnormalisedInput
from dltool.rules.data.unnormalised_target import UnnormalisedTarget
from dltool.rules.data.unsafe_file import UnsafeFile
from dltool.rules.fit.diverged import Diverged
from dltool.rules.fit.ignores_input import IgnoresInput
from dltool.rules.fit.inconclusive import Inconclusive
from dltool.rules.fit.no_better_than_trivial import NoBetterThanTrivial
from dltool.rules.fit.not_converged import NotConverged
from dltool.rules.fit.overfitting import Overfitting
from dltool.rules.fit.plateau import Plateau
from dltool.rules.fit.underfitting import Underfitting
from dltool.rules.gradients.batch_mixing import BatchMixing
from dltool.rules.gradients.exploding_gradient import ExplodingGradient
from dltool.rules.gradients.gradient_mismatch import GradientMismatch
from dltool.rules.gradients.nondifferentiable_point import NondifferentiablePoint
from dltool.rules.gradients.parameter_not_optimised import ParameterNotOptimised
from dltool.rules.gradients.parameter_without_gradient import ParameterWithoutGradient
from dltool.rules.gradients.vanishing_gradient import VanishingGradient
from dltool.rules.initialisation.exploding_activations import ExplodingActivations
from dltool.rules.initialisation.exploding_gradients_at_init import ExplodingGradientsAtInit
from dltool.rules.initialisation.surprising_initial_loss import SurprisingInitialLoss
from dltool.rules.initialisation.symmetric_units import SymmetricUnitsAtStart
from dltool.rules.initialisation.vanishing_activations import VanishingActivations
from dltool.rules.initialisation.vanishing_gradients_at_init import VanishingGradientsAtInit
from dltool.rules.nonfinite.non_finite_backward import NonFiniteBackward
from dltool.rules.nonfinite.non_finite_buffer import NonFiniteBuffer
from dltool.rules.nonfinite.non_finite_forward import NonFiniteForward
from dltool.rules.nonfinite.non_finite_input import NonFiniteInput
from dltool.rules.nonfinite.non_finite_loss import NonFiniteLoss
from dltool.rules.nonfinite.non_finite_parameter import NonFiniteParameter
from dltool.rules.nonfinite.non_finite_update import NonFiniteUpdate
from dltool.rules.spec.bias_before_norm import BiasBeforeNorm
from dltool.rules.spec.bounded_output_regression import BoundedOutputRegression
from dltool.rules.spec.broadcast_loss import BroadcastLoss
from dltool.rules.spec.constant_init import ConstantInit
from dltool.rules.spec.excessive_dropout import ExcessiveDropout
from dltool.rules.spec.excessive_regularisation import ExcessiveRegularisation
from dltool.rules.spec.global_stats_in_training import GlobalStatsInTraining
from dltool.rules.spec.init_activation_mismatch import InitActivationMismatch
from dltool.rules.spec.learning_rate_out_of_range import LearningRateOutOfRange
from dltool.rules.spec.loss_task_mismatch import LossTaskMismatch
from dltool.rules.spec.missing_nonlinearity import MissingNonlinearity
from dltool.rules.spec.missing_output_activation import MissingOutputActivation
from dltool.rules.spec.output_size_mismatch import OutputSizeMismatch
from dltool.rules.spec.pool_stride_exceeds_kernel import PoolStrideExceedsKernel
from dltool.rules.spec.relu_output import ReluOutput
from dltool.rules.spec.sigmoid_before_bce_with_logits import SigmoidBeforeBceWithLogits
from dltool.rules.spec.softmax_before_cross_entropy import SoftmaxBeforeCrossEntropy
from dltool.rules.spec.softmax_over_one_unit import SoftmaxOverOneUnit
from dltool.rules.spec.spatial_collapse import SpatialCollapse
from dltool.rules.spec.sum_reduction import SumReduction
from dltool.rules.spec.target_encoding_mismatch import TargetEncodingMismatch
from dltool.rules.spec.too_few_epochs import TooFewEpochs
from dltool.rules.spec.unshuffled_data import UnshuffledData
from dltool.rules.spec.wrong_output_activation import WrongOutputActivation
from dltool.rules.updates.learning_rate_too_high import LearningRateTooHigh
from dltool.rules.updates.learning_rate_too_low import LearningRateTooLow
from dltool.rules.updates.oscillating_loss import OscillatingLoss
from dltool.rules.updates.parameter_not_updated import ParameterNotUpdated

RULES: tuple[type[Rule], ...] = (
    SoftmaxBeforeCrossEntropy,
    SoftmaxOverOneUnit,
    SigmoidBeforeBceWithLogits,
    MissingOutputActivation,
    WrongOutputActivation,
    BoundedOutputRegression,
    ReluOutput,
    LossTaskMismatch,
    TargetEncodingMismatch,
    OutputSizeMismatch,
    BroadcastLoss,
    SumReduction,
    MissingNonlinearity,
    BiasBeforeNorm,
    ExcessiveDropout,
    ExcessiveRegularisation,
    PoolStrideExceedsKernel,
    SpatialCollapse,
    LearningRateOutOfRange,
    ConstantInit,
    InitActivationMismatch,
    GlobalStatsInTraining,
    UnshuffledData,
    TooFewEpochs,
    NonFiniteValue,
    CorruptFile,
    FormatMismatch,
    ConstantFeature,
    ConstantImage,
    Outlier,
    UnnormalisedInput,
    UnnormalisedTarget,
    LabelOutOfRange,
    LabelsNotZeroBased,
    MissingClass,
    ClassImbalance,
    DuplicateSample,
    SplitLeakage,
    ShapeMismatch,
    UnsafeFile,
    ShuffledLabels,
    SuspectedLabelError,
    VanishingActivations,
    ExplodingActivations,
    VanishingGradientsAtInit,
    ExplodingGradientsAtInit,
    SymmetricUnitsAtStart,
    SurprisingInitialLoss,
    GradientMismatch,
    NondifferentiablePoint,
    VanishingGradient,
    ExplodingGradient,
    ParameterWithoutGradient,
    ParameterNotOptimised,
    BatchMixing,
    DeadRelu,
    SaturatedActivation,
    CollapsedRepresentation,
    NonFiniteInput,
    NonFiniteParameter,
    NonFiniteBuffer,
    NonFiniteForward,
    NonFiniteLoss,
    NonFiniteBackward,
    NonFiniteUpdate,
    LearningRateTooHigh,
    LearningRateTooLow,
    ParameterNotUpdated,
    OscillatingLoss,
    Underfitting,
    Overfitting,
    NotConverged,
    Diverged,
    Plateau,
    NoBetterThanTrivial,
    IgnoresInput,
    Inconclusive,
    LossRegressed,
    MetricRegressed,
    FlowChanged,
    IdleUnitsGrew,
    GradientErrorGrew,
    SuggestedRateMoved,
    DataShifted,
    EarlierNonFinite,
    Slower,
    RuleNotJudged,
    NotComparable,
)
