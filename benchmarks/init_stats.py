"""Right, missed and false: the rules on signals and gradients at the start, on nets whose state is known.

    python benchmarks/init_stats.py            # seeds that nobody looked at while the limits were chosen
    python benchmarks/init_stats.py --chosen   # those that they were chosen on
    python benchmarks/init_stats.py --quick    # one seed

Each net takes one batch of 256 standard-normal samples with random labels. The factors are the extremes over the seeds of
the fitted growth over the whole depth: of the signal forward, of the gradient backward.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Collection

import torch
from torch import nn
from torch.nn import functional as F
from zoo.starts import BROKEN, CLASSES, EXPLODING, GRADIENT_EXPLODES, GRADIENT_VANISHES, HEALTHY, VANISHING

from dltool.core.measured.init_stats import Growth, InitLayers
from dltool.core.measurements import Measurements
from dltool.probes.starting import measure_start
from dltool.rules.select import judge

SAMPLES = 256
CHOSEN_ON, REPORTED_ON = range(5), range(100, 120)
RULES = (VANISHING, EXPLODING, GRADIENT_VANISHES, GRADIENT_EXPLODES)


def found(make: Callable[[], nn.Module], shape: tuple[int, ...], seed: int) -> tuple[set[str], Growth | None, Growth | None]:
    """The findings on one net, and its growth both ways."""
    torch.manual_seed(seed)
    net = make()
    batch = torch.randn(SAMPLES, *shape), torch.randint(CLASSES, (SAMPLES,))
    start = measure_start(net, F.cross_entropy, [batch])
    findings, _ = judge(Measurements([InitLayers(layers=start.layers), start.growth]), select=RULES)
    return {finding.name for finding in findings}, start.growth.forward, start.growth.backward


def extremes(grown: Collection[Growth | None]) -> str:
    """The smallest and the largest factor."""
    factors = [g.factor for g in grown if g is not None]
    return f"{min(factors):.2g} to {max(factors):.2g}" if factors else "-"


def main() -> None:
    """Print a row for each kind of net, and the sums."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--chosen", action="store_true")
    options = parser.parse_args()
    seeds = range(100, 101) if options.quick else CHOSEN_ON if options.chosen else REPORTED_ON
    kinds = [(name, make, shape, frozenset[str]()) for name, (make, shape) in HEALTHY.items()]
    kinds += [(name, *broken) for name, broken in BROKEN.items()]
    total: Counter[str] = Counter()
    print(f"seeds {seeds.start} to {seeds.stop - 1}")
    print(f"{'net':32} {'right':>8}  {'forward':22} {'backward':22} found")
    for name, make, shape, expected in kinds:
        runs = [found(make, shape, seed) for seed in seeds]
        right = sum(bool(names & expected) if expected else not names for names, _, _ in runs)
        total.update(
            {"broken, named": right, "broken": len(runs)} if expected else {"healthy, silent": right, "healthy": len(runs)}
        )
        seen = Counter(rule for names, _, _ in runs for rule in names)
        ways = (extremes([run[1] for run in runs]), extremes([run[2] for run in runs]))
        told = ", ".join(f"{rule} {count}" for rule, count in sorted(seen.items()))
        print(f"{name:32} {right:3} / {len(runs):2}  {ways[0]:22} {ways[1]:22} {told}")
    print(f"healthy nets without a finding: {total['healthy, silent']} of {total['healthy']}")
    print(f"broken nets with the right finding: {total['broken, named']} of {total['broken']}")


if __name__ == "__main__":
    main()
