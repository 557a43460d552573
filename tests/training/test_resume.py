"""A run that was stopped, however roughly, ends as the one that was not: bit for bit."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from resumable import KILLS, VARIANTS, Counting, build, differences, everything
from torch import nn
from toys import experiment, mlp, weights

from dltool.core.errors import OutputError, SpecError
from dltool.training.experiment import Schedule
from dltool.training.loop import fit
from dltool.training.observer import Observer
from dltool.training.run_folder import RunFolder
from dltool.training.stop import StopFlag


class StopsAt(Observer):
    """Asks for the end after so many steps of this process."""

    def __init__(self, steps, stop):
        self.left, self.stop = steps, stop

    def update_end(self, info, batch, loss):
        self.left -= 1
        if self.left == 0:
            self.stop.interrupt()

    def epoch_end(self, record):
        if self.left <= 0:
            self.stop.interrupt()


def whole_run(tmp_path, variant, epochs=6):
    folder = RunFolder.create("toy", directory=str(tmp_path / "whole"))
    counting = Counting()
    outcome = fit(build(variant, epochs), observers=[counting], run_folder=folder)
    return outcome, counting, everything(folder.path)


@pytest.mark.parametrize("steps", [7, 10])
@pytest.mark.parametrize("variant", VARIANTS)
def test_interrupted_again_and_again(tmp_path, variant, steps):
    expected, counting, left = whole_run(tmp_path, variant)
    folder = RunFolder.create("toy", directory=str(tmp_path / "parts"))
    for part in range(100):
        stop = StopFlag()
        watcher = Counting()
        # the stopping observer is no part of the run: it has no state
        toy = build(variant)
        outcome = fit(toy, observers=[watcher], stop=stop_after(steps, stop, toy), run_folder=folder, resume=part > 0)
        if outcome.stopped != "interrupted":
            break
    assert outcome.stopped == expected.stopped
    assert part > 0 or variant in ("frozen", "diverging")
    assert differences(left, everything(folder.path)) == []
    assert outcome.history == expected.history or variant == "diverging"
    assert outcome.loss_trace == expected.loss_trace or variant == "diverging"
    assert outcome.optimisation == expected.optimisation
    assert (watcher.losses, watcher.sums.tolist()) == (counting.losses, counting.sums.tolist())


def stop_after(steps, stop, toy):
    """A flag that is raised once the model has been trained on so many batches."""
    seen = [0]

    def count(module, args):
        if module.training:
            seen[0] += 1
            if seen[0] >= steps:
                stop.interrupt()

    toy.model.register_forward_pre_hook(count)
    return stop


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["adam", "accumulate", "plateau"])
def test_killed_at_any_moment(tmp_path, variant):
    """SIGKILL, while checkpoints are written after every step, several times over."""
    _, counting, left = whole_run(tmp_path, variant, epochs=12)
    folder = tmp_path / "killed"
    folder.mkdir()
    script = Path(__file__).with_name("resumable.py")
    done = subprocess.run(
        [sys.executable, script, folder, variant, "12"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == KILLS
    assert differences(left, everything(folder)) == []
    assert left["state"]["loop"]["observers"][0]["losses"] == counting.losses
    assert not list(folder.glob(".*.tmp"))


def test_killed_before_the_first_checkpoint_starts_over(tmp_path):
    _, _, left = whole_run(tmp_path, "adam")
    folder = RunFolder.create("toy", directory=str(tmp_path / "early"))
    folder.write_spec("seed: 7\n")
    folder.append_metrics('{"epoch": 0, "half')
    fit(build("adam"), observers=[Counting()], run_folder=RunFolder.reopen("toy", str(folder.path)), resume=True)
    assert differences(left, everything(folder.path)) == []


def test_a_finished_run_is_not_trained_again(tmp_path):
    folder = RunFolder.create("toy", directory=str(tmp_path / "run"))
    first = fit(build("adam"), observers=[Counting()], run_folder=folder)
    toy = build("adam")
    again = fit(toy, observers=[Counting()], run_folder=folder, resume=True)
    assert again.history == first.history
    assert again.optimisation == first.optimisation
    assert again.resumed_at == first.optimisation.steps
    assert differences(dict(weights(toy)), dict(weights_in(folder))) == []


def weights_in(folder):
    state = folder.read_state()
    return state["model"]


@pytest.mark.parametrize("variant", ["adam", "momentum", "plateau"])
def test_a_run_may_be_made_longer(tmp_path, variant):
    _, _, left = whole_run(tmp_path, variant, epochs=9)
    folder = RunFolder.create("toy", directory=str(tmp_path / "parts"))
    fit(build(variant, epochs=3), observers=[Counting()], run_folder=folder)
    outcome = fit(build(variant, epochs=9), observers=[Counting()], run_folder=folder, resume=True)
    now = everything(folder.path)
    for side in (left, now):  # how far a spike must stand out depends on the length of the run, by design
        side["state"].pop("identity")
    assert differences(left, now) == []
    assert outcome.optimisation.epochs_planned == 9


def test_a_schedule_over_the_whole_run_cannot_be_made_longer(tmp_path):
    def cosine(optimizer):
        return Schedule(name="cosine", scheduler=torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 3), unit="epoch")

    folder = RunFolder.create("toy", directory=str(tmp_path / "run"))
    fit(experiment(schedule=cosine), run_folder=folder)
    with pytest.raises(SpecError, match="cosine schedule was laid out"):
        fit(experiment(schedule=cosine, epochs=6), run_folder=folder, resume=True)
    longer = experiment(schedule=cosine, epochs=6)
    longer.spec = {"schedule": {"cosine": {"T_max": 3}}}
    with pytest.raises(SpecError) as told:
        fit(longer, run_folder=folder, resume=True)
    assert "laid out" not in str(told.value)


def test_a_run_cut_short_within_an_epoch_cannot_be_made_longer(tmp_path):
    folder = RunFolder.create("toy", directory=str(tmp_path / "run"))
    fit(experiment(max_steps=10), run_folder=folder)
    with pytest.raises(SpecError, match="within an epoch"):
        fit(experiment(max_steps=15), run_folder=folder, resume=True)


def test_all_that_differs_is_told_at_once(tmp_path):
    folder = RunFolder.create("toy", directory=str(tmp_path / "run"))
    spec = {"seed": 7, "model": {"layers": [{"linear": 16}, "relu"]}, "train": {"epochs": 3, "clip_norm": 1.0}}
    first = experiment()
    first.spec = spec
    fit(first, run_folder=folder)
    before = {p.name: p.read_bytes() for p in folder.path.iterdir()}

    second = experiment(epochs=2)
    second.seed = 8
    second.spec = {**spec, "model": {"layers": [{"linear": 32}, "relu"]}, "train": {"epochs": 2}, "loss": "mse"}
    with pytest.raises(SpecError) as told:
        fit(second, run_folder=folder, resume=True)
    assert [(p.key, p.expected, p.value) for p in told.value.problems] == [
        ("seed", "7", "8"),
        ("model.layers", "[{'linear': 16}, 'relu']", "[{'linear': 32}, 'relu']"),
        ("train.epochs", "3", "2"),
        ("train.clip_norm", "1.0", "nothing"),
        ("loss", "nothing", "'mse'"),
    ]
    assert {p.name: p.read_bytes() for p in folder.path.iterdir()} == before


def test_another_factory_is_told(tmp_path):
    folder = RunFolder.create("toy", directory=str(tmp_path / "run"))
    fit(experiment(), run_folder=folder)
    other = experiment(model=nn.Linear(5, 3), optimizer=lambda p: torch.optim.SGD(p, lr=0.1))
    with pytest.raises(SpecError, match=r"optimizer.*\n.*parameters"):
        fit(other, run_folder=folder, resume=True)


def test_a_damaged_state_is_told(tmp_path):
    folder = RunFolder.create("toy", directory=str(tmp_path / "run"))
    fit(experiment(), run_folder=folder)
    path = folder.path / "state.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(OutputError, match="damaged"):
        fit(experiment(), run_folder=folder, resume=True)


def test_a_state_that_cannot_be_saved_costs_the_resume_and_not_the_run(tmp_path):
    notes = []

    class Notes:
        def start(self, total_steps, done_steps=0): ...
        def advance(self, step, loss, rate_per_s): ...
        def close(self): ...
        def note(self, text):
            notes.append(text)

    class Odd(torch.optim.lr_scheduler.LRScheduler):
        def get_lr(self):
            return [group["lr"] for group in self.optimizer.param_groups]

        def state_dict(self):
            return {"odd": object()}

    folder = RunFolder.create("toy", directory=str(tmp_path / "run"))
    toy = experiment(schedule=lambda optimizer: Schedule(name="odd", scheduler=Odd(optimizer), unit="epoch"))
    outcome = fit(toy, run_folder=folder, progress=Notes())
    assert outcome.stopped == "finished"
    assert notes == ["this run cannot be resumed: state/schedule/odd is a object, which a checkpoint cannot hold"]
    assert (folder.path / "last.safetensors").exists()
    assert not (folder.path / "state.safetensors").exists()


def test_checkpoints_keep_away_from_training(tmp_path, monkeypatch):
    """They wait for 50 times what the last one took, and at least a second."""
    from dltool.training.checkpoint import Checkpoints

    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    class Slow(RunFolder):
        def write_state(self, state):
            now[0] += 0.5

        def write_weights(self, name, tensors):
            pass

    checkpoints = Checkpoints(Slow(tmp_path), None)
    assert not checkpoints.due(0.999)
    assert checkpoints.due(1.0)
    checkpoints.write({"model": {}, "loop": {"best": {"epoch": None}}})
    assert not checkpoints.due(0.5 + 24.9)
    assert checkpoints.due(0.5 + 25.0)


def test_a_run_without_a_folder_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fit(replace(experiment(model=mlp()), name="toy"))
    assert list(tmp_path.iterdir()) == []
