"""How often the fit verdict is right on curves whose making is known, and how often it cries wolf on healthy ones.

    python benchmarks/fit_verdict.py [--first SEED] [--seeds N]

Limits were chosen and checked on seeds 0-259; results/fit_verdict.txt has seeds 1000-1199, made once the limits stood.
Every curve is a loss over epochs on fixed blocks of samples (some blocks are harder than others), with jitter from epoch to
epoch, at a scale between 1e-3 and 1e4 and sometimes shifted below zero, as likelihoods of densities are.
"""

from __future__ import annotations

import argparse
import math
import random
from collections import Counter
from collections.abc import Callable

from dltool.core.measured.task import Task
from dltool.core.measured.training import Baseline, EpochRecord, History, StepGain, StepGains
from dltool.core.measurements import Measurements, Section
from dltool.rules.fit_verdict import verdict

BLOCKS = 20
STEPS_PER_EPOCH = 20

Curves = tuple[list[float], list[float], dict[str, float]]
"""Training and validation loss by epoch as shares of the trivial loss, and what else the run was like."""


def good(draw: random.Random, n: int) -> Curves:
    """Falls and comes to rest; a small gap, as healthy nets have."""
    floor, tau = draw.uniform(0.0, 0.5), n / draw.uniform(8.0, 20.0)
    train = [floor + (1.0 - floor) * math.exp(-t / tau) for t in range(n)]
    distance = draw.uniform(0.0, 0.12)
    return train, [a + distance * (1.0 - math.exp(-t / tau)) for t, a in enumerate(train)], {}


def good_but_jagged(draw: random.Random, n: int) -> Curves:
    """Healthy with a high rate: single epochs jump, more so on validation (batch norm, SGD at 0.1)."""
    train, val, _ = good(draw, n)
    return train, val, {"jitter": draw.uniform(0.01, 0.03), "val_jitter": draw.uniform(0.02, 0.06)}


def good_slightly_late(draw: random.Random, n: int) -> Curves:
    """Healthy, with a validation loss that creeps up a little after its minimum: too little to matter."""
    train, val, _ = good(draw, n)
    creep = draw.uniform(0.0, 0.03)
    return train, [v + creep * max(0.0, t / n - 0.5) * 2.0 for t, v in enumerate(val)], {}


def edge_of_stability(draw: random.Random, n: int) -> Curves:
    """Full-batch descent at a high rate: jagged from epoch to epoch, falling over longer stretches, resting low."""
    floor, tau = draw.uniform(0.0, 0.1), n / draw.uniform(5.0, 8.0)
    train = [(floor + (1.0 - floor) * math.exp(-t / tau)) * (1.0 + 0.3 * (-1) ** t * draw.random()) for t in range(n)]
    return train, [a + 0.05 for a in train], {}


def slow(draw: random.Random, n: int) -> Curves:
    """Stopped while still falling."""
    floor, tau = draw.uniform(0.0, 0.2), n * draw.uniform(0.5, 1.5)
    train = [floor + (1.0 - floor) * math.exp(-t / tau) for t in range(n)]
    return train, [a + 0.02 * (1.0 - math.exp(-t / tau)) for t, a in enumerate(train)], {}


def underfit(draw: random.Random, n: int) -> Curves:
    """Comes to rest, but high, with steps that do all they can."""
    floor, tau = draw.uniform(0.72, 0.9), n / draw.uniform(8.0, 20.0)
    train = [floor + (1.0 - floor) * math.exp(-t / tau) for t in range(n)]
    return train, [a + 0.02 * (1.0 - math.exp(-t / tau)) for t, a in enumerate(train)], {"overshoot": draw.uniform(0.0, 0.1)}


def plateau(draw: random.Random, n: int) -> Curves:
    """Falls, then stands still, high, because every other step overshoots."""
    train, val, _ = underfit(draw, n)
    return train, val, {"overshoot": draw.uniform(0.4, 0.6)}


def overfit_rise(draw: random.Random, n: int) -> Curves:
    """Validation turns round and climbs while training goes on."""
    tau, turn = n / draw.uniform(3.0, 8.0), n * draw.uniform(0.2, 0.5)
    train = [math.exp(-t / tau) for t in range(n)]
    climb = draw.uniform(0.25, 1.0)
    low = draw.uniform(0.2, 0.5)
    val = [low + (1.0 - low) * math.exp(-t / tau) + climb * max(0.0, t - turn) / (n - turn) for t in range(n)]
    return train, val, {}


def overfit_gap(draw: random.Random, n: int) -> Curves:
    """Training falls to nothing, validation comes to rest far above it."""
    tau, floor = n / draw.uniform(6.0, 12.0), draw.uniform(0.4, 0.8)
    train = [math.exp(-t / tau) for t in range(n)]
    return train, [floor + (1.0 - floor) * a for a in train], {}


def oscillating(draw: random.Random, n: int) -> Curves:
    """Thrown back and forth, getting nowhere."""
    middle, swing = draw.uniform(0.5, 0.8), draw.uniform(0.15, 0.3)
    train = [1.0 if t == 0 else middle + swing * (-1) ** t * draw.uniform(0.6, 1.0) for t in range(n)]
    return train, [a + 0.02 for a in train], {}


def diverging(draw: random.Random, n: int) -> Curves:
    """Falls at first, then grows without bound."""
    turn, rate = n * draw.uniform(0.1, 0.6), draw.uniform(0.15, 0.5)
    train = [max(0.5, 1.0 - 0.1 * t) + math.expm1(rate * max(0.0, t - turn)) for t in range(n)]
    return (train, [a * 1.05 for a in train], {}) if train[-1] > 2.0 else diverging(draw, n)


