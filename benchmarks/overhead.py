"""What watching costs: `fit` with the default recorder against the same loop in plain torch, and under detect_anomaly.

    python benchmarks/overhead.py            # about 3 minutes on two idle cores
    python benchmarks/overhead.py --quick    # half of that: one round, for CI
    python benchmarks/overhead.py --check    # exit 1 if a ratio is above its target

Time: the two loops take turns step by step in one process (plain, watched, plain, watched, ...), so that whatever else the
machine does slows both alike. Each is a thread on the same model, data and seed, only one of them runs at a time, and what
is compared is the CPU time of each (`time.thread_time`), without that of handing over. The median over the rounds is
printed, with the range. The time of `fit` is all of it: deciding where to look, every look, measuring the training loss
again, and `Recorder.sections()` with its pass at the end; "loop" is `fit` without the recorder. The plain loop does the same
validation: once an epoch over the validation split, in eval mode. detect_anomaly, a switch for the whole process, has runs
of two epochs of its own.

Memory: the peak resident set of a child process that runs one loop once (VmHWM of /proc/self/status), Python and torch
included; "own" is the same without what the process held before it built the model.
"""

from __future__ import annotations

import argparse
import copy
import gc
import json
import math
import statistics
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dltool.training.experiment import Batch, Experiment, TrainSettings
from dltool.training.loop import fit
from dltool.training.recorder import Recorder

TIME_TARGET, MEMORY_TARGET = 1.05, 1.2


def no_pause() -> None:
    """Go on at once."""


class InMemory:
    """A split held in memory (``training.experiment.BatchSource``)."""

    def __init__(self, inputs: Tensor, targets: Tensor, batch_size: int) -> None:
        self.inputs, self.targets = inputs, targets
        self.samples: int | None = len(inputs)
        self.batch_size: int | None = batch_size
        self.before_batch: Callable[[], None] = no_pause

    def __len__(self) -> int:
        return math.ceil(len(self.inputs) / (self.batch_size or 1))

    def epoch(self, index: int, start: int = 0) -> Iterator[Batch]:
        """Shuffled by the epoch's number."""
        order = torch.randperm(len(self.inputs), generator=torch.Generator().manual_seed(index))
        for rows in torch.split(order, self.batch_size or 1)[start:]:
            self.before_batch()
            yield Batch(self.inputs[rows], self.targets[rows])

    def fixed(self, limit: int | None = None, batch_size: int | None = None) -> Iterator[Batch]:
        """In order."""
        rows = torch.arange(min(len(self.inputs), limit or len(self.inputs)))
        for part in torch.split(rows, batch_size or self.batch_size or 1):
            yield Batch(self.inputs[part], self.targets[part])


class CrossEntropy:
    """``training.experiment.Criterion``."""

    name = "cross_entropy"
    terms: Mapping[str, float] = {"cross_entropy": 1.0}

    def __call__(self, output: Any, target: Any) -> Tensor:
        """Mean over samples."""
        return F.cross_entropy(output, target)

    def term_values(self, output: Any, target: Any) -> Mapping[str, Tensor]:
        """The one term."""
        return {"cross_entropy": self(output, target)}

    def per_sample(self, output: Any, target: Any) -> Tensor | None:
        """Loss of every sample."""
        return F.cross_entropy(output, target, reduction="none")


@dataclass(frozen=True)
class Case:
    """A model with data; ``epochs`` are chosen so that one run takes some seconds."""

    name: str
    model: Callable[[], nn.Module]
    shape: tuple[int, ...]
    batch_size: int
    epochs: int


class Transformer(nn.Module):
    """A two-layer encoder over a sequence of vectors, with a mean over time and a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(8, 64)
        layer = nn.TransformerEncoderLayer(64, 4, 128, dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, 8) to (N, 10)."""
        output: Tensor = self.head(self.encoder(self.embed(x)).mean(1))
        return output


def mlp() -> nn.Module:
    """64-128-128-10 with dropout."""
    return nn.Sequential(
        nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.1), nn.Linear(128, 128), nn.ReLU(), nn.Dropout(0.1), nn.Linear(128, 10)
    )


def cnn() -> nn.Module:
    """Two convolutions with batch norm, 8x8 images."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(128, 10),
    )  # fmt: skip


CASES = (
    Case("mlp", mlp, (64,), 32, 60),
    Case("cnn", cnn, (1, 8, 8), 32, 30),
    Case("transformer", Transformer, (8, 8), 32, 25),
)
SAMPLES = 1797
"""As many as the digits."""


def build(case: Case, epochs: int) -> Experiment:
    """The same experiment every time: random inputs, labels from a random linear map."""
    torch.manual_seed(0)
    inputs = torch.randn(SAMPLES, *case.shape)
    labels = (inputs.flatten(1) @ torch.randn(inputs[0].numel(), 10)).argmax(1)
    model = case.model()
    held_out = SAMPLES // 5
    return Experiment(
        name=case.name,
        target=case.name,
        model=model,
        train=InMemory(inputs[held_out:], labels[held_out:], case.batch_size),
        val=InMemory(inputs[:held_out], labels[:held_out], case.batch_size),
        criterion=CrossEntropy(),
        optimizer=torch.optim.Adam(model.parameters(), 1e-3),
        schedule=None,
        metrics=(),
        settings=TrainSettings(epochs=epochs),
        task="classification",
        facts=None,
        seed=0,
        device=torch.device("cpu"),
    )


def plain(experiment: Experiment) -> None:
    """The loop that anybody would write."""
    model, optimizer = experiment.model, experiment.optimizer
    assert optimizer is not None
    assert experiment.val is not None
    torch.manual_seed(experiment.seed)
    for epoch in range(experiment.settings.epochs):
        model.train()
        running = 0.0
        for batch in experiment.train.epoch(epoch):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(batch.input), batch.target)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            running += loss.item()
        model.eval()
        with torch.no_grad():
            for batch in experiment.val.fixed():
                running += F.cross_entropy(model(batch.input), batch.target).item()


def watched(experiment: Experiment) -> None:
    """`fit` as `dltool train` calls it, with the recorder at its default budget."""
    recorder = Recorder(experiment)
    fit(experiment, observers=[recorder])
    recorder.sections()


def anomalous(experiment: Experiment) -> None:
    """The plain loop under torch's own search for NaN."""
    with torch.autograd.detect_anomaly(check_nan=True):
        plain(experiment)


