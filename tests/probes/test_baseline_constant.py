"""The best constant is found without a sound: a run must not greet its user with a warning of torch."""

import warnings

import torch
from torch.nn import functional

from dltool.probes.baseline import fit_constant


def test_fitting_a_constant_warns_of_nothing_and_ends_at_the_entropy() -> None:
    labels = torch.tensor([0, 0, 0, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        constant = fit_constant(
            functional.cross_entropy, [(torch.ones(4, 2), labels)], example=(torch.ones(4, 2), torch.zeros(4, 2))
        )
    assert constant is not None
    shares = torch.tensor([0.75, 0.25])
    assert torch.allclose(functional.softmax(constant(torch.ones(1, 2)).detach(), dim=1), shares, atol=1e-4)


def test_a_loss_with_class_weights_of_its_own_is_met_in_their_precision() -> None:
    labels = torch.tensor([0] * 9 + [1])
    loss = torch.nn.CrossEntropyLoss(weight=torch.tensor([1.0, 9.0]))
    constant = fit_constant(loss, [(torch.ones(10, 2), labels)], example=(torch.ones(10, 2), torch.zeros(10, 2)))
    assert constant is not None
    shares = functional.softmax(constant(torch.ones(1, 2)).detach(), dim=1)
    assert torch.allclose(shares, torch.tensor([0.5, 0.5]), atol=1e-3)
