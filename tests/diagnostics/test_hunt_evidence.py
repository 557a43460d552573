"""The evidence of a hunt, used as a user would: ``python replay.py`` in another process, before and after the mend."""

import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dltool.core.measured.non_finite import NonFiniteEvent
from dltool.diagnostics.hunt.evidence import write_evidence
from dltool.specs.target import open_target
from dltool.training import rng
from dltool.training.patrol import Patrol
from dltool.training.run_folder import RunFolder

NET = '''\
import random
from collections import namedtuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_sequence

Pair = namedtuple("Pair", "left right")


class Slow(nn.Module):
    """Goes bad at its tenth call in training mode, and draws random numbers of every kind."""

    def __init__(self):
        super().__init__()
        self.calls = 0
        self.seen = [1.0]
        self.generator = torch.Generator().manual_seed(7)
        self.register_buffer("running", torch.zeros(4), persistent=False)
        self.linear = nn.Linear(4, 3)

    def forward(self, x):
        if not self.training:
            return self.linear(x)
        self.calls += 1
        self.running.mul_(0.9).add_(0.1 * x.mean(0).detach())
        noise = torch.rand(4, generator=self.generator) * random.random() * float(np.random.rand())
        x = F.dropout(x + noise * self.running, 0.5)
        return self.linear(x) * (LIMIT if self.calls == 10 else 1.0)


LIMIT = float("inf")  # the fault


class Mine(torch.optim.Optimizer):
    def __init__(self, parameters):
        super().__init__(parameters, {"lr": 0.1})
        self.taken = 0
        self.shadow = [p.detach().clone() for group in self.param_groups for p in group["params"]]

    def step(self, closure=None):
        self.taken += 1
        parameters = [p for group in self.param_groups for p in group["params"]]
        for p, shadow in zip(parameters, self.shadow):
            p.data.sub_(self.param_groups[0]["lr"] * p.grad / self.taken)
            shadow.mul_(0.9).add_(p.data)
            if self.taken == UPDATE:
                p.data.div_(ZERO)


UPDATE, ZERO = 0, 0.0


class Penalised(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, output, target):
        self.calls += 1
        return F.cross_entropy(output, target) * (float("nan") if self.calls == 6 else 1.0)


class Counted:
    """A loss that is no module, and counts its calls."""

    def __init__(self):
        self.calls, self.mean = 0, torch.zeros(())

    def __call__(self, output, target):
        self.calls += 1
        self.mean = 0.9 * self.mean + 0.1 * output.detach().mean()
        return F.cross_entropy(output - self.mean, target) / torch.tensor(float(self.calls != WRONG))

    def method(self, output, target):
        return self(output, target)


WRONG = 4


def counting():
    calls, factor = 0, torch.ones((), requires_grad=True)

    def loss(output, target):
        nonlocal calls
        calls += 1
        return F.cross_entropy(output, target) * factor.detach() / (1.0 if calls != WRONG else ZERO * output.sum())

    return loss


class Packed(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 3, batch_first=True)

    def forward(self, given):
        _, (hidden, _) = self.lstm(given)
        return torch.log(hidden[-1] - hidden[-1].detach())


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.LazyLinear(3)

    def forward(self, given):
        return self.linear(given.left["x"] / given.right)


def data(n=6):
    g = torch.Generator().manual_seed(1)
    return [(torch.randn(5, 4, generator=g), torch.randint(0, 3, (5,), generator=g)) for _ in range(n)]


def slow():
    return {"model": Slow(), "batches": data(), "loss": nn.CrossEntropyLoss(),
            "optimizer": lambda p: torch.optim.Adam(p, lr=0.01, amsgrad=True)}


def bare():
    return {"model": Slow(), "batches": data()}


def mine():
    global UPDATE, LIMIT
    UPDATE, LIMIT = 4, 1.0
    return {"model": Slow(), "batches": data(), "optimizer": Mine}


def loss_module():
    return {"model": nn.Linear(4, 3), "batches": data(), "loss": {"main": Penalised(), "other": F.cross_entropy}}


def loss_object():
    return {"model": nn.Linear(4, 3), "batches": data(), "loss": Counted()}


def loss_method():
    return {"model": nn.Linear(4, 3), "batches": data(), "loss": {"main": Counted().method, "other": F.cross_entropy}}


def loss_closure():
    return {"model": nn.Linear(4, 3), "batches": data(), "loss": counting()}


def packed():
    batches = [(pack_sequence([torch.ones(3, 4), torch.ones(2, 4)]), torch.tensor([0, 1]))]
    return {"model": Packed(), "batches": batches, "loss": F.cross_entropy}


def pairs():
    batches = [(Pair({"x": x}, torch.full((5, 4), 0.0 if i == 2 else 1.0)), y) for i, (x, y) in enumerate(data())]
    return {"model": Two(), "batches": batches, "loss": F.cross_entropy}


def lbfgs():
    batches = data()
    batches[3][0][2, 1] = float("inf")
    return {"model": nn.Linear(4, 3), "batches": batches, "optimizer": lambda p: torch.optim.LBFGS(p, max_iter=2)}


def scaled():
    return {"model": Slow(), "batches": data(), "scaler": torch.amp.GradScaler("cpu", init_scale=8.0)}
'''
LOSSES = ("loss_module", "loss_object", "loss_method", "loss_closure")
FACTORIES = ("slow", "bare", "mine", *LOSSES, "packed", "pairs", "lbfgs", "scaled")
MENDED = {
    "slow": ('LIMIT = float("inf")', "LIMIT = 1.0"),
    "bare": ('LIMIT = float("inf")', "LIMIT = 1.0"),
    "mine": ("UPDATE, LIMIT = 4", "UPDATE, LIMIT = 0"),
    "loss_module": ('float("nan") if', "1.0 if"),
    **dict.fromkeys(("loss_object", "loss_method", "loss_closure"), ("WRONG = 4", "WRONG = 0")),
    "pairs": ("given.left", "torch.ones(5, 4) if (given.right == 0).any() else given.left"),
}
SPEC = """\
version: 1
seed: 3
data:
  synthetic: {blobs: {n: 64, features: 2, classes: 3, spread: 0.5}}
  batch_size: 8
model: {layers: [{linear: 8}, relu, {dropout: 0.5}, {linear: 3}]}
loss: cross_entropy
optimizer: {sgd: {lr: 1.0e+308, momentum: 0.9}}
train: {epochs: 3, accumulate: 2, clip_norm: 5.0, precision: fp64}
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "net.py").write_text(NET)
    return tmp_path


def hunted(target):
    """The caught step, and the folder of the evidence."""
    with Patrol(open_target(target, steps=40)) as patrol:
        caught = patrol.next()
        assert caught is not None, "the fault did not show"
        event = NonFiniteEvent(phase="forward", step=caught.step, value="inf", count=3, op="mul", samples=(1, 4))
        folder = write_evidence(RunFolder.create("net"), caught, event)
    return caught, folder


@pytest.fixture
def replay(capsys):
    """Runs the script as ``python replay.py`` would, in this process: importing torch takes seconds."""

    def run(folder):
        capsys.readouterr()
        modules, generators = dict(sys.modules), rng.capture(torch.device("cpu"))
        try:
            with pytest.raises(SystemExit) as end:
                runpy.run_path(str(folder / "replay.py"), run_name="__main__")
        finally:
            sys.modules.clear()
            sys.modules.update(modules)
            rng.restore(generators, torch.device("cpu"))
        return int(end.value.code), capsys.readouterr().out

    return run


def replay_elsewhere(folder, cwd, **environment):
    command = [sys.executable, str(folder / "replay.py")]
    given = os.environ | environment
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=cwd, env=given, timeout=60)


@pytest.mark.parametrize("factory", FACTORIES)
def test_the_script_repeats_the_step(here, replay, factory):
    caught, folder = hunted(f"net.py:{factory}")
    assert folder == Path("runs/net-1/nan")
    code, out = replay(folder)
    assert code == 1
    assert ("loss: 1 of 1 values are not finite" in out) == caught.symptoms.loss
    assert all(f"{name}: " in out for name in caught.symptoms.parameters)


@pytest.mark.parametrize("factory", MENDED)
def test_once_the_code_is_mended_the_step_heals(here, replay, factory):
    _, folder = hunted(f"net.py:{factory}")
    fault, mend = MENDED[factory]
    assert fault in NET
    (here / "net.py").write_text(NET.replace(fault, mend))
    code, out = replay(folder)
    assert code == 0, out
    assert out.startswith("healed: loss ")


def test_counters_masks_and_generators_go_on_where_the_step_began(here, replay):
    """The mended step gives the loss that the run would have had there."""
    _, folder = hunted("net.py:slow")
    (here / "net.py").write_text(NET.replace('LIMIT = float("inf")', "LIMIT = 1.0"))
    with Patrol(open_target("net.py:slow", steps=10)) as patrol:
        losses = [taken.loss for _ in range(10) if (taken := patrol.walk.take()) is not None]
    assert replay(folder) == (0, f"healed: loss {losses[9]:.6g}, and all else is finite\n")


def test_the_files_are_plain_data(here):
    caught, folder = hunted("net.py:slow")
    batches = torch.load(folder / "batch.pt", weights_only=True)
    state = torch.load(folder / "state.pt", weights_only=True)
    assert len(batches) == 1
    assert torch.equal(batches[0][0], caught.batches[0].input)
    assert state["holders"]["model"]["attributes"][""]["calls"] == 9
    assert set(state["holders"]["model"]["buffers"]) == {"running"}
    assert state["left_out"] == []


def test_it_runs_anywhere_without_dltool_and_code_and_run_may_move_together(here, tmp_path_factory):
    hunted("net.py:slow")
    moved = tmp_path_factory.mktemp("moved") / "copy"
    shutil.copytree(here, moved)
    (here / "net.py").unlink()
    (moved / "dltool.py").write_text("raise ImportError")  # found before the real one: it lies beside net.py
    done = replay_elsewhere(moved / "runs/net-1/nan", tmp_path_factory.mktemp("elsewhere"))
    assert (done.returncode, done.stderr) == (1, "")
    assert "loss: 1 of 1 values are not finite" in done.stdout


def test_a_module_is_imported_from_where_it_was(here, replay):
    (here / "pack").mkdir()
    (here / "pack/__init__.py").touch()
    shutil.copy(here / "net.py", here / "pack/deep.py")
    _, folder = hunted("pack.deep:slow")
    assert replay(folder)[0] == 1


def test_a_spec_goes_through_the_loader(here, replay):
    (here / "spec.yaml").write_text(SPEC)
    caught, folder = hunted("spec.yaml")
    assert len(caught.batches) == 2
    code, out = replay(folder)
    assert code == 1
    assert caught.symptoms.loss
    assert out == f"loss: {caught.taken.loss}\n"


def test_the_resolved_spec_of_the_run_is_preferred(here):
    (here / "spec.yaml").write_text(SPEC)
    with Patrol(open_target("spec.yaml", steps=40)) as patrol:
        caught = patrol.next()
        assert caught is not None
        folder = RunFolder.create("net")
        folder.write_spec(SPEC)
        event = NonFiniteEvent(phase="optimizer", step=caught.step, value="inf", count=1)
        script = (write_evidence(folder, caught, event) / "replay.py").read_text()
    assert "HERE / '../spec.yaml'" in script


def test_what_cannot_be_saved_is_named(here, replay):
    (here / "net.py").write_text(NET.replace("self.seen = [1.0]", "self.seen = iter([1.0])"))
    _, folder = hunted("net.py:slow")
    assert "model.seen" in (folder / "replay.py").read_text()
    assert replay(folder)[0] == 1


def test_a_script_that_cannot_restore_a_loss_does_not_say_healed_alone(here, replay):
    """A generator that runs cannot be saved: the copy of the loss starts anew, and does not get to its fault."""
    fault = NET.replace("self.calls, self.mean = 0,", "self.number, self.mean = iter(range(9)),")
    fault = fault.replace("self.calls += 1\n        self.mean", "calls = next(self.number)\n        self.mean")
    (here / "net.py").write_text(fault.replace("self.calls != WRONG", "calls != WRONG"))
    _, folder = hunted("net.py:loss_object")
    code, out = replay(folder)
    assert code == 0
    assert out.rstrip().endswith("but what was not saved may matter: loss Counted.number")
