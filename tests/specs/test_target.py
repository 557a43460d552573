"""Targets: specs end to end, factories of every form, and every way in which they go wrong."""

import random
import subprocess
import sys
import textwrap

import pytest
import torch

from dltool.core.errors import DataError, SpecError, TargetError
from dltool.specs.factory_batches import open_batches
from dltool.specs.target import open_target
from dltool.training import rng

CPU = torch.device("cpu")

NET = """
    import torch
    from torch import nn
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    batches = [(torch.randn(6, 4), torch.randint(3, (6,))) for _ in range(5)]
"""


@pytest.fixture
def write(tmp_path):
    def write_file(name: str, text: str) -> str:
        (tmp_path / name).write_text(textwrap.dedent(text))
        return str(tmp_path / name)

    return write_file


@pytest.fixture
def factory(write):
    count = iter(range(100))

    def make(body: str, head: str = NET) -> str:
        return (
            write(
                f"net{next(count)}.py",
                textwrap.dedent(head) + "def make():\n" + textwrap.indent(textwrap.dedent(body), "    "),
            )
            + ":make"
        )

    return make


SPEC = """\
version: 1
data:
  synthetic: {blobs: {n: 60, classes: 3, features: 4}}
  split: 0.2
  batch_size: 16
model:
  layers:
    - linear: 8
    - relu
    - linear: 3
"""


def test_a_spec_with_everything_left_open(write):
    experiment = open_target(write("a.yaml", SPEC))
    assert experiment.task == "classification"
    assert experiment.criterion.name == "cross_entropy"
    assert type(experiment.optimizer) is torch.optim.AdamW
    assert experiment.settings.epochs == 20
    assert any("cross_entropy" in line for line in experiment.assumptions)
    assert any("AdamW" in line for line in experiment.assumptions)
    assert experiment.facts.outputs == 3
    assert experiment.name == "a"


def test_a_spec_with_everything_given(write):
    text = SPEC + textwrap.dedent("""\
        seed: 5
        loss: {cross_entropy: {label_smoothing: 0.1}}
        metrics: [accuracy, {top_k: 2}]
        optimizer: {sgd: {lr: 0.5, decay: 0.1, weight_decay: 0.01}}
        schedule: {step: {step_size: 2, warmup: 3}}
        regularize: {l1: 0.1, l2: 0.2, max_norm: 3.0}
        train: {epochs: 7, clip_norm: 1.0, accumulate: 2, early_stopping: {patience: 3, monitor: val_accuracy}}
        rules: {ignore: {dead-relu: known}, thresholds: {dead-relu.fraction: 0.4}, allow_nonfinite: ["mask*"]}
        """)
    experiment = open_target(write("a.yaml", text), overrides=["train.epochs=4"], seed=9, steps=3)
    assert experiment.seed == 9
    assert experiment.settings.max_steps == 3
    assert experiment.settings.epochs == 2
    assert experiment.settings.regularisation.l2 == 0.2
    assert experiment.settings.early_stopping.monitor == "val_accuracy"
    assert experiment.optimizer.param_groups[0]["lr"] == pytest.approx(0.5 / 3)
    assert experiment.schedule.unit == "step"
    assert [metric.name for metric in experiment.metrics] == ["accuracy", "top_k"]
    assert {name: order.reason for name, order in experiment.ignored_rules.items()} == {"dead-relu": "known"}
    assert open_target(write("a.yaml", text), overrides=["train.epochs=4"]).settings.epochs == 4
    assert open_target(write("a.yaml", text), epochs=2).settings.epochs == 2


def test_one_step_of_a_spec_goes_downhill(write):
    experiment = open_target(write("a.yaml", SPEC + "optimizer: {sgd: {lr: 0.1}}\n"))
    batch = next(experiment.train.epoch(0))
    before = experiment.criterion(experiment.model(batch.input), batch.target)
    before.backward()
    experiment.optimizer.step()
    assert experiment.criterion(experiment.model(batch.input), batch.target).item() < before.item()


def test_the_callers_random_state_is_left_alone(write, factory):
    targets = [write("a.yaml", SPEC), factory("return {'model': model, 'batches': batches}")]
    state = torch.get_rng_state()
    for target in targets:
        first, second = open_target(target), open_target(target)
        list(first.train.epoch(0))
        assert all(torch.equal(a, b) for a, b in zip(first.model.parameters(), second.model.parameters(), strict=True))
        assert torch.equal(torch.get_rng_state(), state)


