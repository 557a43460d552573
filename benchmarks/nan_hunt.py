"""What guarding a run costs, and how long it takes from the bad step to the verdict of `dltool nan-hunt`.

    python benchmarks/nan_hunt.py            # about 3 minutes on two idle cores
    python benchmarks/nan_hunt.py --quick    # a third of that, for CI
    python benchmarks/nan_hunt.py --check    # exit 1 if something is above its target

Guarding: loops on copies of one model with the same data take turns step by step in one process (bare, guarded, bare, ...;
every eighth step also one under torch's anomaly mode and one with an isfinite hook on every module), so that whatever else
the machine does slows all alike. What is compared is the CPU time (`time.thread_time`) over rounds of 64 steps; the median
over the rounds is printed, with the range. The guarded loop is `training.patrol.Patrol` as `nan-hunt` uses it, snapshots,
looks and the keeping of batches included. The bare loop is what anybody would write, with `loss.item()` for its log.

Verdict: the same models with a fault in one late step, hunted through `diagnostics.nan_hunt.run`: the time from the moment
at which the model gave its first NaN (or, in backward, was about to) to the finished report, evidence folder included.
"""

from __future__ import annotations

import argparse
import copy
import math
import statistics
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from overhead import Case as Sizes
from overhead import InMemory, Transformer, build, cnn
from torch import Tensor, nn

from dltool.diagnostics.nan_hunt import NanHuntOptions, run
from dltool.probes.nested import tensors
from dltool.training.experiment import Batch, Experiment
from dltool.training.patrol import Patrol

ROUND_STEPS = 64
OTHERS_EVERY = 8
"""Anomaly mode and the hooks take part in every eighth step: they are slow."""
VERDICT_STEPS, VERDICT_S = 30, 5.0


@dataclass(frozen=True)
class Case:
    """A model with data, the target for guarding it, and rounds of 64 steps."""

    sizes: Sizes
    target: float
    rounds: int


