"""Models that take batches of their own size alone: a recurrent state is kept from one batch to the next."""

import pytest
import torch

from dltool.diagnostics.init_stats import InitStatsOptions
from dltool.diagnostics.init_stats import run as run_init_stats
from dltool.diagnostics.train import TrainOptions
from dltool.diagnostics.train import run as run_train
from dltool.specs.target import WHOLE, open_target

NET = """
import torch
from torch import nn


class Stateful(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 6, batch_first=True)
        self.head = nn.Linear(6, 2)
        self.state = (torch.zeros(1, 8, 6), torch.zeros(1, 8, 6))

    def forward(self, x):
        out, state = self.lstm(x, self.state)
        self.state = tuple(part.detach() for part in state)
        return self.head(out[:, -1])


class Stateless(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 6, batch_first=True)
        self.head = nn.Linear(6, 2)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])


def make(net=Stateful):
    xs = torch.randn(24, 8, 5, 3)
    ys = (xs[:, :, :, 0].sum(-1) > 0).long()
    batches = list(zip(xs, ys))
    return {"model": net(), "batches": batches[:20], "val_batches": batches[20:]}


def make_stateless():
    return make(Stateless)
"""


@pytest.fixture
def net(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    return "net.py:make"


def test_a_model_with_a_state_of_one_batch_size_trains_to_a_report(net):
    report = run_train(net, TrainOptions(epochs=1))
    assert WHOLE in report.run.assumptions
    assert "history" in report.measurements
    assert not {"input_use", "mixing"} & set(report.measurements)


def test_its_start_is_measured(net):
    assert "layers" in run_init_stats(net, InitStatsOptions()).measurements


def test_every_pass_gets_whole_batches(net):
    experiment = open_target(net)
    assert experiment.whole_batches
    assert [len(batch.input) for batch in experiment.train.fixed(limit=20, batch_size=2)] == [8, 8, 8]
    assert torch.equal(experiment.model.state[0], torch.zeros(1, 8, 6)), "trying it left a trace"


def test_other_models_are_asked_everything(net):
    report = run_train(f"{net}_stateless", TrainOptions(epochs=1))
    assert WHOLE not in report.run.assumptions
    assert {"input_use", "mixing"} <= set(report.measurements)