def test_frozen_everything_has_no_optimizer(write):
    text = SPEC.replace("linear: 8", "linear: {out_features: 8, frozen: true}").replace(
        "linear: 3", "linear: {out_features: 3, frozen: true}"
    )
    assert open_target(write("a.yaml", text)).optimizer is None


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (("linear: 3\n", "linear: 3\nloss: mse\nmetrics: [r2]\n"), ["loss", "different shapes"]),
        (("- relu", "- {conv2d: {out_channels: 1, kernel_size: 3}}"), ["model.layers.1", "conv2d"]),
        (("  layers:", "  input: [5]\n  layers:"), ["7:", "model.input", "(5,)", "(4,)"]),
        (("linear: 3\n", "linear: 3\nmetrics: [{top_k: 7}]\n"), ["metrics.0", "found 7"]),
        (
            ("linear: 3\n", "linear: 3\ntrain: {early_stopping: {patience: 2, monitor: val_acuracy}}\n"),
            ["monitor", "val_loss"],
        ),
        (
            ("linear: 3\n", "linear: 3\nloss: mse\nschedule: {one_cycle: {max_lr: 1.0, warmup: 3}}\n"),
            ["loss", "schedule", "warms up"],
        ),
        (("    - relu", "    - _target_: os.system"), ["code of its own", "--allow-import os"]),
    ],
)
def test_mistakes_in_a_spec_are_told_at_their_place(write, change, parts):
    with pytest.raises(SpecError) as caught:
        open_target(write("a.yaml", SPEC.replace(*change)))
    for part in ("a.yaml:", *parts):
        assert part in str(caught.value)


def test_more_classes_than_outputs_is_left_to_the_rules(write):
    experiment = open_target(write("a.yaml", SPEC.replace("linear: 3", "linear: 2")))
    assert experiment.facts.outputs == 2
    assert experiment.facts.out_of_range


@pytest.mark.parametrize(("classes", "loss", "out_of_range"), [(2, "bce_with_logits", 0), (3, "cross_entropy", 1)])
def test_a_single_output_is_yes_or_no_where_there_are_two_classes(write, classes, loss, out_of_range):
    text = SPEC.replace("classes: 3", f"classes: {classes}").replace("linear: 3", "linear: 1")
    experiment = open_target(write("a.yaml", text))
    assert experiment.criterion.name == loss
    assert len(experiment.facts.out_of_range) >= out_of_range
    assert bool(experiment.facts.out_of_range) == bool(out_of_range)


def test_missing_spec(tmp_path):
    with pytest.raises((SpecError, DataError)):
        open_target(str(tmp_path / "none.yaml"))