def deep_mlp() -> nn.Module:
    """50 layers of 16 units: the least work for each tensor that has to be looked at."""
    layers = [layer for _ in range(49) for layer in (nn.Linear(16, 16), nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear(16, 10))


CASES = (
    Case(Sizes("cnn", cnn, (1, 8, 8), 32, 1), 1.05, 15),
    Case(Sizes("transformer", Transformer, (8, 8), 32, 1), 1.05, 10),
    Case(Sizes("deep-mlp", deep_mlp, (16,), 32, 1), 1.15, 12),
)


class Steps:
    """A loop of the plain kind that is told to take one step at a time."""

    def __init__(self, experiment: Experiment, *, anomaly: bool = False) -> None:
        assert experiment.optimizer is not None
        self._model, self._optimizer, self._anomaly = experiment.model, experiment.optimizer, anomaly
        self.took_s: list[float] = []

    def take(self, batch: Batch) -> None:
        """One step, and its CPU time."""
        start_s = time.thread_time()
        with torch.autograd.set_detect_anomaly(self._anomaly, check_nan=self._anomaly):
            self._optimizer.zero_grad()
            loss = F.cross_entropy(self._model(batch.input), batch.target)
            loss.backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()
            loss.item()
        self.took_s.append(time.thread_time() - start_s)


def hooked(experiment: Experiment) -> Experiment:
    """With a hook on every module that looks whether its output is finite, as debuggers have it."""

    def look(module: nn.Module, _: Any, output: Any) -> None:
        if not all(bool(given.isfinite().all()) for given in tensors(output)):
            raise FloatingPointError(type(module).__name__)

    for module in experiment.model.modules():
        module.register_forward_hook(look)
    return experiment


class TakingTurns(InMemory):
    """The guarded run's batches: before it gets one, the bare loop takes a step on the same, and now and then the others."""

    def __init__(self, own: InMemory, bare: Steps, others: list[Steps]) -> None:
        super().__init__(own.inputs, own.targets, own.batch_size or 1)
        self._bare, self._others = bare, others
        self.took_s: list[float] = []

    def epoch(self, index: int, start: int = 0) -> Iterator[Batch]:
        """As the base has it, with turns."""
        for batch in super().epoch(index, start):
            for loop in [self._bare, *(self._others if len(self.took_s) % OTHERS_EVERY == 0 else ())]:
                loop.take(Batch(*map(torch.clone, batch)))
            start_s = time.thread_time()
            yield batch
            self.took_s.append(time.thread_time() - start_s)


def guarding(case: Case, rounds: int) -> bool:
    """Print one line; whether the target is met."""
    steps = ROUND_STEPS * (rounds + 1) + 1  # one round to warm up
    template = build(case.sizes, math.ceil(steps / 40))
    plain = Steps(copy.deepcopy(template))
    others = [Steps(copy.deepcopy(template), anomaly=True), Steps(hooked(copy.deepcopy(template)))]
    assert isinstance(template.train, InMemory)
    turns = TakingTurns(template.train, plain, others)
    guarded = replace(template, train=turns, settings=replace(template.settings, max_steps=steps))
    with Patrol(guarded) as patrol:
        assert patrol.next() is None
        every = patrol.every
    bare = by_round(plain.took_s)
    ratio = [own / other for own, other in zip(by_round(turns.took_s), bare, strict=True)]
    beside = [statistics.median(other.took_s[2:]) / statistics.median(plain.took_s[ROUND_STEPS:]) for other in others]
    found = statistics.median(ratio)
    bare_ms = 1e3 * statistics.median(bare) / ROUND_STEPS
    print(
        f"{case.sizes.name:12} {bare_ms:8.2f} {every:6} {found:8.3f}x {min(ratio):.3f}-{max(ratio):.3f} {case.target:7.2f}x "
        f"{beside[0]:8.2f}x {beside[1]:7.2f}x",
        flush=True,
    )
    return found <= case.target


def by_round(took_s: list[float]) -> list[float]:
    """Time of each round but the first."""
    whole = len(took_s) // ROUND_STEPS
    return [sum(took_s[i * ROUND_STEPS : (i + 1) * ROUND_STEPS]) for i in range(1, whole)]


FAULTY = """
import sys
import time
import torch
sys.path.insert(0, {folder!r})
from nan_hunt import Faulty, case_named

def factory():
    torch.manual_seed(0)
    return Faulty.factory(case_named({case!r}), {fault!r})
"""
FAULTS = ("loss", "backward", "buffer")
BAD_STEP = 205


class Faulty(nn.Module):
    """A model that divides, takes a root or writes into a buffer at one step where it must not; it notes when."""

    gone_bad_s = math.nan

    def __init__(self, model: nn.Module, fault: str) -> None:
        super().__init__()
        self.model = model
        self.fault = fault
        self.scale = nn.Parameter(torch.ones(10))
        self.register_buffer("mean", torch.zeros(10))
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        """Training calls are counted."""
        out: Tensor = self.model(x) * self.scale
        if not self.training or not torch.is_grad_enabled():
            return out
        self.calls += 1
        bad = self.calls == BAD_STEP + 1
        if bad and math.isnan(Faulty.gone_bad_s):
            Faulty.gone_bad_s = time.perf_counter()
        width = self.scale.sum() - self.scale.sum() if bad else self.scale.sum()
        if self.fault == "loss":
            return out / width
        if self.fault == "backward":
            return out + width.sqrt()
        self.mean = 0.9 * self.mean + 0.1 * out.detach().mean(0) / width.detach()
        return out

    @classmethod
    def factory(cls, case: Case, fault: str) -> dict[str, Any]:
        """What a user's factory returns."""
        template = build(case.sizes, 1)
        assert isinstance(template.train, InMemory)
        model = cls(template.model, fault)
        data = template.train
        dataset = torch.utils.data.TensorDataset(data.inputs, data.targets)
        return {
            "model": model,
            "batches": torch.utils.data.DataLoader(dataset, batch_size=data.batch_size, shuffle=True),
            "loss": nn.CrossEntropyLoss(),
            "optimizer": torch.optim.Adam(model.parameters(), 1e-3),
        }


def case_named(name: str) -> Case:
    """One of ``CASES``."""
    return next(case for case in CASES if case.sizes.name == name)


def verdict(case: Case, fault: str) -> bool:
    """Print one line; whether the target is met and the step found."""
    bare = Steps(build(case.sizes, 1))
    source = build(case.sizes, 1).train
    for batch in source.epoch(0):
        bare.take(batch)
    bare_s = statistics.median(bare.took_s)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "faulty.py")
        file.write_text(
            FAULTY.format(folder=str(Path(__file__).parent), case=case.sizes.name, fault=fault), encoding="utf-8"
        )
        import nan_hunt

        nan_hunt.Faulty.gone_bad_s = math.nan
        report = run(f"{file}:factory", NanHuntOptions(steps=BAD_STEP + 95, run_dir=str(Path(folder, "run"))))
        took_s = time.perf_counter() - nan_hunt.Faulty.gone_bad_s
    limit_s = VERDICT_STEPS * bare_s + VERDICT_S
    first = report.findings[0] if report.findings else None
    where = None if first is None else first.where
    told = "nothing" if first is None or where is None else f"{first.rule} {where.op} at step {where.step}"
    print(f"{case.sizes.name:12} {fault:9} {took_s:7.2f} s {took_s / bare_s:8.0f} {limit_s:8.2f} s   {told}", flush=True)
    return took_s <= limit_s and where is not None and where.step == BAD_STEP


def main() -> int:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="Anomaly Detection")
    print(
        f"torch {torch.__version__}, one thread; CPU time over that of bare steps, median of rounds of {ROUND_STEPS} steps"
    )
    print("model         bare ms  every  guarded     (range)  target   anomaly   hooks")
    good = [guarding(case, case.rounds // 3 if options.quick else case.rounds) for case in CASES]
    print(f"\nfrom the bad step (number {BAD_STEP}) to the verdict; target {VERDICT_STEPS} bare steps + {VERDICT_S:g} s")
    print("model        fault     verdict    steps    target   first finding")
    good += [verdict(case, fault) for case in CASES for fault in FAULTS]
    return 1 if options.check and not all(good) else 0


if __name__ == "__main__":
    raise SystemExit(main())