def trivial(draw: random.Random, n: int) -> Curves:
    """Never leaves the level of the best constant output."""
    above = draw.uniform(0.0, 0.02)
    return [1.0 + above] * n, [1.0 + above] * n, {}


MAKERS: dict[str, tuple[Callable[[random.Random, int], Curves], tuple[str, ...]]] = {
    "good": (good, ("good-fit",)),
    "good, jagged": (good_but_jagged, ("good-fit",)),
    "good, slightly late": (good_slightly_late, ("good-fit",)),
    "edge of stability": (edge_of_stability, ("good-fit", "not-converged")),
    "slow": (slow, ("not-converged",)),
    "underfit": (underfit, ("underfitting",)),
    "plateau": (plateau, ("plateau",)),
    "overfit, rise": (overfit_rise, ("overfitting",)),
    "overfit, gap": (overfit_gap, ("overfitting",)),
    "oscillating": (oscillating, ("oscillating",)),
    "diverging": (diverging, ("diverged",)),
    "trivial": (trivial, ("no-better-than-trivial",)),
}
HEALTHY = tuple(name for name in MAKERS if name.startswith("good") or name == "edge of stability")
QUIET = ("good-fit", "inconclusive")


def measure(maker: Callable[[random.Random, int], Curves], seed: int) -> Measurements:
    """Sections of one made-up run; everything about it follows from ``seed``."""
    draw = random.Random(seed)
    n = draw.randint(12, 60)
    train, val, traits = maker(draw, n)
    unit = 10.0 ** draw.uniform(-3.0, 4.0)
    shift = draw.choice((0.0, 0.0, 0.0, -2.0))
    jitter = traits.get("jitter", draw.uniform(0.0, 0.01))
    hardness = {split: [draw.lognormvariate(0.0, 0.3) for _ in range(BLOCKS)] for split in ("train", "val")}
    epochs = tuple(
        _epoch(
            draw,
            epoch=t,
            train=train[t],
            val=val[t],
            hardness=hardness,
            jitter=jitter,
            val_jitter=traits.get("val_jitter", jitter),
            unit=unit,
            shift=shift,
        )
        for t in range(n)
    )
    sections: list[Section] = [
        History(epochs=epochs, best_epoch=None, train_block_weights=(1.0,) * BLOCKS, val_block_weights=(1.0,) * BLOCKS),
        Baseline(description="mean target", train_loss=(1.0 + shift) * unit, val_loss=(1.0 + shift) * unit),
        _task(),
        _gains(draw, n, traits.get("overshoot", 0.05)),
    ]
    return Measurements(sections)


def _epoch(
    draw: random.Random,
    *,
    epoch: int,
    train: float,
    val: float,
    hardness: dict[str, list[float]],
    jitter: float,
    val_jitter: float,
    unit: float,
    shift: float,
) -> EpochRecord:
    blocks: dict[str, tuple[float, ...]] = {}
    for split, loss, size in (("train", train, jitter), ("val", val, val_jitter)):
        hard = hardness[split]
        middle = sum(hard) / BLOCKS
        common = loss * (1.0 + draw.gauss(0.0, size)) if size < 0.005 else loss + draw.gauss(0.0, size)
        blocks[split] = tuple(unit * (common * h / middle + shift + 0.02 * loss * draw.gauss(0.0, 1.0)) for h in hard)
    return EpochRecord(
        epoch=epoch,
        step=(epoch + 1) * STEPS_PER_EPOCH,
        lr=0.1,
        running_loss=unit * (train * (1.0 + 0.02 * draw.gauss(0.0, 1.0)) + shift),
        train_loss=sum(blocks["train"]) / BLOCKS,
        val_loss=sum(blocks["val"]) / BLOCKS,
        train_blocks=blocks["train"],
        val_blocks=blocks["val"],
    )


def _gains(draw: random.Random, epochs: int, overshoot: float) -> StepGains:
    steps = range(0, epochs * STEPS_PER_EPOCH, STEPS_PER_EPOCH)
    return StepGains(
        gains=tuple(
            StepGain(
                step=s, loss_before=1.0, predicted_change=-0.01, actual_change=0.005 if draw.random() < overshoot else -0.008
            )
            for s in steps
        )
    )


def _task() -> Task:
    return Task(
        kind="regression",
        loss="mse",
        loss_terms=("mse",),
        outputs=1,
        train_samples=1000,
        val_samples=250,
        batch_size=50,
        full_batch=False,
        steps_per_epoch=STEPS_PER_EPOCH,
    )


def table(first: int, seeds: int) -> dict[str, Counter[str]]:
    """Verdicts by kind of curve over seeds ``first`` .. ``first + seeds - 1``."""
    return {
        name: Counter(verdict(measure(maker, seed)).status for seed in range(first, first + seeds))
        for name, (maker, _) in MAKERS.items()
    }


def main() -> None:
    """Print the confusion table, the share judged right and the share of healthy curves accused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=200)
    asked = parser.parse_args()
    rows = table(asked.first, asked.seeds)
    right = 0
    for name, counts in rows.items():
        expected = MAKERS[name][1]
        hits = sum(counts[status] for status in expected)
        right += hits
        print(f"{name:22}{hits / asked.seeds:7.1%}  " + ", ".join(f"{s} {c}" for s, c in counts.most_common()))
    accused = sum(c for name in HEALTHY for s, c in rows[name].items() if s not in (*QUIET, *MAKERS[name][1]))
    print(f"right {right / asked.seeds / len(rows):.1%}; healthy curves accused {accused / asked.seeds / len(HEALTHY):.2%}")


if __name__ == "__main__":
    main()
