"""Runs to be stopped and taken up again, in this process or in one that is killed."""

from __future__ import annotations

import math
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from toys import blobs, experiment, mlp

from dltool.training import checkpoint, loop
from dltool.training.experiment import EarlyStopping, Experiment, Regularisation, Schedule
from dltool.training.loop import fit
from dltool.training.observer import Observer
from dltool.training.run_folder import STATE, RunFolder


class Counting(Observer):
    """An observer with a state of its own: numbers and tensors."""

    def __init__(self, pause_s: float = 0.0) -> None:
        self.pause_s = pause_s
        self.losses: list[float] = []
        self.sums = torch.zeros(3)

    def run_start(self, steps_planned: int, steps_per_epoch: int) -> None:
        self.losses, self.sums = [], torch.zeros(3)

    def update_end(self, info: Any, batch: Any, loss: float) -> None:
        self.losses.append(loss)
        self.sums += batch.input.sum() * torch.tensor([1.0, 0.1, 0.01])
        if self.pause_s:
            time.sleep(self.pause_s)

    def state_dict(self) -> dict[str, Any]:
        return {"losses": self.losses, "sums": self.sums}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.losses, self.sums = state["losses"], state["sums"]


class OwnCount(torch.optim.SGD):
    """A user's optimizer that keeps its state where ``state_dict`` does not look."""

    def __init__(self, params: Any) -> None:
        super().__init__(params, lr=0.1)
        self.calls = 0
        self.mean = torch.zeros(())

    def step(self, closure: Any = None) -> Any:
        self.calls += 1
        self.mean = 0.9 * self.mean + 0.1
        for group in self.param_groups:
            group["lr"] = 0.1 / (1 + 0.1 * self.calls) * float(self.mean)
        return super().step(closure)


def _schedule(kind: str) -> Any:
    def build(optimizer: torch.optim.Optimizer) -> Schedule:
        if kind == "plateau":
            plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, factor=0.5)
            return Schedule(name="plateau", scheduler=plateau, unit="epoch", needs_metric=True)
        unit: Any = "step" if kind == "one_cycle" else "epoch"
        scheduler: Any = (
            torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=60)
            if kind == "one_cycle"
            else torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
        )
        return Schedule(name=kind, scheduler=scheduler, unit=unit)

    return build


class Buffered(nn.Module):
    """A buffer that ``state_dict`` leaves out and training moves."""

    def __init__(self) -> None:
        super().__init__()
        self.body = mlp(dropout=0.4)
        self.register_buffer("scale", torch.ones(()), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.scale.mul_(1.01)
        return self.body(x) * self.scale


def _linear() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(5, 3)


def _tied() -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 5), nn.Linear(5, 3))
    model[2].weight = model[0].weight
    return model


VARIANTS: dict[str, dict[str, Any]] = {
    "adam": {"model": lambda: mlp(dropout=0.4), "clip_norm": 0.5},
    "momentum": {
        "optimizer": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
        "clip_value": 0.05,
        "schedule": _schedule("step"),
    },
    "lbfgs": {"optimizer": lambda p: torch.optim.LBFGS(p, lr=0.1, max_iter=3, history_size=3)},
    "accumulate": {"accumulate": 3, "batch_size": 12, "regularisation": Regularisation(l1=1e-3, l2=1e-3, max_norm=2.0)},
    "one cycle": {"optimizer": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9), "schedule": _schedule("one_cycle")},
    "plateau": {"schedule": _schedule("plateau"), "early_stopping": EarlyStopping(patience=2, min_delta=0.05)},
    "bf16": {"precision": "bf16"},
    "fp64": {"precision": "fp64"},
    "own optimizer state": {"optimizer": OwnCount},
    "buffers left out": {"model": Buffered},
    "tied weights": {"model": _tied},
    "scaler": {"scaler": True},
    "diverging": {"optimizer": lambda p: torch.optim.SGD(p, lr=1e18), "model": _linear},
    "frozen": {"optimizer": None},
}


def build(variant: str, epochs: int = 6) -> Experiment:
    options = {"model": mlp, "val": blobs(70, seed=1), **VARIANTS[variant], "epochs": epochs}
    scaled = options.pop("scaler", False)
    toy = experiment(**{**options, "model": options["model"]()})
    if scaled:
        toy.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**120, growth_interval=5)
    return toy


KILLS = 3
MOST_CHECKPOINTS = 8


def train_and_be_killed(folder: str, variant: str, epochs: int) -> int:
    """Train in a child process that is killed again and again, at random moments, before one child may get to the end.

    Checkpoints are written after every step. A kill comes a random number of checkpoints after the start and a random moment
    after the last of them, so that neither a fast nor a slow machine escapes it. Returns the number of kills.
    """
    torch.set_num_threads(1)  # a child of fork has no other threads
    fit(build(variant, 1))  # torch imports much of itself at the first step: once here, not in every child
    dice = random.Random(variant)
    kills = 0
    while True:
        child = os.fork()
        if child == 0:
            checkpoint.SHORTEST_INTERVAL_S = checkpoint.INTERVAL_RATIO = loop.TICK_S = 0.0
            fit(build(variant, epochs), observers=[Counting(0.002)], run_folder=RunFolder.reopen("toy", folder), resume=True)
            os._exit(0)
        if kills == KILLS or not checkpoints_pass(Path(folder) / STATE, dice.randint(1, MOST_CHECKPOINTS), child):
            _, status = os.waitpid(child, 0)
            assert status == 0
            return kills
        time.sleep(dice.uniform(0.0, 0.01))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        kills += 1


def checkpoints_pass(state: Path, count: int, child: int) -> bool:
    """Wait until the checkpoint was replaced ``count`` times; False when the child came to its end before."""
    last = written_at(state)
    while count:
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return False
        written = written_at(state)
        count -= written != last
        last = written
        time.sleep(0.0005)
    return True


def written_at(path: Path) -> int | None:
    """When a file was last replaced."""
    return path.stat().st_mtime_ns if path.exists() else None


def everything(folder: Path) -> dict[str, Any]:
    """All that a run leaves: the state with every tensor, the metrics and the weights."""
    state = RunFolder(folder).read_state()
    assert state is not None
    files = {
        p.name: p.read_bytes()
        for p in folder.iterdir()
        if p.name in ("metrics.jsonl", "best.safetensors", "last.safetensors")
    }
    return {"state": state, "files": files}


def differences(left: Any, right: Any, place: str = "") -> list[str]:
    """Where two nested structures differ, bit for bit (NaN equals NaN)."""
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        alike = left.dtype == right.dtype and left.shape == right.shape and torch.equal(_bits(left), _bits(right))
        return [] if alike else [place]
    if isinstance(left, dict) and isinstance(right, dict):
        keys = dict.fromkeys([*left, *right])
        return [d for key in keys for d in differences(left.get(key, "absent"), right.get(key, "absent"), f"{place}/{key}")]
    if isinstance(left, list | tuple) and isinstance(right, list | tuple) and len(left) == len(right):
        return [d for i, (a, b) in enumerate(zip(left, right, strict=True)) for d in differences(a, b, f"{place}/{i}")]
    both_nan = isinstance(left, float) and isinstance(right, float) and math.isnan(left) and math.isnan(right)
    return [] if both_nan or left == right else [f"{place}: {left!r} is not {right!r}"]


def _bits(tensor: Tensor) -> Tensor:
    return tensor.contiguous().reshape(-1).view(torch.uint8) if tensor.numel() else tensor.reshape(-1)


if __name__ == "__main__":  # a process of its own: forking one with threads is not safe
    sys.stdout.write(str(train_and_be_killed(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