def test_own_code_in_a_spec_runs_only_where_it_is_allowed(write, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    write("my_nets_for_test.py", """
        import os
        from torch import nn
        class Block(nn.Module):
            def __init__(self, width):
                super().__init__()
                self.inner = nn.Linear(8, width)
            def forward(self, x):
                return self.inner(x)
        def broken(width):
            raise ValueError("no such width")
        NUMBER = 3
    """)  # fmt: skip
    text = SPEC.replace("- relu", "- {_target_: my_nets_for_test.Block, width: 7}")
    experiment = open_target(write("a.yaml", text), allow_import=["my_nets_for_test"])
    assert experiment.model.get_submodule("1.inner").out_features == 7
    for name, part in [
        ("my_nets_for_test.os.system", "import of another module"),
        ("my_nets_for_test.nn.Linear", "import of another module"),
        ("my_nets_for_test.Blok", "has no Blok"),
        ("my_nets_for_test.broken", "no such width"),
        ("my_nets_for_test.NUMBER", "no class or function"),
        ("my_nets_for_test_b.x", "code of its own"),
    ]:
        with pytest.raises(SpecError, match=part):
            open_target(write("b.yaml", text.replace("my_nets_for_test.Block", name)), allow_import=["my_nets_for_test"])


def test_a_factory_that_returns_everything(factory):
    target = factory("""
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        return {
            "model": model, "batches": batches, "val_batches": batches[:2], "epoch_steps": 3,
            "loss": {"main": nn.CrossEntropyLoss(), "size": lambda output, target: output.square().mean()},
            "optimizer": optimizer, "scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 2),
        }
    """)
    experiment = open_target(target, epochs=2)
    assert len(experiment.train) == 3
    assert len(experiment.val) == 2
    assert list(experiment.criterion.terms) == ["main", "size"]
    assert experiment.schedule.unit == "epoch"
    assert experiment.task == "classification"
    assert experiment.facts is None
    (told,) = experiment.assumptions
    assert told.startswith("StepLR is stepped after every epoch; ")
    assert '"interval": "step"' in told


def test_what_a_factory_leaves_open_is_assumed_and_said(factory):
    experiment = open_target(factory("return {'model': model, 'batches': lambda count: batches[:count]}"))
    assert experiment.criterion.name == "cross_entropy"
    assert type(experiment.optimizer) is torch.optim.AdamW
    assert len(experiment.train) == 100
    assert [text.split(" ", 2)[1] for text in experiment.assumptions if text.startswith("No ")] == [
        "`epoch_steps`",
        "loss",
        "optimizer",
    ]


def test_floats_ask_for_mse_and_nested_inputs_pass(factory):
    target = factory("""
        class Two(nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = nn.Linear(4, 1)
            def forward(self, pair):
                return self.inner(pair["a"]) + pair["b"][0]
        batch = ({"a": torch.randn(5, 4), "b": (torch.randn(5, 1),)}, torch.randn(5, 1))
        return {"model": Two(), "batches": [batch] * 3}
    """)
    experiment = open_target(target)
    assert experiment.criterion.name == "mse"
    assert experiment.task == "regression"
    assert experiment.train.batch_size == 5
    assert experiment.train.samples == 15


@pytest.mark.parametrize(
    ("scheduler", "unit"),
    [
        ("StepLR(o, 2)", "epoch"),
        ("OneCycleLR(o, 0.1, 50)", "step"),
        ("LambdaLR(o, lambda step: 1.0)", "epoch"),
        ("{'scheduler': LambdaLR(o, lambda step: 1.0), 'interval': 'step'}", "step"),
        ("{'scheduler': LambdaLR(o, lambda step: 1.0)}", "epoch"),
        ("{'scheduler': lambda o: LambdaLR(o, lambda step: 1.0), 'interval': 'step'}", "step"),
        ("{'scheduler': OneCycleLR(o, 0.1, 50), 'interval': 'epoch'}", "epoch"),
        ("{'scheduler': ReduceLROnPlateau(o), 'interval': 'epoch'}", "epoch"),
    ],
)
def test_a_scheduler_is_stepped_when_the_factory_says(factory, scheduler, unit):
    head = NET + "    from torch.optim.lr_scheduler import *\n"
    body = f"""
        o = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        return {{
            "model": model, "batches": batches, "optimizer": o, "loss": nn.CrossEntropyLoss(), "scheduler": {scheduler},
        }}
    """
    experiment = open_target(factory(body, head), steps=5)
    assert experiment.schedule.unit == unit
    assert hasattr(experiment.schedule.scheduler, "step")
    assert bool(experiment.assumptions) == ("interval" not in scheduler)  # what is said needs no assumption


GRAPH = """
    import torch
    from torch import nn

    class Graph(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 3)
        def forward(self, graph):
            nodes, (source, to) = graph
            return torch.zeros(len(nodes), 3).index_add(0, to, self.linear(nodes)[source])

    edges = torch.tensor([[0, 1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6, 0]])
"""
STATEFUL = """
    import random
    import numpy as np
    import torch
    from torch import nn

    class Stateful(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.drop = nn.BatchNorm1d(5), nn.Dropout(0.5)
            self.lstm, self.head = nn.LSTM(4, 5, batch_first=True), nn.Linear(5, 3)
            self.held, self.calls, self.trained = (torch.zeros(1, 8, 5), torch.zeros(1, 8, 5)), 0, []
        def forward(self, x):
            self.calls += 1
            self.trained.append(self.training)
            random.random(), np.random.rand()
            out, held = self.lstm(x.mul_(2.0), self.held)
            self.held = tuple(each.detach() for each in held)
            return self.head(self.drop(self.norm(out[:, -1])))
"""


def test_a_graph_is_tried_whole(factory):
    body = "return {'model': Graph(), 'batches': [((torch.randn(7, 4), edges), torch.randint(3, (7,))) for _ in range(4)]}"
    experiment = open_target(factory(body, GRAPH))
    assert experiment.criterion.name == "cross_entropy"
    assert experiment.task == "classification"
    assert all(len(batch.input[0]) == 7 for batch in experiment.train.fixed(limit=4))


@pytest.mark.parametrize(("target", "loss"), [("torch.randint(3, (8,))", "cross_entropy"), ("torch.randn(8, 3)", "mse")])
def test_a_model_with_a_state_of_one_batch_size_is_tried_and_left_as_it_was(factory, target, loss):
    body = f"""
        global made
        made = Stateful(), [(torch.ones(8, 6, 4), {target}) for _ in range(3)]
        return {{"model": made[0], "batches": made[1]}}
    """
    generators = random.getstate(), rng.capture(CPU)["numpy"][1].tolist(), torch.get_rng_state()
    experiment = open_target(factory(body, STATEFUL))
    model = experiment.model
    assert experiment.criterion.name == loss
    assert (model.calls, model.trained, model.training) == (0, [], True)
    assert all(torch.equal(each, torch.zeros(1, 8, 5)) for each in model.held)
    assert torch.equal(model.norm.running_mean, torch.zeros(5))
    assert model.norm.num_batches_tracked == 0
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(batch.input, torch.ones(8, 6, 4)) for batch in experiment.train.fixed())
    assert (random.getstate(), rng.capture(CPU)["numpy"][1].tolist()) == generators[:2]
    assert torch.equal(torch.get_rng_state(), generators[2])


