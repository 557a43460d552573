"""What a factory returned as sections, and that having looked changes no step of the training."""

from __future__ import annotations

import pytest
import torch

from dltool.core.measured.design import Architecture, Objective, Plan, Samples
from dltool.core.measurements import Measurements
from dltool.diagnostics.lint.of_code import design_of_experiment
from dltool.specs.target import open_target
from dltool.training.loop import fit

STATEFUL = ["shuffled_loader", "global_randomness", "one_shot_iterator", "callable_batches", "refuses_fewer"]


def sections(name: str) -> Measurements:
    return Measurements(design_of_experiment(open_target(f"factories_to_design:{name}")))


@pytest.mark.parametrize("name", STATEFUL)
def test_training_takes_the_same_steps_bit_for_bit(name: str) -> None:
    weights, generators = [], []
    for look in (False, True):
        experiment = open_target(f"factories_to_design:{name}", epochs=2)
        before = torch.get_rng_state()
        if look:
            design_of_experiment(experiment)
        assert torch.equal(torch.get_rng_state(), before)
        fit(experiment)
        weights.append([value.clone() for value in experiment.model.state_dict().values()])
        generators.append((getattr(experiment.model, "calls", None), torch.get_rng_state()))
    assert all(torch.equal(one, other) for one, other in zip(*weights, strict=True))
    assert generators[0][0] == generators[1][0]


def test_a_classifier_behind_a_loader() -> None:
    measured = sections("shuffled_loader")
    assert [layer.kind for layer in measured[Architecture].layers][-5:] == [
        "linear",
        "batch_norm",
        "relu",
        "dropout",
        "linear",
    ]
    assert measured[Objective].task == "classification"
    samples = measured[Samples]
    assert (samples.train_samples, samples.input_shape, samples.target_kind, samples.classes) == (96, (4,), "class-index", 3)
    assert (samples.label_min, samples.label_max, samples.integer_targets, samples.all_read) == (0, 2, True, True)
    assert samples.sorted_by_target is False
    plan = measured[Plan]
    assert (plan.optimizer, plan.lr, plan.batch_size, plan.steps_per_epoch, plan.epochs) == ("adamw", 1e-3, 16, 6, None)


def test_several_terms_and_groups() -> None:
    measured = sections("callable_batches")
    assert [(term.name, term.expects) for term in measured[Objective].terms] == [
        ("cross_entropy", "logits"),
        ("custom", "unknown"),
    ]
    plan = measured[Plan]
    assert (plan.optimizer, plan.lr, plan.momentum, plan.schedule) == ("sgd", 0.05, 0.9, "steplr")


def test_a_model_of_one_batch_size_gets_a_whole_batch() -> None:
    kinds = [layer.kind for layer in sections("refuses_fewer")[Architecture].layers]
    assert kinds == ["linear", "shift", "tanh", "linear"]


def test_a_model_is_called_once_and_its_calls_are_forgotten() -> None:
    experiment = open_target("factories_to_design:raises_on_every_pass_but_the_first")
    assert Architecture in Measurements(design_of_experiment(experiment))
    assert experiment.model.seen == 0


def test_numbers_as_targets() -> None:
    measured = sections("regression")
    samples = measured[Samples]
    assert (measured[Objective].task, samples.target_kind, samples.target_shape) == ("regression", "numbers", (1,))
    assert samples.val_samples == 16
    assert samples.target_min is not None
    assert samples.target_min < 0 < (samples.target_max or 0)
