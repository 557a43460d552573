"""What checking every element costs: `dltool gradcheck --full` against `torch.autograd.gradcheck` in slow mode.

    python benchmarks/gradcheck.py            # about 2 minutes on one idle core
    python benchmarks/gradcheck.py --quick    # one round of the smallest model, for CI
    python benchmarks/gradcheck.py --check    # exit 1 if a ratio is below its target

Both check the gradient of the same loss with respect to the same parameters, in float64, on the same 8 samples and weights,
with 1e-5 absolute and 1e-3 relative tolerance (dltool's classes are finer: below 1e-7 is right), and take turns in one
process and one thread. For torch the model is a function of its parameters (`torch.func.functional_call`), as its
documentation asks. dltool's time is all of `diagnostics.gradcheck.examine`: copying the model, choosing the evaluators and
trying them, the check itself, and what float32 costs. Then the cost over N: both, over the number of parameters of an MLP.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from dltool.core.measured.gradcheck import CheckedParameters
from dltool.core.measurements import Measurements
from dltool.diagnostics.gradcheck import GradcheckOptions, examine
from dltool.specs.build.criterion import SumCriterion
from dltool.specs.factory_batches import FactoryBatches
from dltool.specs.factory_parts import factory_criterion
from dltool.training.experiment import Experiment, TrainSettings

TARGET = 20.0
SAMPLES = 8
CLASSES = 10


def mlp(*sizes: int) -> nn.Module:
    """Linear layers with tanh between them."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.Tanh()]
    return nn.Sequential(*layers[:-1])


def cnn() -> nn.Module:
    """Two convolutions on 12×12 images."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, CLASSES)
    )


CASES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "MLP 20-40-40-10": (lambda: mlp(20, 40, 40, CLASSES), (20,)),
    "MLP 40-90-90-20": (lambda: mlp(40, 90, 90, 20), (40,)),
    "CNN 12x12": (cnn, (1, 12, 12)),
}
WIDTHS = (8, 16, 32, 64, 96)


def experiment(model: nn.Module, inputs: Tensor, targets: Tensor) -> Experiment:
    """The model with one batch, as a factory would give it."""
    criterion: SumCriterion = factory_criterion(nn.CrossEntropyLoss())
    return Experiment(
        name="benchmark",
        target="benchmark",
        model=model,
        train=FactoryBatches([(inputs, targets)], name="batches", seed=0, epoch_steps=1),
        val=None,
        criterion=criterion,
        optimizer=None,
        schedule=None,
        metrics=(),
        settings=TrainSettings(epochs=1),
        task="classification",
        facts=None,
        seed=0,
        device=torch.device("cpu"),
    )


def with_torch(model: nn.Module, inputs: Tensor, targets: Tensor) -> float:
    """Seconds that torch takes; it must find the gradients right."""
    started_s = time.process_time()
    names = [name for name, _ in model.named_parameters()]
    parameters = [p.detach().double().requires_grad_() for p in model.parameters()]
    doubles = inputs.double()

    def loss(*values: Tensor) -> Tensor:
        output: Any = functional_call(model, dict(zip(names, values, strict=True)), (doubles,))
        return F.cross_entropy(output, targets)

    torch.autograd.gradcheck(loss, parameters, eps=1e-6, atol=1e-5, rtol=1e-3)
    return time.process_time() - started_s


def with_dltool(model: nn.Module, inputs: Tensor, targets: Tensor) -> float:
    """Seconds that dltool takes; it must find the gradients right too."""
    made = experiment(model, inputs, targets)
    started_s = time.process_time()
    records = Measurements(examine(made, GradcheckOptions(full=True)))[CheckedParameters].parameters
    seconds = time.process_time() - started_s
    assert all(record.verdict == "right" and record.compared == record.elements for record in records.values())
    assert list(records) == [name for name, _ in model.named_parameters()]
    return seconds


def compare(make: Callable[[], nn.Module], shape: tuple[int, ...], rounds: int) -> tuple[int, float, float, float]:
    """Parameters, median seconds of torch and of dltool, and the median of the ratios by round."""
    times = []
    for seed in range(rounds):
        torch.manual_seed(seed)
        model, inputs, targets = make(), torch.randn(SAMPLES, *shape), torch.randint(0, CLASSES, (SAMPLES,))
        times.append((with_torch(model, inputs, targets), with_dltool(model, inputs, targets)))
    ratio = statistics.median(slow / fast for slow, fast in times)
    slow, fast = (statistics.median(column) for column in zip(*times, strict=True))
    return sum(p.numel() for p in model.parameters()), slow, fast, ratio


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="one round of the smallest model")
    parser.add_argument("--check", action="store_true", help=f"exit 1 below {TARGET:g}x")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rounds = 1 if arguments.quick else arguments.rounds
    compare(cnn, (1, 12, 12), 1)  # what torch loads when a thing is done for the first time is paid here
    cases = {"CNN 12x12": CASES["CNN 12x12"]} if arguments.quick else CASES
    ratios = []
    print(f"{'model':18} {'parameters':>10} {'torch s':>9} {'dltool s':>9} {'ratio':>7}")
    for name, (make, shape) in cases.items():
        parameters, slow, fast, ratio = compare(make, shape, rounds)
        ratios.append(ratio)
        print(f"{name:18} {parameters:10,} {slow:9.2f} {fast:9.3f} {ratio:6.1f}x", flush=True)
    if not arguments.quick:
        print(f"\n{'cost over N':18} {'parameters':>10} {'torch ms':>9} {'dltool ms':>9} per parameter")
        for width in WIDTHS:
            parameters, slow, fast, _ = compare(lambda width=width: mlp(20, width, width, CLASSES), (20,), 1)  # type: ignore[misc]
            print(
                f"{f'MLP, width {width}':18} {parameters:10,} {1e3 * slow / parameters:9.3f} {1e3 * fast / parameters:9.4f}"
            )
    if arguments.check and min(ratios) < TARGET:
        sys.exit(1)


if __name__ == "__main__":
    main()
