import pytest
import torch
from torch import nn
from toys import blobs, experiment, same, weights

from dltool.training.experiment import Regularisation
from dltool.training.loop import fit
from dltool.training.penalties import MaxNorm, Penalties


def build():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 3)).double()


def test_the_slopes_are_those_of_backward_through_the_penalty():
    settings = Regularisation(l1=0.01, l2=0.3, layer_l2={"3.weight": 0.7})
    inputs, targets = blobs(20)
    ours, theirs = build(), build()
    nn.functional.cross_entropy(ours(inputs.double()), targets).backward()
    penalties = Penalties(ours, settings)
    penalties.apply()

    w0, w3 = theirs[0].weight, theirs[3].weight
    penalty = 0.01 * (w0.abs().sum() + w3.abs().sum()) + 0.3 / 2 * w0.square().sum() + 0.7 / 2 * w3.square().sum()
    (nn.functional.cross_entropy(theirs(inputs.double()), targets) + penalty).backward()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-12, atol=1e-15)
    assert penalties.value() == pytest.approx(penalty.item(), rel=1e-12)


def test_l2_is_torchs_weight_decay_on_the_weights():
    def decayed(parameters):
        matrices = [p for p in parameters if p.ndim > 1]
        rest = [p for p in model.parameters() if p.ndim < 2]
        return torch.optim.SGD([{"params": matrices, "weight_decay": 0.1}, {"params": rest}], lr=0.1)

    model = build().float()
    theirs = experiment(model=model, optimizer=decayed)
    ours = experiment(
        model=build().float(), optimizer=lambda p: torch.optim.SGD(p, lr=0.1), regularisation=Regularisation(l2=0.1)
    )
    fit(ours), fit(theirs)
    assert same(weights(ours), weights(theirs))


def test_biases_norms_frozen_and_unused_weights_are_left_alone():
    model = nn.ModuleDict(
        {"norm": nn.LayerNorm([4, 4]), "frozen": nn.Linear(4, 4), "unused": nn.Linear(4, 4), "used": nn.Linear(4, 4)}
    )
    model["frozen"].requires_grad_(False)
    for name in ("norm", "used"):
        for p in model[name].parameters():
            p.grad = torch.zeros_like(p)
    Penalties(model, Regularisation(l1=1.0, l2=1.0)).apply()
    assert not model["norm"].weight.grad.any()
    assert not model["used"].bias.grad.any()
    assert model["used"].weight.grad.any()
    assert model["unused"].weight.grad is None
    assert not Penalties(model, Regularisation())


def test_tied_weights_are_penalised_once():
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    model[1].weight = model[0].weight
    model[0].weight.grad = torch.zeros(4, 4)
    Penalties(model, Regularisation(l2=1.0)).apply()
    assert torch.equal(model[0].weight.grad, model[0].weight)


def test_max_norm_holds_every_units_incoming_weights():
    model = nn.Sequential(
        nn.Linear(6, 4), nn.Conv2d(3, 5, 2), nn.ConvTranspose2d(3, 5, 2), nn.Embedding(3, 4), nn.LayerNorm(3)
    )
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(20)
        model[0].weight[1] = 0.01
    before = [p.clone() for p in model.parameters()]
    MaxNorm(model, 2.0).apply()
    units = [model[0].weight, model[1].weight.flatten(1), model[2].weight.transpose(0, 1).flatten(1)]
    for weight in units:
        assert (weight.norm(dim=1) <= 2.0 + 1e-5).all()
    torch.testing.assert_close(units[1].norm(dim=1), torch.full((5,), 2.0))
    assert torch.equal(model[0].weight[1], before[0][1])
    for i in (1, 3, 5, 6, 7, 8):
        assert torch.equal(list(model.parameters())[i], before[i])


def test_max_norm_holds_after_training():
    toy = experiment(regularisation=Regularisation(max_norm=0.5), epochs=4)
    fit(toy)
    assert toy.model[0].weight.norm(dim=1).max() <= 0.5 + 1e-5
    assert toy.model[0].weight.norm(dim=1).max() > 0.45


def test_lbfgs_searches_along_the_penalised_loss():
    def lbfgs(parameters):
        return torch.optim.LBFGS(parameters, lr=1.0, max_iter=20, line_search_fn="strong_wolfe")

    model = nn.Linear(5, 3).double()
    toy = experiment(
        model=model, optimizer=lbfgs, batch_size=200, epochs=8, precision="fp64", regularisation=Regularisation(l2=0.5)
    )
    fit(toy)
    inputs, targets = blobs()
    loss = nn.functional.cross_entropy(model(inputs.double()), targets) + 0.25 * model.weight.square().sum()
    slopes = torch.autograd.grad(loss, list(model.parameters()))
    assert max(slope.abs().max() for slope in slopes) < 1e-5  # a minimum of the loss with its penalty
