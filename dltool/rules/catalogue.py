"""The catalogue: every rule, in the order of the families and of the ids within them. One explicit tuple, no registry.

It knows which sections a rule is about, and imports the rule when one of them was measured: no command measures them all.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dltool.rules.base import Rule

FAMILIES = {
    "SPC": "spec",
    "DAT": "data",
    "INI": "initialisation",
    "GRD": "gradients",
    "ACT": "activations",
    "NAN": "nonfinite",
    "OPT": "updates",
    "FIT": "fit",
    "CMP": "compared",
}
"""The package that the rules of a family are in."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A rule as it is listed; the module that its class is in bears its name.

    ``keys`` are the sections that it looks for first: where none of them was measured, it is skipped, and ``told`` are those
    that it says to have missed (all of them, unless given).
    """

    id: str
    name: str
    class_name: str
    keys: tuple[str, ...]
    told: tuple[str, ...] = ()

    def load(self) -> type[Rule]:
        """The rule itself, imported."""
        module = importlib.import_module(f"dltool.rules.{FAMILIES[self.id[:3]]}.{self.name.replace('-', '_')}")
        rule: type[Rule] = getattr(module, self.class_name)
        return rule

    @property
    def not_measured(self) -> str:
        """Why it is skipped where none of its sections was measured."""
        return f"not measured: {', '.join(self.told or self.keys)}"


RULES: tuple[Entry, ...] = (
    Entry(
        "SPC101", "softmax-before-cross-entropy", "SoftmaxBeforeCrossEntropy", ("architecture", "output"), told=("output",)
    ),
    Entry("SPC102", "softmax-over-one-unit", "SoftmaxOverOneUnit", ("architecture",)),
    Entry(
        "SPC103",
        "sigmoid-before-bce-with-logits",
        "SigmoidBeforeBceWithLogits",
        ("architecture", "output"),
        told=("output",),
    ),
    Entry("SPC104", "missing-output-activation", "MissingOutputActivation", ("architecture", "objective")),
    Entry("SPC105", "wrong-output-activation", "WrongOutputActivation", ("architecture", "objective")),
    Entry("SPC106", "bounded-output-regression", "BoundedOutputRegression", ("architecture", "objective")),
    Entry("SPC107", "relu-output", "ReluOutput", ("architecture", "objective")),
    Entry("SPC108", "loss-task-mismatch", "LossTaskMismatch", ("objective",)),
    Entry("SPC109", "target-encoding-mismatch", "TargetEncodingMismatch", ("objective", "samples")),
    Entry("SPC110", "output-size-mismatch", "OutputSizeMismatch", ("architecture", "objective")),
    Entry("SPC111", "broadcast-loss", "BroadcastLoss", ("architecture", "objective")),
    Entry("SPC112", "sum-reduction", "SumReduction", ("objective", "plan")),
    Entry("SPC113", "missing-nonlinearity", "MissingNonlinearity", ("architecture",)),
    Entry("SPC114", "bias-before-norm", "BiasBeforeNorm", ("architecture",)),
    Entry("SPC115", "excessive-dropout", "ExcessiveDropout", ("architecture",)),
    Entry("SPC116", "excessive-regularisation", "ExcessiveRegularisation", ("plan",)),
    Entry("SPC117", "pool-stride-exceeds-kernel", "PoolStrideExceedsKernel", ("architecture",)),
    Entry("SPC118", "spatial-collapse", "SpatialCollapse", ("architecture",)),
    Entry("SPC119", "learning-rate-out-of-range", "LearningRateOutOfRange", ("plan",)),
    Entry("SPC120", "constant-init", "ConstantInit", ("architecture",)),
    Entry("SPC121", "init-activation-mismatch", "InitActivationMismatch", ("architecture",)),
    Entry("SPC122", "global-stats-in-training", "GlobalStatsInTraining", ("architecture",)),
    Entry("SPC123", "unshuffled-data", "UnshuffledData", ("plan", "samples")),
    Entry("SPC124", "too-few-epochs", "TooFewEpochs", ("plan",)),
    Entry("DAT101", "non-finite-value", "NonFiniteValue", ("flaws", "data"), told=("data",)),
    Entry("DAT102", "corrupt-file", "CorruptFile", ("flaws",)),
    Entry("DAT103", "format-mismatch", "FormatMismatch", ("flaws",)),
    Entry("DAT104", "constant-feature", "ConstantFeature", ("features", "data"), told=("data",)),
    Entry("DAT105", "constant-image", "ConstantImage", ("images",)),
    Entry("DAT106", "outlier", "Outlier", ("extremes", "images")),
    Entry("DAT107", "unnormalised-input", "UnnormalisedInput", ("data", "features"), told=("data",)),
    Entry("DAT108", "unnormalised-target", "UnnormalisedTarget", ("task", "features"), told=("task",)),
    Entry("DAT109", "label-out-of-range", "LabelOutOfRange", ("classes", "data"), told=("data",)),
    Entry("DAT110", "labels-not-zero-based", "LabelsNotZeroBased", ("classes", "data"), told=("data",)),
    Entry("DAT111", "missing-class", "MissingClass", ("classes", "task"), told=("task",)),
    Entry("DAT112", "class-imbalance", "ClassImbalance", ("classes", "task"), told=("task",)),
    Entry("DAT113", "duplicate-sample", "DuplicateSample", ("duplicates",)),
    Entry("DAT114", "split-leakage", "SplitLeakage", ("duplicates",)),
    Entry("DAT115", "shape-mismatch", "ShapeMismatch", ("images", "sample_shapes", "model_fit")),
    Entry("DAT116", "unsafe-file", "UnsafeFile", ("flaws",)),
    Entry("DAT117", "shuffled-labels", "ShuffledLabels", ("label_signal", "history", "baseline", "fit")),
    Entry("DAT118", "suspected-label-error", "SuspectedLabelError", ("suspected_labels",)),
    Entry("INI101", "vanishing-activations", "VanishingActivations", ("growth", "layers")),
    Entry("INI102", "exploding-activations", "ExplodingActivations", ("growth",)),
    Entry("INI103", "vanishing-gradients-at-init", "VanishingGradientsAtInit", ("growth", "layers")),
    Entry("INI104", "exploding-gradients-at-init", "ExplodingGradientsAtInit", ("growth", "layers")),
    Entry("INI105", "symmetric-units", "SymmetricUnitsAtStart", ("symmetry",)),
    Entry("INI106", "surprising-initial-loss", "SurprisingInitialLoss", ("output", "task")),
    Entry("GRD101", "gradient-mismatch", "GradientMismatch", ("parameters", "points")),
    Entry("GRD102", "nondifferentiable-point", "NondifferentiablePoint", ("parameters", "points")),
    Entry("GRD103", "vanishing-gradient", "VanishingGradient", ("parameters",)),
    Entry("GRD104", "exploding-gradient", "ExplodingGradient", ("parameters",)),
    Entry("GRD105", "parameter-without-gradient", "ParameterWithoutGradient", ("parameters",)),
    Entry("GRD106", "parameter-not-optimised", "ParameterNotOptimised", ("parameters",)),
    Entry("GRD107", "batch-mixing", "BatchMixing", ("mixing",)),
    Entry("ACT101", "dead-relu", "DeadRelu", ("layers",)),
    Entry("ACT102", "saturated-activation", "SaturatedActivation", ("layers",)),
    Entry("ACT103", "collapsed-representation", "CollapsedRepresentation", ("output",)),
    Entry("NAN101", "non-finite-input", "NonFiniteInput", ("non_finite",)),
    Entry("NAN102", "non-finite-parameter", "NonFiniteParameter", ("non_finite",)),
    Entry("NAN103", "non-finite-buffer", "NonFiniteBuffer", ("non_finite",)),
    Entry("NAN104", "non-finite-forward", "NonFiniteForward", ("non_finite",)),
    Entry("NAN105", "non-finite-loss", "NonFiniteLoss", ("non_finite",)),
    Entry("NAN106", "non-finite-backward", "NonFiniteBackward", ("non_finite",)),
    Entry("NAN107", "non-finite-update", "NonFiniteUpdate", ("non_finite",)),
    Entry("OPT101", "learning-rate-too-high", "LearningRateTooHigh", ("suggested_lr", "step_gains"), told=("step_gains",)),
    Entry(
        "OPT102",
        "learning-rate-too-low",
        "LearningRateTooLow",
        ("suggested_lr", "step_gains", "parameters", "fit"),
        told=("step_gains, parameters, fit",),
    ),
    Entry("OPT103", "parameter-not-updated", "ParameterNotUpdated", ("parameters",)),
    Entry("OPT104", "oscillating-loss", "OscillatingLoss", ("fit",)),
    Entry("FIT101", "underfitting", "Underfitting", ("fit",)),
    Entry("FIT102", "overfitting", "Overfitting", ("fit",)),
    Entry("FIT103", "not-converged", "NotConverged", ("fit",)),
    Entry("FIT104", "diverged", "Diverged", ("fit",)),
    Entry("FIT105", "plateau", "Plateau", ("fit",)),
    Entry("FIT106", "no-better-than-trivial", "NoBetterThanTrivial", ("fit",)),
    Entry("FIT107", "ignores-input", "IgnoresInput", ("fit",)),
    Entry("FIT108", "inconclusive", "Inconclusive", ("fit",)),
    Entry("CMP101", "loss-regressed", "LossRegressed", ("changes", "not_compared")),
    Entry("CMP102", "metric-regressed", "MetricRegressed", ("changes", "not_compared")),
    Entry("CMP103", "flow-changed", "FlowChanged", ("changes", "not_compared")),
    Entry("CMP104", "idle-units-grew", "IdleUnitsGrew", ("changes", "not_compared")),
    Entry("CMP105", "gradient-error-grew", "GradientErrorGrew", ("changes", "not_compared")),
    Entry("CMP106", "suggested-rate-moved", "SuggestedRateMoved", ("changes", "not_compared")),
    Entry("CMP107", "data-shifted", "DataShifted", ("changes", "not_compared")),
    Entry("CMP108", "earlier-non-finite", "EarlierNonFinite", ("changes", "not_compared")),
    Entry("CMP109", "slower", "Slower", ("changes", "not_compared")),
    Entry("CMP110", "rule-not-judged", "RuleNotJudged", ("rules_lost",)),
    Entry("CMP111", "not-comparable", "NotComparable", ("not_compared", "sides")),
)


def every_rule() -> tuple[type[Rule], ...]:
    """All of them, loaded."""
    return tuple(entry.load() for entry in RULES)