def test_a_model_is_tried_as_it_is_trained(factory):
    body = """
        class Aux(nn.Linear):
            def forward(self, x):
                out = super().forward(x)
                return {"main": out, "aux": out} if self.training else out
        loss = lambda o, t: nn.functional.cross_entropy(o["main"] + o["aux"], t)
        return {"model": Aux(4, 3), "batches": batches, "loss": loss}
    """
    assert open_target(factory(body)).criterion.terms
    with pytest.raises(TargetError, match="without a loss of your own"):
        open_target(factory(body.replace('"loss": loss', '"loss": None')))


def test_lazy_layers_get_their_sizes_and_no_statistics(factory):
    body = """
        model = nn.Sequential(nn.LazyLinear(8), nn.LazyBatchNorm1d(), nn.Linear(8, 3))
        return {"model": model, "batches": batches}
    """
    target = factory(body)
    model, again = open_target(target).model, open_target(target).model
    assert torch.equal(model[0].weight, again[0].weight)
    model(torch.randn(6, 4))
    assert model[0].weight.shape == (8, 4)
    assert torch.equal(again[1].running_mean, torch.zeros(8))


def test_torchs_own_losses_can_be_told_by_sample(factory):
    target = factory("return {'model': model, 'batches': batches, 'loss': nn.CrossEntropyLoss(label_smoothing=0.1)}")
    experiment = open_target(target)
    batch = next(experiment.train.epoch(0))
    output = experiment.model(batch.input)
    value = experiment.criterion(output, batch.target)
    assert torch.allclose(experiment.criterion.per_sample(output, batch.target).mean(), value)
    custom = open_target(factory("return {'model': model, 'batches': batches, 'loss': lambda o, t: o.mean()}"))
    assert custom.criterion.per_sample(output, batch.target) is None


def test_a_one_shot_iterator_is_kept(factory):
    experiment = open_target(factory("return {'model': model, 'batches': (b for b in batches)}"))
    first, second = list(experiment.train.epoch(0)), list(experiment.train.epoch(1))
    assert len(first) == 5
    assert all(torch.equal(a.input, b.input) for a, b in zip(first, second, strict=True))


LOADER = """
    data = torch.utils.data.TensorDataset(torch.arange(24.0).reshape(24, 1), torch.arange(24) % 3)
    loader = torch.utils.data.DataLoader(data, batch_size=5, shuffle=True)
    return {"model": nn.Linear(1, 3), "batches": loader}
"""


def order(batches) -> list[float]:
    return torch.cat([batch.input.flatten() for batch in batches]).tolist()


