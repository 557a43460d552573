"""Hunts from end to end, for what the zoo does not hold: steps that cannot be repeated, and errors that are no NaN."""

import json
import subprocess
import sys
import textwrap

import pytest
import torch

from dltool.core.errors import TargetError
from dltool.diagnostics.nan_hunt import NanHuntOptions, run

START = """
import torch
from torch import nn
import torch.nn.functional as F

def batches(n=12, spoil=None):
    torch.manual_seed(0)
    made = [(torch.rand(4, 3) + 0.1, torch.randint(0, 2, (4,))) for _ in range(n)]
    if spoil is not None:
        made[spoil][0][2, 1] = -5.0
    return made
"""


@pytest.fixture
def hunt(tmp_path, monkeypatch):
    def on(code, **options):
        (tmp_path / "net.py").write_text(START + textwrap.dedent(code))
        monkeypatch.chdir(tmp_path)
        monkeypatch.delitem(sys.modules, "_dltool_target_net", raising=False)
        return run("net.py:make", NanHuntOptions(**{"steps": 12, **options}))

    return on


def only(report):
    (finding,) = report.findings
    return finding


def test_a_step_that_cannot_be_repeated_is_told_as_such(hunt):
    report = hunt("""
        def make():
            calls = (i for i in range(10**9))  # nothing can copy a generator
            def loss(output, target):
                return F.cross_entropy(output, target) * (float("nan") if next(calls) == 5 else 1.0)
            return {"model": nn.Linear(3, 2), "batches": batches(), "loss": loss}
    """)
    finding = only(report)
    assert (finding.where.phase, finding.where.op, finding.where.step) == ("loss", None, 4)  # one call was the trial
    assert "repeat" in finding.cause


def test_an_error_that_is_no_nan_is_the_users(hunt):
    with pytest.raises(TargetError, match="shapes cannot be multiplied"):
        hunt("""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layer, self.calls = nn.Linear(3, 2), 0
                def forward(self, x):
                    self.calls += 1
                    hidden = torch.full_like(x, -torch.inf).softmax(-1)  # NaN, and nobody's
                    return self.layer(x if self.calls < 4 else x[:, :2])
            def make():
                return {"model": Net(), "batches": batches(), "loss": F.cross_entropy}
        """)


def test_a_refusal_of_nan_is_followed_to_its_birth(hunt):
    report = hunt("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = nn.Linear(3, 2)
            def forward(self, x):
                scale = torch.log(x).sum(1, keepdim=True)
                return torch.distributions.Normal(self.layer(x), scale.exp()).mean
        def make():
            return {"model": Net(), "batches": batches(spoil=3), "loss": F.cross_entropy}
    """)
    where = only(report).where
    assert (where.phase, where.op, where.step, where.samples) == ("forward", "log", 3, (2,))
    assert (where.file, where.line) == ("net.py", 18)


def test_every_block_that_runs_the_line_is_one_suspect(hunt):
    report = hunt("""
        class Block(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = nn.Linear(3, 3)
            def forward(self, x, hidden):
                return x + self.layer(x).masked_fill(hidden, -torch.inf).softmax(-1)
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.blocks = nn.ModuleList(Block() for _ in range(8))
            def forward(self, x):
                hidden = (x < -4).any(1, keepdim=True)
                for block in self.blocks:
                    x = block(x, hidden)
                return x
        def make():
            return {"model": Net(), "batches": batches(spoil=3), "loss": F.cross_entropy}
    """)
    finding = only(report)
    assert (finding.where.op, finding.where.module, finding.where.samples) == ("softmax", "blocks.0", (2,))
    assert "and nothing else changed" in finding.evidence["proof"]


def test_a_running_variance_that_was_loaded_as_nan(hunt):
    """In training mode nobody reads it: the loss is fine, and every evaluation is not."""
    report = hunt("""
        def make():
            model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
            model[1].running_var[2] = torch.nan
            return {"model": model, "batches": batches(), "loss": F.cross_entropy}
    """)
    finding = only(report)
    assert (finding.rule, finding.where.parameter, finding.where.step) == ("NAN103", "1.running_var", 0)


def test_a_divergence_is_no_samples_fault(hunt):
    report = hunt(
        """
        def make():
            torch.manual_seed(1)
            model = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 2))
            return {"model": model, "batches": batches(40), "loss": lambda o, t: (o - 1).pow(2).mean(),
                    "optimizer": lambda p: torch.optim.SGD(p, lr=50.0)}
    """,
        steps=40,
    )
    finding = only(report)
    assert finding.where.samples is None
    assert "gradients had grown" in finding.cause


@pytest.mark.slow
def test_a_compiled_step_that_alone_is_bad(tmp_path):
    code = START + textwrap.dedent("""
        def wrong(graph, inputs):
            def compiled(*given):
                out = graph(*given)
                spoilt = any(t.shape == (4, 3) and bool((t < -4).any()) for t in given)
                return tuple(o * float("nan") for o in out) if spoilt else out
            return compiled
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = nn.Linear(3, 2)
            def forward(self, x):
                return self.layer(x)
        def make():
            return {"model": torch.compile(Net(), backend=wrong), "batches": batches(spoil=3), "loss": F.cross_entropy}
    """)
    (tmp_path / "net.py").write_text(code)
    command = [sys.executable, "-m", "dltool", "nan-hunt", "net.py:make", "--steps", "8", "--format", "json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    (finding,) = report["findings"]
    assert finding["where"]["phase"] == "forward"
    assert finding["where"]["step"] == 3
    assert "only the compiled step" in finding["cause"]
    assert report["measurements"]["guarding"]["compiled"] is True


def test_the_run_is_left_as_it_was_found(hunt):
    state = torch.get_rng_state()
    report = hunt("""
        def make():
            return {"model": nn.Linear(3, 2), "batches": batches(), "loss": F.cross_entropy}
    """)
    assert report.findings == ()
    assert report.measurements["first_bad_step"] is None
    assert report.measurements["steps_run"] == 12
    assert torch.equal(torch.get_rng_state(), state)


HOOKED = """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.side, self.other = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3)
            self.head = nn.Linear(3, 2)

        def forward(self, x):
            x = torch.relu(self.body(x))
            return self.head(x + 0.0 * self.side(x) + 0.0 * self.other(x))

    def unit(gradient):
        return gradient / gradient.norm()

    def in_place(parameter):
        parameter.grad.div_(parameter.grad.norm())

    def anew(parameter):
        parameter.grad = unit(parameter.grad)

    def each(module, *gradients):
        return tuple(None if g is None else unit(g) for g in gradients[0])

    def make():
        net = Net()
        HOOK
        return {"model": net, "batches": batches()}
