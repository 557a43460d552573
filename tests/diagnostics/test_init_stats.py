"""``init-stats`` on real targets: what it finds, what it leaves as it was, and what it advises."""

from pathlib import Path

import pytest
import torch
from torch import nn

from dltool.core.errors import UserError
from dltool.core.finding import Severity
from dltool.core.measured.init_stats import CoordinateLayer
from dltool.diagnostics.init_stats import InitStatsOptions, run
from dltool.diagnostics.initialisation.batches import start_batches
from dltool.diagnostics.initialisation.candidates import parse, start_with
from dltool.diagnostics.initialisation.coordinate import judged
from dltool.diagnostics.initialisation.here import measured
from dltool.diagnostics.initialisation.widths import hidden_layers
from dltool.specs.target import open_target
from dltool.training.stop import StopFlag

SAMPLES = Path(__file__).parents[2] / "sample_configs"
HEALTHY = sorted(SAMPLES.glob("healthy/*.yaml"))
SPEC = """\
version: 1
seed: 0
data:
  synthetic: {blobs: {n: 200, features: 4, classes: 3, spread: 0.5}}
  batch_size: 50
model:
  layers: [{linear: 16}, relu, {linear: 16}, relu, {linear: {out_features: 3, name: head}}]
loss: cross_entropy
optimizer: {adam: {lr: 1e-2}}
"""
FACTORY = """\
import torch
from torch import nn


def make(width=16):
    x, y = torch.randn(64, 5), torch.randint(0, 3, (64,))
    model = nn.Sequential(nn.Linear(5, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 3))
    model[0].requires_grad_(False)
    return {"model": model, "batches": [(x, y)], "loss": nn.CrossEntropyLoss()}


def narrow():
    return make()
"""


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC)
    return str(path)


@pytest.fixture
def factory(tmp_path):
    path = tmp_path / "start_factory.py"
    path.write_text(FACTORY)
    return str(path)


@pytest.mark.parametrize("path", HEALTHY, ids=lambda path: path.stem)
def test_healthy_samples_start_well(path):
    for seed in (0, 1, 2):
        report = run(str(path), InitStatsOptions(seed=seed))
        assert [f.name for f in report.findings if f.severity.rank >= Severity.WARNING.rank] == []


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("vanishing_linear", "vanishing-activations"),
        ("exploding_linear", "exploding-activations"),
        ("deep_sigmoid", "vanishing-activations"),
        ("saturated_tanh", "vanishing-gradients-at-init"),
        ("symmetric_init", "symmetric-units"),
    ],
)
def test_broken_samples_are_named(name, first):
    report = run(str(SAMPLES / f"broken/{name}.yaml"), InitStatsOptions())
    assert report.findings[0].name == first
    assert report.findings[0].where.key.startswith("model.layers.")
    assert {"layers", "growth", "loss_at_start"} <= set(report.measurements)


def test_exploding_gradients_are_a_symptom_of_exploding_activations():
    found = {f.name: f for f in run(str(SAMPLES / "broken/exploding_linear.yaml"), InitStatsOptions()).findings}
    assert found["exploding-gradients-at-init"].caused_by == found["exploding-activations"].fingerprint


def test_the_first_loss_is_put_beside_chance_and_the_best_constant(spec):
    loss = run(spec, InitStatsOptions()).measurements["loss_at_start"]
    assert loss["chance_loss"] == pytest.approx(1.0986, abs=1e-4)
    assert loss["trivial_loss"] <= loss["chance_loss"] + 1e-4
    assert loss["loss"] == pytest.approx(1.0986, rel=0.5)


NAMES = ("normal:1.0", "normal:0.01", "xavier_uniform", "kaiming_normal", "orthogonal", "lsuv", "zeros")


def test_candidates_are_ranked_and_the_best_is_seen_over_seeds(spec):
    found = run(spec, InitStatsOptions(compare=NAMES, seeds=3)).measurements["candidates"]
    scores = [one["score"] for one in found["candidates"]]
    assert len(scores) == len(NAMES) + 1
    assert [s for s in scores if s != "Infinity"] == sorted(s for s in scores if s != "Infinity")
    ranked = [one["name"] for one in found["candidates"]]
    assert ranked[-1] == "zeros"
    assert ranked.index("kaiming_normal") < ranked.index("normal:1.0")
    assert [len(again["scores"]) for again in found["remeasured"]] == [3, 3]
    assert {again["name"] for again in found["remeasured"]} == set([n for n in ranked if n != "as it is"][:2])
    assert found["recommended"] in {"as it is", *NAMES}
    assert run(spec, InitStatsOptions(compare=NAMES, seeds=3)).measurements["candidates"] == found


