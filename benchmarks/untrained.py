"""What nets look like before they have learnt anything: where three limits of the rules come from.

    python benchmarks/untrained.py

For depths, widths, activations and initialisations of a classifier of ten classes on standard-normal inputs: the first
loss over ln 10 (surprising-initial-loss), the spread of the outputs over samples (collapsed-representation), and how much
the loss changes when the inputs are set to their mean, as a share of ln 10 (ignores-input). Extremes of 10 seeds.
"""

from __future__ import annotations

import math
from itertools import pairwise, product

import torch
from torch import nn
from torch.nn import functional as F

SAMPLES, FEATURES, CLASSES, SEEDS = 512, 64, 10, 10


def build(depth: int, width: int, activation: type[nn.Module], init: str) -> nn.Sequential:
    """``depth`` hidden layers of ``width`` units."""
    sizes = [FEATURES] + [width] * depth
    layers: list[nn.Module] = []
    for a, b in pairwise(sizes):
        layers += [nn.Linear(a, b), activation()]
    net = nn.Sequential(*layers, nn.Linear(width, CLASSES))
    for module in net:
        if isinstance(module, nn.Linear) and init != "default":
            nn.init.kaiming_normal_(module.weight) if init == "kaiming" else nn.init.normal_(module.weight)
            nn.init.zeros_(module.bias)
    return net


@torch.no_grad()
def look(net: nn.Module, seed: int) -> tuple[float, float, float]:
    """Initial loss over ln 10, spread of the outputs, and the change of the loss with constant inputs over ln 10."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(SAMPLES, FEATURES, generator=draw)
    y = torch.randint(CLASSES, (SAMPLES,), generator=draw)
    out, constant = net(x), net(torch.zeros_like(x))
    loss = F.cross_entropy(out, y).item()
    spread = out.std(0, correction=0).square().mean().sqrt() / out.square().mean().sqrt()
    return loss / math.log(CLASSES), spread.item(), abs(F.cross_entropy(constant, y).item() - loss) / math.log(CLASSES)


def main() -> None:
    """Print one row for each kind of net."""
    print(f"{'init':8} {'act':6} {'depth':>5} {'width':>5}   loss / ln 10     spread           change at the mean")
    for init, activation, depth, width in product(("default", "kaiming", "normal"), (nn.ReLU, nn.Tanh), (1, 4), (32, 128)):
        rows = []
        for seed in range(SEEDS):
            torch.manual_seed(seed)
            rows.append(look(build(depth, width, activation, init), seed))
        text = "  ".join(f"{min(column):.2g} to {max(column):.2g}".ljust(15) for column in zip(*rows, strict=True))
        print(f"{init:8} {activation.__name__:6} {depth:5d} {width:5d}   {text}")


if __name__ == "__main__":
    main()
