"""What `dltool lint` costs: start-up, and processor time a spec, over 100 specs of many kinds.

    python benchmarks/lint.py            # 100 specs, five rounds
    python benchmarks/lint.py --quick    # two rounds
    python benchmarks/lint.py --check    # exit 1 where 100 specs take more than a second of processor time

The specs are made from a seed: MLPs, CNNs, recurrent nets, residual nets and transformers, for classes and for numbers, from
3 to 24 layers, on synthetic data, one csv and one npz file. A seventh of them has a fault. Each round starts
processes in turn (one that only imports what lint needs, one for a single spec, one for all) and takes their own processor
time; the middle of the rounds is reported. Peak memory is that of the largest process.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

SPECS = 100
TARGET_S = 1.0
PROBE = """
import resource, sys
from dltool.cli.main import main
code = main(sys.argv[1:]) if len(sys.argv) > 1 else 0
used = resource.getrusage(resource.RUSAGE_SELF)
sys.stderr.write(f"\\n{used.ru_utime + used.ru_stime} {used.ru_maxrss} {'torch' in sys.modules}")
"""
IMPORTS = "import dltool.diagnostics.lint.run, dltool.specs.design.samples\n"


def mlp(draw: random.Random, outputs: int) -> list[str]:
    """Linear layers."""
    width, depth = draw.choice([16, 32, 64]), draw.randint(1, 11)
    layers = [
        "flatten",
        *[part for _ in range(depth) for part in (f"linear: {width}", draw.choice(["relu", "gelu", "tanh"]))],
    ]
    return [*layers, f"linear: {outputs}"]


def cnn(draw: random.Random, outputs: int) -> list[str]:
    """Convolutions over 8x8 pictures."""
    blocks = [
        part
        for _ in range(draw.randint(1, 3))
        for part in (
            f"conv2d: {{out_channels: {draw.choice([8, 16])}, kernel_size: 3, padding: 1, bias: false}}",
            "batch_norm",
            "relu",
        )
    ]
    return ["reshape: [1, 8, 8]", *blocks, "max_pool2d: 2", "global_avg_pool", f"linear: {outputs}"]


def recurrent(draw: random.Random, outputs: int) -> list[str]:
    """A picture read row by row."""
    return [
        f"{draw.choice(['lstm', 'gru', 'rnn'])}: {{hidden_size: 24, bidirectional: true}}",
        "dropout: 0.2",
        f"linear: {outputs}",
    ]


def residual(draw: random.Random, outputs: int) -> list[str]:
    """Residual blocks."""
    blocks = ["residual: [layer_norm, {linear: 32}, relu]" for _ in range(draw.randint(2, 8))]
    return ["flatten", "linear: 32", *blocks, f"linear: {outputs}"]


def transformer(draw: random.Random, outputs: int) -> list[str]:
    """Attention over rows."""
    blocks = ["transformer_encoder_layer: {nhead: 2, dim_feedforward: 32}" for _ in range(draw.randint(1, 3))]
    return [*blocks, "global_avg_pool", f"linear: {outputs}"]


PICTURES = (mlp, cnn, recurrent, residual, transformer)


def spec(draw: random.Random, number: int) -> str:
    """The text of spec ``number``."""
    kind = number % 3
    if kind == 0:
        data, layers = "npz: {path: pictures.npz}", draw.choice(PICTURES)(draw, 10)
    elif kind == 1:
        data, layers = "csv: {path: table.csv, target: y}", draw.choice((mlp, residual))(draw, 3)
    else:
        data, layers = "synthetic: {linear: {n: 400, features: 6}}", draw.choice((mlp, residual))(draw, 1)
    regression = kind == 2
    if number % 7 == 0:
        layers.append("tanh" if regression else "softmax")
    loss, optimizer = (
        "mse" if regression else "cross_entropy",
        draw.choice(["adam: {lr: 1e-3}", "sgd: {lr: 0.05, momentum: 0.9}"]),
    )
    lines = ["version: 1", f"seed: {number}", "data:", f"  {data}", "  split: {val: 0.2}", "  normalize: standard", "model:",
             "  layers:", *(f"    - {layer}" for layer in layers), f"loss: {loss}", f"optimizer: {{{optimizer}}}",
             "train: {epochs: 40}"]  # fmt: skip
    return "\n".join(lines) + "\n"


def make(folder: Path, count: int) -> list[str]:
    """Write the data and so many specs; their paths."""
    draw, numbers = random.Random(0), np.random.default_rng(0)
    np.savez(folder / "pictures.npz", x=numbers.normal(size=(1000, 8, 8)), y=numbers.integers(0, 10, 1000))
    rows = [",".join([*(f"{v:.4f}" for v in row), "abc"[i % 3]]) for i, row in enumerate(numbers.normal(size=(500, 6)))]
    (folder / "table.csv").write_text("\n".join(["a,b,c,d,e,f,y", *rows]) + "\n")
    paths = [folder / f"spec_{number:03}.yaml" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_text(spec(draw, number))
    return [str(path) for path in paths]


def measure(code: str, *words: str) -> tuple[float, float, bool]:
    """Processor time in seconds, peak memory in MiB, and whether torch was loaded."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, env=environment, check=False)
    seconds, peak, torch = done.stderr.splitlines()[-1].split()
    return float(seconds), int(peak) / 1024, torch == "True"


def main() -> int:
    """Measure and print; 1 where a target is missed."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true")
    options.add_argument("--check", action="store_true")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        paths = make(Path(name), SPECS)
        end = ("--format", "json", "--output", str(Path(name) / "report.json"))
        kinds = {
            "help": (PROBE, ("--help",)),
            "imports": (IMPORTS + PROBE, ()),
            "one spec": (PROBE, ("lint", paths[0], *end)),
            f"{SPECS} specs": (PROBE, ("lint", *paths, *end)),
            f"{SPECS} specs, --no-data": (PROBE, ("lint", *paths, "--no-data", *end)),
        }
        rounds = [
            {kind: measure(code, *words) for kind, (code, words) in kinds.items()} for _ in range(2 if asked.quick else 5)
        ]
    middle = {kind: statistics.median(taken[kind][0] for taken in rounds) for kind in kinds}
    peak = {kind: max(taken[kind][1] for taken in rounds) for kind in kinds}
    if any(taken[kind][2] for taken in rounds for kind in kinds):
        print("torch was loaded")
        return 1
    print(f"{'':24} processor time   peak memory")
    for kind in kinds:
        print(f"{kind:24} {middle[kind]:10.2f} s  {peak[kind]:9.0f} MiB")
    more = middle[f"{SPECS} specs"] - middle["one spec"]
    each_ms = 1000 * more / (SPECS - 1)
    print(f"\n{SPECS - 1} specs beyond the first: {more:.2f} s, {each_ms:.1f} ms each (target: below {TARGET_S:g} s)")
    return 1 if asked.check and not more < TARGET_S else 0


if __name__ == "__main__":
    sys.exit(main())
