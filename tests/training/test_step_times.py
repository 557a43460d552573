"""The time of a step, epoch by epoch: the clock's own reading is compared with a pause of known length."""

import platform
import time

import torch
from toys import experiment

from dltool.diagnostics.machine import machine_of
from dltool.training.loop import fit
from dltool.training.observer import Observer


class Pause(Observer):
    def update_end(self, info, batch, loss):
        time.sleep(0.02)


def test_every_epoch_tells_the_mean_time_of_its_steps():
    plain, slow = fit(experiment()), fit(experiment(), observers=(Pause(),))
    assert len(plain.step_ms) == len(slow.step_ms) == 3
    assert all(ms > 0 for ms in plain.step_ms)
    assert all(ms >= 20 for ms in slow.step_ms)


def test_the_machine_is_named_without_its_host():
    named = machine_of(torch.device("cpu"))
    assert "processors" in named
    assert "threads" in named
    assert platform.node() not in named or not platform.node()
