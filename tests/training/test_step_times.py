"""The time of a step, stretch by stretch: what the clock tells is compared with pauses and work of known length."""

import platform
import time

import torch
from toys import experiment

from dltool.diagnostics.machine import machine_of
from dltool.training import step_clock
from dltool.training.loop import fit
from dltool.training.observer import Observer
from dltool.training.step_clock import StepClock, reference_s


class Pause(Observer):
    def update_end(self, info, batch, loss):
        time.sleep(0.02)


class Toil(Observer):
    def update_end(self, info, batch, loss):
        until_s = time.process_time() + 0.01
        while time.process_time() < until_s:
            pass


def test_a_pause_is_wall_clock_time_and_work_is_processor_time():
    paused, toiled = (fit(experiment(), observers=(each(),)).clock for each in (Pause, Toil))
    assert len(paused.step_ms) == len(paused.step_cpu_ms) == len(paused.reference_ms) == 3
    assert min(paused.step_ms) >= 20
    assert min(toiled.step_cpu_ms) >= 10
    assert all(ms > 0 for ms in toiled.reference_ms)


def test_epochs_too_short_to_time_make_one_stretch_together(monkeypatch):
    clock = StepClock()
    monkeypatch.setattr(step_clock, "STRETCH_S", 1e9)
    for _ in range(3):
        clock.start()
        time.sleep(0.01)
        clock.stop(2)
    assert clock.step_ms == []
    monkeypatch.setattr(step_clock, "STRETCH_S", 0.0)
    clock.start()
    clock.stop(2)
    assert len(clock.step_ms) == 1
    assert clock.step_ms[0] >= 30 / 8


def test_an_epoch_without_a_step_is_no_stretch():
    clock = StepClock()
    clock.start()
    time.sleep(0.05)
    clock.stop(0)
    assert clock.step_ms == []


def test_the_reference_draws_no_random_number_and_takes_little_time():
    before = torch.get_rng_state()
    assert 0 < min(reference_s() for _ in range(5)) < 0.05
    assert torch.equal(torch.get_rng_state(), before)


def test_the_machine_is_named_without_its_host():
    named = machine_of(torch.device("cpu"))
    assert "processors" in named
    assert "threads" in named
    assert not platform.node() or platform.node() not in named