"""


@pytest.mark.parametrize(
    ("hook", "op", "module", "parameter"),
    [
        ("net.side.weight.register_hook(unit)", "AccumulateGrad", "side", "side.weight"),
        ("net.side.bias.register_post_accumulate_grad_hook(in_place)", "AccumulateGrad", "side", "side.bias"),
        ("net.side.weight.register_post_accumulate_grad_hook(anew)", "AccumulateGrad", "side", "side.weight"),
        ("[p.register_hook(unit) for p in net.side.parameters()]", "AccumulateGrad", "side", "side.bias"),
        ("net.side.register_full_backward_pre_hook(each)", "BackwardHookFunctionBackward", "side", "side.weight"),
        ("net.side.register_full_backward_hook(each)", "BackwardHookFunctionBackward", "side", "body.weight"),
    ],
)
def test_what_a_hook_does_to_a_gradient_is_told_by_the_parameter(hunt, hook, op, module, parameter):
    where = only(hunt(HOOKED.replace("HOOK", hook))).where
    assert (where.phase, where.op, where.step) == ("backward", op, 0)
    assert (where.module, where.parameter) == (module, parameter)
    assert where.file == "net.py"


def test_of_a_birth_elsewhere_the_only_bad_gradient_is_named_beside_the_module_of_the_operator(hunt):
    where = only(
        hunt("""
            class Root(nn.Module):
                def forward(self, x):
                    return x.sqrt()

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.head, self.root = nn.Linear(3, 2), Root()
                    self.scale = nn.Parameter(torch.zeros(()))

                def forward(self, x):
                    return self.head(x) + 0.0 * self.root(self.scale)

            def make():
                return {"model": Net(), "batches": batches()}
        """)
    ).where
    assert (where.phase, where.op, where.module, where.parameter) == ("backward", "SqrtBackward0", "root", "scale")


@pytest.mark.parametrize(("interval", "step"), [('"interval": "step"', 3), ('"interval": "epoch"', 6), ("", 6)])
def test_a_warmup_that_ends_in_nan_is_caught_at_the_step_that_its_interval_means(hunt, interval, step):
    finding = only(
        hunt(
            """
            def make():
                net = nn.Linear(3, 2)
                optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
                warmup = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: n / 3 if n < 3 else float("nan"))
                scheduler = {"scheduler": warmup, INTERVAL}
                return {"model": net, "batches": batches(2), "optimizer": optimizer, "scheduler": scheduler}
            """.replace("INTERVAL", interval)
        )
    )
    assert (finding.where.phase, finding.where.parameter, finding.where.step) == ("optimizer", "weight", step)