def test_the_recommended_lines_give_the_start_that_was_measured(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text(SPEC.replace("model:\n", "model:\n  init: {normal: {std: 1.0}}\n"))
    found = run(str(path), InitStatsOptions(compare=("xavier_uniform",))).measurements["candidates"]
    assert found["recommended"] == "xavier_uniform"
    assert found["lines"] == ["model:", "  init: xavier_uniform"]
    (scores,) = [again["scores"] for again in found["remeasured"]]
    again = run(str(path), InitStatsOptions(overrides=("model.init=xavier_uniform",), compare=("zeros",)))
    rebuilt = next(c for c in again.measurements["candidates"]["candidates"] if c["name"] == "as it is")
    assert min(scores) / 3 < rebuilt["score"] < max(scores) * 3


def test_comparing_leaves_weights_and_random_state_alone(factory):
    experiment = open_target(f"{factory}:make")
    before = {name: value.clone() for name, value in experiment.model.state_dict().items()}
    random = torch.get_rng_state()
    from dltool.diagnostics.initialisation import compare as comparing
    from dltool.diagnostics.initialisation.here import sections
    from dltool.diagnostics.initialisation.work import Work

    batches = start_batches(experiment)
    start = measured(experiment, batches)
    loss = sections(experiment, batches, start)[3]
    work = Work(1, None, StopFlag())
    found = comparing.compare(experiment, batches, parse(NAMES), (start, loss), seeds=1, work=work)
    assert all(torch.equal(before[name], value) for name, value in experiment.model.state_dict().items())
    assert all(p.grad is None for p in experiment.model.parameters())
    assert torch.equal(torch.get_rng_state(), random)
    assert found.kept == ("0",)  # frozen in the user's own model


def test_layers_with_their_own_init_keep_it(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(SPEC.replace("name: head", "name: head, init: {normal: {std: 0.01}}"))
    assert run(str(path), InitStatsOptions(compare=("orthogonal",))).measurements["candidates"]["kept"] == ["head"]


@pytest.mark.parametrize(
    ("word", "yaml", "std"),
    [
        ("normal:0.02", "{normal: {std: 0.02}}", 0.02),
        ("normal:1.0", "{normal: {std: 1}}", 1.0),
        ("uniform:0.3", "{uniform: {a: -0.3, b: 0.3}}", 0.3 / 3**0.5),
        ("xavier_normal:2", "{xavier_normal: {gain: 2}}", 2 * (2 / 2000) ** 0.5),
        ("kaiming_normal", "kaiming_normal", (2 / 1000) ** 0.5),
        ("lecun_normal", "lecun_normal", 1000**-0.5),
        ("constant:0.5", "{constant: 0.5}", 0.0),
    ],
)
def test_a_candidate_is_what_its_name_and_number_say(word, yaml, std, factory):
    (named,) = parse([word])
    assert named.yaml == yaml.replace("{constant: 0.5}", "{constant: {val: 0.5}}")
    experiment = open_target(f"{factory}:make")
    experiment.model = nn.Linear(1000, 1000)
    start_with(experiment, named.init, torch.zeros(2, 1000), seed=0, kept=())
    assert experiment.model.weight.std(correction=0).item() == pytest.approx(std, rel=0.01, abs=1e-7)
    assert not experiment.model.bias.any()


def test_all_wrong_names_are_told_at_once():
    with pytest.raises(UserError) as told:
        parse(["kaiming", "normal:x", "zeros:1", "normal:-1", "constant", "orthogonal"])
    assert [p.value for p in told.value.problems] == ["'kaiming'", "'normal:x'", "'zeros:1'", "'normal:-1'", "'constant'"]
    assert "kaiming_" in told.value.problems[0].suggestion


def test_pretrained_weights_are_no_initialisation():
    with pytest.raises(UserError, match=r"model.pretrained"):
        run(str(SAMPLES / "healthy/transfer.yaml"), InitStatsOptions(compare=("orthogonal",)))


def test_widths_of_a_spec(spec):
    found = run(spec, InitStatsOptions(widths=(16, 64, 256), overrides=("model.init=kaiming_normal",))).measurements
    check = found["coordinate_check"]
    assert check["widths"] == [16, 64, 256]
    assert [layer["name"] for layer in check["layers"]] == ["0", "2", "head"]
    assert abs(check["layers"][1]["activation_exponent"]) < 0.25
    assert check["verdict"] == "updates-grow"  # Adam moves every weight alike, and a wider layer sums over more of them


def test_weights_that_ignore_the_width_make_activations_grow(spec):
    check = run(spec, InitStatsOptions(widths=(16, 64, 256), overrides=("model.init={normal: {std: 0.1}}",)))
    check = check.measurements["coordinate_check"]
    assert check["verdict"] == "activations-grow"
    assert max(layer["activation_exponent"] for layer in check["layers"]) == pytest.approx(1.0, abs=0.35)


def test_widths_of_a_variable_and_of_a_factory(tmp_path, factory):
    path = tmp_path / "vars.yaml"
    text = SPEC.replace("seed: 0\n", "seed: 0\nvars: {width: 16}\n").replace("{linear: 16}", "{linear: '${vars.width}'}")
    path.write_text(text)
    assert run(str(path), InitStatsOptions(widths=(8, 16))).measurements["coordinate_check"]["varied"] == "vars.width"
    assert run(f"{factory}:make", InitStatsOptions(widths=(8, 16))).measurements["coordinate_check"]["widths"] == [8, 16]
    with pytest.raises(UserError, match="argument `width`"):
        run(f"{factory}:narrow", InitStatsOptions(widths=(8, 16)))


def test_one_width_and_none_to_vary_are_mistakes(spec, tmp_path):
    with pytest.raises(UserError, match="compared with one another"):
        run(spec, InitStatsOptions(widths=(64, 64)))
    flat = tmp_path / "flat.yaml"
    flat.write_text(SPEC.replace("{linear: 16}, relu, {linear: 16}, relu, ", ""))
    with pytest.raises(UserError, match="no hidden layer"):
        run(str(flat), InitStatsOptions(widths=(8, 16)))


def test_hidden_layers_are_found_in_blocks_and_short_forms():
    layers = [
        {"conv2d": {"out_channels": 8, "kernel_size": 3}},
        "relu",
        {"residual": [{"linear": 8}]},
        {"residual": {"layers": [{"lstm": 4}], "shortcut": [{"linear": 9}]}},
        {"embedding": {"num_embeddings": 100, "embedding_dim": 8}},
        {"linear": 3},
    ]
    assert [(h.key, h.width) for h in hidden_layers({"model": {"layers": layers}})] == [
        ("model.layers.0.conv2d.out_channels", 8),
        ("model.layers.2.residual.0.linear.out_features", 8),
        ("model.layers.3.residual.layers.0.lstm.hidden_size", 4),
        ("model.layers.4.embedding.embedding_dim", 8),
    ]


@pytest.mark.parametrize(
    ("activation", "update", "error", "verdict"),
    [
        (0.0, 0.0, 0.01, "independent"),
        (0.25, 0.25, 0.0, "independent"),
        (0.5, 0.9, 0.1, "activations-grow"),
        (-0.5, 0.9, 0.1, "activations-shrink"),
        (0.0, 0.9, 0.1, "updates-grow"),
        (0.0, -0.9, 0.1, "updates-shrink"),
        (0.0, 0.9, 0.5, "independent"),  # the seeds differ too much to say
        (float("nan"), 0.0, 0.1, "independent"),  # a head that starts at zero
    ],
)
def test_the_verdict_on_exponents(activation, update, error, verdict):
    layer = CoordinateLayer(
        name="a", is_output=False, activations=(1.0, 2.0), updates=(1.0, 2.0), activation_exponent=activation,
        activation_error=error, update_exponent=update, update_error=error,
    )  # fmt: skip
    assert judged([layer], [64, 512])[0] == verdict


def test_an_interrupted_run_reports_what_it_knows(spec):
    stop = StopFlag()
    stop.interrupt()
    report = run(spec, InitStatsOptions(compare=("orthogonal",), stop=stop))
    assert report.run.interrupted
    assert "layers" in report.measurements
    assert "candidates" not in report.measurements


def test_spoilt_data_are_told_before_anything_runs(tmp_path):
    (tmp_path / "d.csv").write_text("a,b,y\n" + "".join(f"{i},{'nan' if i == 3 else i},{i % 2}\n" for i in range(20)))
    path = tmp_path / "nan.yaml"
    path.write_text("version: 1\ndata: {csv: {path: d.csv, target: y}}\nmodel: {layers: [{linear: 4}, relu, {linear: 2}]}\n")
    report = run(str(path), InitStatsOptions())
    assert report.findings[0].name == "non-finite-value"
    assert "layers" not in report.measurements