def unwatched(experiment: Experiment) -> None:
    """`fit` without observers."""
    fit(experiment)


LOOPS: dict[str, Callable[[Experiment], None]] = {"plain": plain, "watched": watched, "loop": unwatched}


class Turns:
    """Two threads that run one at a time, handing over before every step until the other one has finished."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._turn = 0
        self._finished: set[int] = set()
        self._handing_over_s = [0.0, 0.0]

    def hand_over(self, me: int) -> None:
        """Let the other one take its step, then go on."""
        start_s = time.thread_time()
        with self._condition:
            if 1 - me not in self._finished:
                self._turn = 1 - me
                self._condition.notify_all()
            self._condition.wait_for(lambda: self._turn == me)
        self._handing_over_s[me] += time.thread_time() - start_s

    def finish(self, me: int) -> None:
        """Leave the rest of the time to the other one."""
        with self._condition:
            self._finished.add(me)
            self._turn = 1 - me
            self._condition.notify_all()

    def run(self, me: int, loop: Callable[[Experiment], None], experiment: Experiment) -> float:
        """CPU seconds that ``loop`` takes in this thread."""
        assert isinstance(experiment.train, InMemory)
        experiment.train.before_batch = partial(self.hand_over, me)
        with self._condition:
            self._condition.wait_for(lambda: self._turn == me)
        start_s = time.thread_time()
        try:
            loop(experiment)
            return time.thread_time() - start_s - self._handing_over_s[me]
        finally:
            self.finish(me)


def ratios(case: Case, loop: str, *, epochs: int, rounds: int) -> tuple[list[float], float]:
    """CPU time of ``loop`` over that of the plain loop, round by round, and the plain loop's median in seconds."""
    template = build(case, epochs)
    plain_s: list[float] = []
    other_s: list[float] = []
    for _ in range(rounds):
        turns = Turns()
        gc.collect()
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(turns.run, 0, plain, copy.deepcopy(template))
            second = pool.submit(turns.run, 1, LOOPS[loop], copy.deepcopy(template))
        plain_s.append(first.result())
        other_s.append(second.result())
    return [other / own for other, own in zip(other_s, plain_s, strict=True)], statistics.median(plain_s)


def anomaly_ratio(case: Case, rounds: int = 3) -> float:
    """CPU time under detect_anomaly over that without, one after the other."""
    template = build(case, 2)
    found = []
    for _ in range(rounds):
        start_s = time.process_time()
        plain(copy.deepcopy(template))
        middle_s = time.process_time()
        anomalous(copy.deepcopy(template))
        found.append((time.process_time() - middle_s) / (middle_s - start_s))
    return statistics.median(found)


def resident_peak_kib() -> int:
    """The most memory that this process held so far."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM:")))


def peaks(case: Case, loop: str) -> tuple[int, int]:
    """Peak memory of a child process in KiB: before it built the model, and after it ran the loop."""
    command = [sys.executable, __file__, "--child", case.name, loop]
    before, after = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return before, after


def run_child(case: Case, loop: str) -> None:
    """What ``peaks`` starts."""
    before = resident_peak_kib()
    LOOPS[loop](build(case, 2))
    print(json.dumps([before, resident_peak_kib()]))


def measure(case: Case, *, quick: bool) -> bool:
    """Print one line of the table; whether both targets are met."""
    ratios(case, "watched", epochs=1, rounds=1)  # warms up
    watched_ratios, plain_s = ratios(case, "watched", epochs=case.epochs, rounds=1 if quick else 3)
    loop = "-" if quick else f"{ratios(case, 'loop', epochs=case.epochs, rounds=1)[0][0]:.3f}x"
    (base, plain_peak), (base_watched, watched_peak) = peaks(case, "plain"), peaks(case, "watched")
    time_ratio, memory_ratio = statistics.median(watched_ratios), watched_peak / plain_peak
    steps = len(build(case, 1).train) * case.epochs
    spread = f"{min(watched_ratios):.3f}-{max(watched_ratios):.3f}"
    own = (watched_peak - base_watched) / max(1, plain_peak - base)
    print(
        f"{case.name:12} {steps:6} {plain_s:8.2f} {time_ratio:8.3f}x {spread:>13} {loop:>8} "
        f"{anomaly_ratio(case):7.2f}x {memory_ratio:7.3f}x {own:6.2f}x",
        flush=True,
    )
    return time_ratio <= TIME_TARGET and memory_ratio <= MEMORY_TARGET


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--child", nargs=2, metavar=("CASE", "LOOP"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="Anomaly Detection")
    if options.child:
        name, loop = options.child
        run_child(next(case for case in CASES if case.name == name), loop)
        return 0
    print(f"torch {torch.__version__}, one thread; targets: time <= {TIME_TARGET}x, memory <= {MEMORY_TARGET}x")
    print("model         steps  plain s  watched       (range)     loop  anomaly  memory    own")
    good = [measure(case, quick=options.quick) for case in CASES]
    return 1 if options.check and not all(good) else 0


if __name__ == "__main__":
    raise SystemExit(main())
