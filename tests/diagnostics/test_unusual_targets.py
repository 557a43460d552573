"""``dltool train`` on models that hold what most do not, and on code that misbehaves: a report or a message, never a bug."""

import json
import textwrap

import pytest

from dltool.cli.main import main

NET = """
import torch
from torch import nn

g = torch.Generator().manual_seed(0)
batches = [(torch.randn(8, 4, generator=g), torch.randint(3, (8,), generator=g)) for _ in range(4)]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
        @init@

    def forward(self, x):
        @forward@


def make():
    model = Net()
    given = dict(model=model, batches=batches, val_batches=batches[:1])
    @extra@
    return given
"""


@pytest.fixture
def train(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)

    def run(init="pass", forward="return self.body(x)", extra="pass"):
        text = NET
        for place, lines, depth in (("@init@", init, 8), ("@forward@", forward, 8), ("@extra@", extra, 4)):
            text = text.replace(place, textwrap.indent(lines, " " * depth).strip())
        (tmp_path / "net.py").write_text(text)
        code = main(["train", "net.py:make", "--steps", "6", "--format", "json", "--fail-on", "never"])
        out, err = capfd.readouterr()
        return code, out, err

    return run


EMBEDDING = """\
given['batches'] = [(x[:, 0].abs().mul(3).long().clamp(max=9), y) for x, y in batches]
del given['val_batches']"""


@pytest.mark.parametrize(
    ("init", "forward", "extra"),
    [
        ("self.c = nn.Parameter(torch.randn(4, dtype=torch.cfloat))", "return self.body((x * self.c).real)", "pass"),
        ("self.p = nn.Parameter(torch.arange(4), requires_grad=False)", "return self.body(x * self.p)", "pass"),
        ("self.register_buffer('b', torch.zeros(1).expand(4))", "return self.body(x + self.b)", "pass"),
        ("self.register_buffer('b', torch.ones(4).to(torch.float8_e4m3fn))", "return self.body(x * self.b.float())", "pass"),
        ("self.register_buffer('b', torch.eye(4).to_sparse())", "return self.body((self.b @ x.T).T)", "pass"),
        (
            "self.register_buffer('b', torch.ones(1))",
            "self.b = torch.cat([self.b, self.b[:1]])\nreturn self.body(x)",
            "pass",
        ),
        (
            "self.e = nn.Embedding(10, 4, sparse=True)",
            "return self.body(self.e(x))",
            f"{EMBEDDING}\ngiven['optimizer'] = torch.optim.SGD(model.parameters(), lr=0.1)",
        ),
    ],
    ids=["complex", "integers", "expanded", "float8", "sparse buffer", "growing buffer", "sparse gradient"],
)
def test_what_a_model_may_hold(train, init, forward, extra):
    code, out, err = train(init, forward, extra)
    assert (code, [line for line in err.splitlines() if "cannot be resumed" not in line]) == (0, [])
    assert json.loads(out)["measurements"]["layers"]


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"extra": "given['model'] = model.to('meta')"}, ["meta device", "to_empty"]),
        (
            {
                "extra": "import warnings\nwith warnings.catch_warnings(action='ignore'):\n"
                "    given['model'] = torch.jit.script(model.body)"
            },
            ["scripted", "before torch.jit.script"],
        ),
        ({"extra": "model.body.parent = model"}, ["RecursionError while moving the model"]),
        ({"extra": "given['scaler'] = 'x'"}, ["`scaler`", "(found str)", "GradScaler"]),
        ({"extra": "given['loss'] = nn.CrossEntropyLoss"}, ["`loss` is a class", "CrossEntropyLoss()"]),
        ({"extra": "given['loss'] = lambda o, t: o.sum() * 1j"}, ["one number", "complex64"]),
        ({"extra": "given['batches'] = [(x[:0], y[:0]) for x, y in batches]"}, ["no sample"]),
        ({"extra": "given['batches'] = [(x[0], y[0]) for x, y in batches]"}, ["single samples", "DataLoader"]),
        (
            {"extra": "L = torch.optim\ngiven['scheduler'] = L.lr_scheduler.StepLR(L.SGD(model.parameters(), 0.1), 1)"},
            ["`scheduler` moves the rate of another optimizer"],
        ),
        (
            {
                "extra": "o = given['optimizer'] = torch.optim.SGD(model.parameters(), 0.1)\n"
                "given['scheduler'] = torch.optim.lr_scheduler.OneCycleLR(o, 0.1, total_steps=3)"
            },
            ["while stepping the scheduler, OneCycleLR", "total steps is 3"],
        ),
        (
            {
                "init": "self.e = nn.Embedding(10, 4, sparse=True)",
                "forward": "return self.body(self.e(x))",
                "extra": EMBEDDING,
            },
            ["while stepping the optimizer, AdamW", "SparseAdam"],
        ),
        (
            {
                "init": "self.n = nn.BatchNorm1d(4)",
                "forward": "return self.body(self.n(x))",
                "extra": "given['batches'] = [(x[:1], y[:1]) for x, y in batches]",
            },
            ["net.py", "more than 1 value per channel", "layer_norm"],
        ),
        ({"forward": "raise SystemExit(0)"}, ["SystemExit(0)"]),
        ({"forward": "return {'y': self.body(x)}"}, ["output dict, target Tensor"]),
    ],
    ids=lambda value: " ".join(value.values())[:40] if isinstance(value, dict) else None,
)
def test_what_cannot_be_trained_is_a_mistake_and_no_bug(train, change, parts):
    code, out, err = train(**change)
    assert (code, out) == (2, "")
    assert not [part for part in parts if part not in err], err
    assert "Traceback" not in err


def test_what_a_model_prints_is_no_part_of_the_result(train):
    code, out, err = train(forward="print('hello')\nreturn self.body(x)")
    assert code == 0
    json.loads(out)
    assert "hello" in err


WARMUP = """
def rate(n):
    if n == 5:
        raise ArithmeticError("five")
    return 1.0
given['optimizer'] = torch.optim.SGD(model.parameters(), 0.1)
given['scheduler'] = {'scheduler': torch.optim.lr_scheduler.LambdaLR(given['optimizer'], rate), 'interval': '@unit@'}
"""


def test_a_scheduler_is_stepped_by_the_interval_that_the_factory_names(train):
    assert train(extra=WARMUP.replace("@unit@", "epoch"))[0] == 0  # six steps are two epochs
    code, _, err = train(extra=WARMUP.replace("@unit@", "step"))
    assert code == 2
    assert "ArithmeticError while stepping the scheduler, LambdaLR: five" in err


def test_a_graph_whose_nodes_are_its_rows_is_trained(train):
    code, out, err = train(
        forward="nodes, (source, to) = x\nreturn torch.zeros(len(nodes), 3).index_add(0, to, self.body(nodes)[source])",
        extra="edges = torch.tensor([[0, 1, 2, 7, 6], [1, 2, 7, 6, 0]])\n"
        "given['batches'] = [((x, edges), y) for x, y in batches]\ndel given['val_batches']",
    )
    assert (code, err) == (0, "")
    assert json.loads(out)["measurements"]["fit_status"]