def test_a_loader_that_shuffles_follows_seed_and_epoch_alone(factory):
    target = factory(LOADER)
    experiment, again, other = open_target(target), open_target(target), open_target(target, seed=1)
    torch.manual_seed(99)
    whole = order(experiment.train.epoch(2))
    assert sorted(whole) == list(range(24))
    torch.rand(5)
    assert order(again.train.epoch(2)) == whole
    assert order(again.train.epoch(2, 3)) == whole[15:]
    assert order(again.train.epoch(3)) != whole
    assert order(other.train.epoch(2)) != whole
    interleaved = []
    for batch in again.train.epoch(2):
        torch.rand(3)
        interleaved.append(batch)
    assert order(interleaved) == whole


def test_fixed_is_the_same_at_every_call_and_spread(factory):
    train = open_target(factory(LOADER)).train
    assert order(train.fixed()) == order(train.fixed())
    some = order(train.fixed(limit=7))
    assert len(some) == 7 == len(set(some))
    assert some == order(train.fixed(limit=7))
    assert [len(batch.target) for batch in train.fixed(limit=7, batch_size=3)] == [3, 2, 2]


def test_a_source_shorter_than_its_epoch_is_read_again(factory):
    experiment = open_target(factory("return {'model': model, 'batches': batches, 'epoch_steps': 12}"))
    assert len(list(experiment.train.epoch(0))) == 12
    assert len(list(experiment.train.epoch(0, 10))) == 2


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        ("return 5", ["something else than a model", "int"]),
        ("return {'batches': batches}", ["no model"]),
        ("return {'model': model, 'batchs': batches}", ["batchs", "did you mean 'batches'"]),
        ("return model", ["no data", "`batches`"]),
        ("return {'model': model, 'batches': []}", ["gives no batch"]),
        ("return {'model': model, 'batches': [torch.ones(2)]}", ["no pair", "(input, target)"]),
        ("return {'model': model, 'batches': [(1, 2)]}", ["holds no tensor"]),
        ("return {'model': model, 'batches': 3}", ["cannot be read", "int"]),
        ("return {'model': model, 'batches': batches, 'epoch_steps': 0}", ["`epoch_steps`"]),
        ("return {'model': model, 'batches': batches, 'loss': 'mse'}", ["`loss` cannot be called"]),
        ("return {'model': model, 'batches': batches, 'loss': lambda o, t: o}", ["one number", "(6, 3)"]),
        (
            "return {'model': model, 'batches': batches, 'loss': lambda o, t: o.size(7)}",
            ["IndexError", ".py:7", "loss of a batch"],
        ),
        ("return {'model': model, 'batches': batches, 'optimizer': 'sgd'}", ["`optimizer` cannot be used"]),
        ("return {'model': model, 'batches': batches, 'optimizer': lambda p: 3}", ["`optimizer` is no optimizer"]),
        ("return {'model': model, 'batches': batches, 'scheduler': 3}", ["`scheduler` cannot be used"]),
        (
            "return {'model': model, 'batches': batches, 'scheduler': {'intervall': 'step'}}",
            ["unknown key", "did you mean 'interval'", "without a scheduler", '"interval": "step"'],
        ),
        (
            "return {'model': model, 'batches': batches, 'scheduler': {'scheduler': 3, 'interval': ['batch']}}",
            ["scheduler.interval", "['batch']", "step or epoch"],
        ),
        (
            """
            plateau = torch.optim.lr_scheduler.ReduceLROnPlateau
            return {'model': model, 'batches': batches, 'scheduler': {'scheduler': plateau, 'interval': 'step'}}
            """,
            ["waits for the loss of an epoch", "scheduler.interval"],
        ),
        ("return {'model': nn.Linear(9, 3), 'batches': batches}", ["calling the model on a batch", "RuntimeError"]),
        ("raise KeyError('weights')", ["KeyError", ".py:7", "weights"]),
        ("raise SystemExit(3)", ["SystemExit"]),
        ("return {'model': model, 'batches': (b for b in [1 / 0])}", ["ZeroDivisionError", ".py:7"]),
        (
            "return {'model': model, 'batches': [(torch.randn(2, 4), torch.randn(2, 1))]}",
            ["different shapes", "output (2, 3), target (2, 1)"],
        ),
    ],
)
def test_mistakes_of_a_factory_are_told(factory, body, parts):
    with pytest.raises(TargetError) as caught:
        open_target(factory(body))
    for part in parts:
        assert part in str(caught.value)


