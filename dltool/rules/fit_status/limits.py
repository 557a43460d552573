"""The limits of the fit verdict; each is shown, and can be overridden, at the rule that it belongs to."""

from __future__ import annotations

from dltool.rules.base import Threshold

CALIBRATED = "chosen and checked with benchmarks/fit_verdict.py on seeds 0-259, reported there on seeds 1000-1199"

OVERFIT_GAP = Threshold(
    name="gap",
    default=0.25,
    unit="share of the trivial baseline's loss",
    source=CALIBRATED + "; the healthy samples (sample_configs/healthy) have gaps below 0.05",
)
OVERFIT_RISE = Threshold(name="rise", default=0.05, unit="share of the trivial baseline's loss", source=CALIBRATED)
CONFIDENCE = Threshold(
    name="confidence",
    default=0.99,
    unit="two-sided confidence of the bootstrap over blocks of samples",
    source="Efron & Tibshirani 1993, ch. 13; divided among the epochs searched for the minimum (Bonferroni)",
)
NOT_CONVERGED_GAIN = Threshold(
    name="gain",
    default=0.05,
    unit="share of the trivial baseline's loss that as many epochs again would bring",
    source=CALIBRATED,
)
FAR_BETTER = Threshold(
    name="far_better",
    default=0.5,
    unit="share of the trivial baseline's loss already removed, above which the finding is only information",
    source="convention: half of what there was to learn is learnt",
)
UNDERFIT_EXPLAINED = Threshold(
    name="explained",
    default=1.0 / 3.0,
    unit="share of the trivial baseline's loss removed from the training loss",
    source=CALIBRATED + "; linear regression on the diabetes data explains 0.52, so noise alone leaves that much",
)
UNDERFIT_NEIGHBOUR_MARGIN = Threshold(
    name="neighbour_margin",
    default=0.2,
    unit="share of the trivial baseline's loss above what a nearest-neighbour vote reaches",
    source="Cover & Hart 1967: the neighbour's error is at most twice the least possible; label smoothing of 0.1 costs 0.2",
)
UNDERFIT_NEIGHBOUR_SHARE = Threshold(
    name="neighbour_share",
    default=2.0 / 3.0,
    unit="share of the variance common to near neighbours that training must explain to be acquitted",
    source="weak signals: the log loss explains 1 / (2 ln 2) = 0.72 of Gini's variance (Taylor, two equal classes)",
)
PLATEAU_SHARE = Threshold(
    name="share", default=1.0 / 3.0, unit="share of the run, at its end, in which the loss stood still", source=CALIBRATED
)
PLATEAU_OVERSHOOT = Threshold(
    name="overshoot",
    default=0.25,
    unit="share of downhill steps that raised the loss of their own batch, while it stood still",
    source="Conn, Gould & Toint 2000, section 6.1: a step whose gain ratio is below 0 is rejected and the radius shrunk",
)
DIVERGED_RISE = Threshold(
    name="rise", default=0.25, unit="share of the trivial baseline's loss, above both start and baseline", source=CALIBRATED
)
DIVERGED_LOST = Threshold(
    name="lost", default=0.5, unit="share of the progress made that was lost again by the end", source=CALIBRATED
)
TRIVIAL_MARGIN = Threshold(
    name="margin",
    default=0.01,
    unit="share of the trivial baseline's loss that has to be removed to count as better",
    source=CALIBRATED,
)
TRIVIAL_PATIENCE = Threshold(
    name="patience",
    default=10.0,
    unit="times the run so far within which a falling loss must pass the baseline to be not-converged instead",
    source="convention: nobody trains ten times as long when a higher rate would do",
)
IGNORES_TOLERANCE = Threshold(
    name="tolerance",
    default=0.001,
    unit="share of the trivial baseline's loss by which exchanged or constant inputs change the loss",
    source="convention: a tenth of the margin by which a net must beat the trivial baseline",
)
IGNORES_SPREAD = Threshold(
    name="spread",
    default=0.01,
    unit="standard deviation of the outputs over samples, over their root mean square",
    source="benchmarks/untrained.py: nets that have learnt nothing yet spread by 0.05 or more",
)
SWING_AMPLITUDE = Threshold(
    name="amplitude",
    default=0.1,
    unit="median change from epoch to epoch, as a share of the trivial baseline's loss",
    source=CALIBRATED,
)
SWING_ALTERNATION = Threshold(
    name="alternation",
    default=0.5,
    unit="share of changes that reverse the one before",
    source="independent noise reverses 2/3 of the time, a random walk 1/2, a trend 0 (Kendall & Stuart, turning points)",
)
LEAST_EPOCHS = Threshold(
    name="epochs",
    default=4.0,
    unit="epochs below which a curve has no shape to judge",
    source="a line's error needs 3 points",
)

LIMITS = {
    "overfitting": (OVERFIT_GAP, OVERFIT_RISE, CONFIDENCE),
    "not-converged": (NOT_CONVERGED_GAIN, FAR_BETTER),
    "underfitting": (UNDERFIT_EXPLAINED, UNDERFIT_NEIGHBOUR_MARGIN, UNDERFIT_NEIGHBOUR_SHARE),
    "plateau": (PLATEAU_SHARE, PLATEAU_OVERSHOOT),
    "diverged": (DIVERGED_RISE, DIVERGED_LOST),
    "no-better-than-trivial": (TRIVIAL_MARGIN, TRIVIAL_PATIENCE),
    "ignores-input": (IGNORES_TOLERANCE, IGNORES_SPREAD),
    "oscillating-loss": (SWING_AMPLITUDE, SWING_ALTERNATION),
    "inconclusive": (LEAST_EPOCHS,),
}

DEFAULTS = {f"{rule}.{t.name}": t.default for rule, limits in LIMITS.items() for t in limits}
"""Default of every limit by ``<rule>.<threshold>``."""
