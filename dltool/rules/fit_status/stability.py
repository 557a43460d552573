"""Whether the loss blew up, or swings instead of falling."""

from __future__ import annotations

import math
import statistics

from dltool.core.measured.non_finite import NonFinite
from dltool.core.measured.task import Task
from dltool.core.measured.training import History, LossTrace, Optimisation
from dltool.core.measurements import Measurements
from dltool.rules.fit_status.case import Answer, Case
from dltool.rules.fit_status.curve_tests import swing
from dltool.rules.fit_status.curves import usable

CALM_DOWN = (
    "lower the learning rate, tenfold to begin with",
    "clip the gradient norm (train.clip_norm: 1.0)",
    "warm the rate up over the first steps",
)


def ended_non_finite(measured: Measurements) -> Answer | None:
    """Diverged because the loss is no longer a number: it stayed so to the end, or ended the run."""
    events = measured[NonFinite].events if NonFinite in measured else ()
    stopped = Optimisation in measured and measured[Optimisation].stopped == "non-finite"
    epochs = measured[History].epochs
    trace = measured[LossTrace].losses if LossTrace in measured else ()
    last_epoch_bad = bool(epochs) and not usable(epochs[-1].running_loss)
    if not (stopped or last_epoch_bad or (trace and not usable(trace[-1]))):
        return None
    step = events[0].step if events else None
    when = f" at step {step}" if step is not None else ""
    return Answer(
        status="diverged",
        reason=f"the training stopped being finite{when}",
        evidence={"first_bad_step": step, "epochs_with_finite_loss": sum(usable(e.running_loss) for e in epochs)},
        advice=CALM_DOWN,
    )


def diverged(case: Case) -> Answer | None:
    """The training loss ended far above both its start and the baseline, or lost most of the progress it had made."""
    curves = case.curves
    end = statistics.median(curves.trend.last(3).values)
    start = curves.start if curves.start is not None else curves.trend.values[0]
    ceiling = start if curves.baseline is None else max(start, curves.baseline)
    noise = 3.0 * curves.trend.jitter
    evidence = {"start_loss": start, "final_loss": end, "baseline_loss": curves.baseline, "jitter": curves.trend.jitter}
    if not end <= ceiling + max(noise, _batch_noise(case), case.limits["diverged.rise"] * curves.scale):
        reason = f"the training loss ended at {end:.4g}, above both its start ({start:.4g}) and the trivial baseline"
        return Answer(status="diverged", reason=reason, evidence=evidence, advice=CALM_DOWN)
    return _fell_back(case, start, end, noise, evidence)


def _batch_noise(case: Case) -> float:
    """How far the loss of one batch, as the start is, may lie off that of the split: by three standard errors.

    Taken from the best constant's losses on blocks of samples, which know nothing of how the run went.
    """
    task, blocks = case.measured.get(Task), case.curves.baseline_blocks
    if task is None or not task.batch_size or not task.train_samples or len(blocks) < 2:
        return 0.0
    return 3.0 * statistics.stdev(blocks) * math.sqrt(task.train_samples / len(blocks) / task.batch_size)


def _fell_back(case: Case, start: float, end: float, noise: float, evidence: dict[str, float | None]) -> Answer | None:
    trend = case.curves.trend
    if len(trend) < 6:
        return None
    smooth = [statistics.median(trend.values[i : i + 3]) for i in range(len(trend) - 2)]
    best = min(range(len(smooth)), key=lambda i: (smooth[i], i))
    progress = start - smooth[best]
    back = min(trend.last(3).values) - smooth[best]
    if not progress > 0.1 * case.curves.scale or not back > max(noise, case.limits["diverged.lost"] * progress):
        return None
    turn = f"{trend.unit} {trend.at[best + 1]}"
    return Answer(
        status="diverged",
        reason=f"the training loss fell to {smooth[best]:.4g} by {turn} and climbed back to {end:.4g}",
        evidence=evidence | {"lowest_loss": smooth[best], f"lowest_{trend.unit}": trend.at[best + 1]},
        advice=(f"keep the checkpoint of {turn}", *CALM_DOWN),
    )


def oscillating(case: Case) -> Answer | None:
    """The later half goes back and forth by a material amount and gets nowhere.

    A loss that is jagged yet falls over longer stretches trains at the edge of stability (Cohen et al. 2021) and is healthy.
    """
    curves, limits = case.curves, case.limits
    if curves.trend.unit == "step":
        return None
    seen = swing(curves.trend)
    if seen is None or not seen.amplitude >= limits["oscillating-loss.amplitude"] * curves.scale:
        return None
    if seen.alternation_ratio < limits["oscillating-loss.alternation"] or seen.progress > seen.amplitude:
        return None
    return Answer(
        status="oscillating",
        reason=f"the loss goes up and down by {seen.amplitude:.3g} from epoch to epoch and gets no lower",
        evidence={
            "amplitude": seen.amplitude,
            "alternation_ratio": seen.alternation_ratio,
            "progress": seen.progress,
            "scale": curves.scale,
        },
        advice=(
            "lower the learning rate, tenfold to begin with",
            "enlarge the batch, or accumulate gradients",
            "lower the momentum",
        ),
    )
