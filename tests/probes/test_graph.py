import torch
from torch import nn

from dltool.probes.graph import foreign_parameters


def test_parameters_outside_the_model_are_found_once_and_inputs_are_not():
    known, hidden = nn.Linear(3, 3), nn.Linear(3, 3)
    x = torch.randn(4, 3, requires_grad=True)
    loss = (hidden(known(hidden(x))) ** 2).mean()
    found = foreign_parameters(loss, {id(p) for p in known.parameters()})
    assert {id(p) for p in found} == {id(p) for p in hidden.parameters()}
    assert len(found) == 2


def test_a_loss_without_a_graph_has_none():
    assert foreign_parameters(torch.tensor(1.0), set()) == []
    assert foreign_parameters(nn.Linear(2, 1)(torch.ones(1, 2)).detach().sum(), set()) == []


def test_detached_parts_are_not_reached():
    hidden, head = nn.Linear(3, 3), nn.Linear(3, 1)
    loss = head(hidden(torch.ones(2, 3)).detach()).sum()
    assert foreign_parameters(loss, {id(p) for p in head.parameters()}) == []