def test_mistakes_around_a_factory_are_told(write, factory, tmp_path):
    good = factory("return {'model': model, 'batches': batches}")
    path = good.removesuffix(":make")
    write("bad_syntax.py", "def make(:\n")
    write("bad_import.py", "import torch\nimport no_such_thing_at_all\n")
    write("needs.py", "def make(width, depth=2): return 1\n")
    cases = {
        f"{path}:mke": ["no 'mke'", "did you mean 'make'"],
        f"{path}:batches": ["is no function"],
        str(tmp_path / "net_0.py") + ":make": ["no such file", "did you mean 'net0.py'"],
        str(tmp_path / "bad_syntax.py") + ":make": ["SyntaxError", "bad_syntax.py:1"],
        str(tmp_path / "bad_import.py") + ":make": ["no_such_thing_at_all", "bad_import.py:2"],
        str(tmp_path / "needs.py") + ":make": ["without arguments", "width"],
        "no_such_package_here.x:make": ["no module 'no_such_package_here'"],
        "just-text": ["no target", "SPEC.yaml"],
        "just text:make": ["no target"],
    }
    for target, parts in cases.items():
        with pytest.raises(TargetError) as caught:
            open_target(target)
        for part in parts:
            assert part in str(caught.value), target
    with pytest.raises(TargetError, match="a factory has none"):
        open_target(good, overrides=["train.epochs=3"])
    with pytest.raises(TargetError, match=r"--epochs is too small.*\n--steps is too small"):
        open_target(good, epochs=0, steps=0)
    with pytest.raises(TargetError, match="no such device"):
        open_target(good, device="gpu")
    if not torch.cuda.is_available():
        with pytest.raises(TargetError, match="no CUDA device"):
            open_target(good, device="cuda")


def test_a_factory_in_a_package_and_siblings_of_a_file(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("sibling_of_net.py", "WIDTH = 4\n")
    write(
        "module_with_net.py",
        NET
        + "\n    from sibling_of_net import WIDTH\n    def make():\n        return {'model': model, 'batches': batches}\n",
    )
    assert open_target("module_with_net:make").name == "module_with_net"
    assert open_target(str(tmp_path / "module_with_net.py") + ":make").name == "module_with_net"


def test_the_schema_side_stays_free_of_torch():
    code = "import dltool.specs.load, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_batches_whose_target_does_not_begin_with_the_samples_are_not_cut():
    made = [(torch.randn(600, 2, 3), (torch.randn(2, 3), torch.tensor([600, 600]))) for _ in range(2)]
    batches = open_batches(made, name="batches", seed=0, epoch_steps=None)
    for batch in (*batches.fixed(limit=512), *batches.fixed(batch_size=7)):
        assert batch.input.shape == (600, 2, 3)
        assert batch.target[0].shape == (2, 3)


def test_graphs_and_constants_beside_the_samples_are_not_cut():
    edges = torch.zeros(2, 9, dtype=torch.long)
    graphs = open_batches(
        [({"x": torch.randn(7, 3), "edges": edges}, torch.zeros(7)) for _ in range(2)],
        name="batches",
        seed=0,
        epoch_steps=None,
    )
    assert [len(batch.target) for batch in graphs.fixed(limit=4)] == [7]
    plain = open_batches(
        [({"x": torch.randn(7, 3), "scale": torch.tensor(2.0)}, torch.zeros(7))], name="batches", seed=0, epoch_steps=None
    )
    assert [len(batch.target) for batch in plain.fixed(limit=4)] == [4]


@pytest.mark.parametrize(("steps", "asked"), [(None, 100), (7, 100), (350, 350)])
def test_a_callable_is_asked_for_all_steps_at_once(factory, steps, asked):
    """A stream that is asked for 100 batches again and again would never give the 350th."""
    made = factory("return {'model': model, 'batches': lambda count: [batches[i % 5] for i in range(count)]}")
    experiment = open_target(made, steps=steps)
    assert len(list(experiment.train.epoch(0))) == asked
    assert any(f"asked for {asked} batches" in said for said in experiment.assumptions)
