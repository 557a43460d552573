"""A spec's design without torch is that of the built experiment."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from dltool.core.errors import SpecError
from dltool.core.measured.design import UNKNOWN_LAYER, Architecture, Objective, Plan, Samples
from dltool.core.measurements import Measurements
from dltool.specs.build.experiment import RunOptions, build_experiment, first_batch
from dltool.specs.design.of_spec import design_of
from dltool.specs.load import load, load_text

SAMPLES = sorted((Path(__file__).parents[2] / "sample_configs").glob("*/*.yaml"))
HEAD = "version: 1\ndata: {synthetic: {blobs: {n: 60, features: 4}}}\nmodel:\n  layers:\n"


def layers_of(text, **model):
    loaded = load_text(HEAD + "".join(f"    - {line}\n" for line in text.splitlines()), "spec.yaml",
                       [f"model.{key}={value}" for key, value in model.items()])  # fmt: skip
    return design_of(loaded)[Architecture].layers


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_samples_have_the_design_of_their_experiment(path):
    loaded = load(str(path))
    measured = design_of(loaded)
    experiment = build_experiment(loaded, RunOptions(device=torch.device("cpu")))
    design, samples, plan = measured[Architecture], measured[Samples], measured[Plan]
    batch = first_batch(experiment.train)
    output = experiment.model(batch.input)
    assert design.complete
    assert design.input_shape == tuple(batch.input.shape[1:]) == samples.input_shape
    assert design.layers[design.outputs[0]].leaves == tuple(output.shape[1:])
    assert sum(layer.parameters for layer in design.layers) == sum(p.numel() for p in experiment.model.parameters())
    frozen = {layer.module for layer in design.layers if layer.frozen}
    names = {name.rpartition(".")[0] for name, p in experiment.model.named_parameters() if not p.requires_grad}
    assert {name for name in frozen if any(part.startswith(name) for part in names)} == frozen
    assert (samples.train_samples, samples.val_samples) == (experiment.train.samples, experiment.val.samples)
    assert plan.steps_per_epoch == len(experiment.train)
    assert experiment.optimizer is None or plan.lr == experiment.optimizer.defaults["lr"]
    assert [term.name for term in measured[Objective].terms] == [experiment.criterion.name]
    assert samples.input_mean == pytest.approx(experiment.facts.input_mean, abs=0.1)
    assert samples.input_max == pytest.approx(experiment.facts.input_max, rel=0.2)
    assert Measurements.from_dict(measured.to_dict(), "lint").to_dict() == measured.to_dict()


def test_a_block_is_its_branch_its_shortcut_and_their_sum():
    layers = layers_of("{linear: 6}\n{residual: [batch_norm, {linear: 8}]}\nrelu")
    assert [(layer.kind, layer.module, layer.follows) for layer in layers] == [
        ("linear", "0", (-1,)),
        ("batch_norm", "1.0", (0,)),
        ("linear", "1.1", (1,)),
        ("linear", "1.shortcut.0", (0,)),
        ("residual-add", "1", (2, 3)),
        ("relu", "2", (4,)),
    ]
    assert layers[3].parameters == 48
    assert layers[4].key == "model.layers.1"


def test_a_plain_block_adds_its_input():
    assert layers_of("{linear: 6}\n{residual: [{linear: 6}]}")[-1].follows == (1, 0)
    assert layers_of("{residual: [{linear: 4}]}")[-1].follows == (0, -1)


@pytest.mark.parametrize(
    ("layers", "model", "names"),
    [
        ("{linear: 3}\nbatch_norm\nprelu", {}, ["default", "default", "constant"]),
        ("{linear: 3}\nbatch_norm", {"init": "zeros"}, ["zeros", "default"]),
        ("{linear: {out_features: 3, init: orthogonal}}\n{linear: 2}", {"init": "ones"}, ["orthogonal", "ones"]),
        ("{linear: {out_features: 3, init: {bias: ones}}}", {"init": "ones"}, ["default"]),
        ("{residual: {layers: [{linear: 4}], init: zeros}}", {"init": "ones"}, ["zeros", None]),
        ("{linear: 4}\nrelu", {"init": "lsuv"}, ["lsuv", None]),
    ],
)
def test_how_weights_start(layers, model, names):
    assert [layer.init and layer.init.name for layer in layers_of(layers, **model)] == names


def test_where_the_init_was_written():
    first, second = layers_of("{linear: {out_features: 3, init: zeros}}\n{linear: 2}", init="ones")
    assert first.init.key == "model.layers.0.linear.init"
    assert second.init.key == "model.init"


def test_frozen_by_the_layer_its_block_or_a_pattern():
    assert [layer.frozen for layer in layers_of("{linear: {out_features: 3, frozen: true}}\nrelu")] == [True, False]
    block = layers_of("{residual: {layers: [{linear: 4}], frozen: true}}")
    assert block[0].frozen
    patterns = '{weights: w.safetensors, freeze: ["0", "dropout*", "bl*"]}'
    named = layers_of(
        "{linear: 3}\ndropout\n{residual: {layers: [{linear: 3}], name: block}}\n{linear: 2}", pretrained=patterns
    )
    assert [layer.frozen for layer in named] == [True, False, True, False, False]


def test_code_of_the_users_own_is_not_run_and_ends_what_is_known():
    layers = layers_of("{linear: 3}\n{_target_: nowhere.Layer}\n{linear: 5}\nsoftmax")
    assert [layer.kind for layer in layers] == ["linear", UNKNOWN_LAYER, "linear", "softmax"]
    assert layers[1].leaves is None
    assert layers[2].arguments["out_features"] == 5
    assert layers[2].parameters is None
    assert layers[3].arrives is None
    whole = load_text("version: 1\ndata: {synthetic: xor}\nmodel: {_target_: nowhere.Net}\n", "spec.yaml")
    assert not design_of(whole)[Architecture].complete


def test_defaults_are_filled_in():
    linear, _, pool, softmax = layers_of("{linear: 4}\n{reshape: [1, 2, 2]}\n{max_pool2d: 2}\nsoftmax")
    assert linear.arguments == {"in_features": 4, "out_features": 4, "bias": True}
    assert pool.arguments["stride"] == 2
    assert softmax.arguments == {"dim": 1}


LOSSES = [
    ("cross_entropy", "logits"), ("{cross_entropy: {from_logits: false}}", "probabilities"), ("bce", "probabilities"),
    ("{bce: {from_logits: true}}", "logits"), ("poisson", "log-rates"), ("{poisson: {log_input: false}}", "rates"),
    ("nll", "log-probabilities"), ("mse", "values"),
]  # fmt: skip


@pytest.mark.parametrize(("loss", "expects"), LOSSES)
def test_what_a_loss_takes_the_output_for(loss, expects):
    loaded = load_text(f"{HEAD}    - {{linear: 3}}\nloss: {loss}\n", "spec.yaml")
    (term,) = design_of(loaded, look_at_data=False)[Objective].terms
    assert term.expects == expects
    assert (term.file, term.line) == ("spec.yaml", 6)


def test_terms_are_told_one_by_one():
    text = f"{HEAD}    - {{linear: 3}}\nloss:\n  terms:\n    main: {{cross_entropy: {{weight: [1, 2, 3]}}}}\n    aux: mse\n"
    main, aux = design_of(load_text(text, "spec.yaml"), look_at_data=False)[Objective].terms
    assert (main.name, main.class_weights, main.key, main.line) == ("cross_entropy", 3, "loss.terms.main", 8)
    assert (aux.name, aux.line) == ("mse", 9)


def seen(folder, x, y, **data):
    np.savez(folder / "d.npz", x=x, y=y)
    spec = {"version": 1, "data": {"npz": {"path": "d.npz"}, **data}, "model": {"layers": [{"linear": 3}]}}
    loss = spec["data"].pop("loss", "cross_entropy")
    (folder / "spec.yaml").write_text(yaml.safe_dump({**spec, "loss": loss}))
    return design_of(load(str(folder / "spec.yaml")))[Samples]


X = np.linspace(-3, 5, 40, dtype=np.float32).reshape(10, 4)


@pytest.mark.parametrize(
    ("targets", "data", "kind", "shape"),
    [
        (np.arange(10) % 3, {}, "class-index", ()),
        (np.array(list("abcabcabca")), {}, "class-index", ()),
        (np.eye(3)[np.arange(10) % 3], {}, "one-hot", (3,)),
        (np.full((10, 4), 0.25), {}, "probabilities", (4,)),
        (np.arange(10) % 3, {"one_hot": True}, "one-hot", (3,)),
        (np.arange(10) % 2, {"loss": "bce"}, "multi-hot", (1,)),
        (np.tile([[1, 1], [0, 1]], (5, 1)), {"loss": "bce"}, "multi-hot", (2,)),
        (np.arange(10) % 3, {"loss": "bce"}, "class-index", (1,)),
        (np.linspace(0, 1, 10), {"loss": "bce"}, "probabilities", (1,)),
        (np.arange(10) % 2 * 2 - 1, {"loss": "soft_margin"}, "signs", (1,)),
        (np.linspace(0.5, 9, 10), {"loss": "mse"}, "numbers", (1,)),
        (np.arange(10) ** 2, {"loss": "mse"}, "counts", (1,)),
        (np.arange(10) ** 2, {"loss": "mse", "normalize_target": "standard"}, "numbers", (1,)),
    ],
)  # fmt: skip
def test_kinds_of_targets(targets, data, kind, shape, tmp_path):
    samples = seen(tmp_path, X, targets, **data)
    assert (samples.target_kind, samples.target_shape) == (kind, shape)


def test_labels_as_they_are_stored(tmp_path):
    samples = seen(tmp_path, X, np.arange(10) % 3 + 1)
    assert (samples.label_min, samples.label_max, samples.classes, samples.renumbered) == (1, 3, 3, False)
    chosen = seen(tmp_path, X, np.arange(10) % 3 + 1, classes=[1, 3])
    assert (chosen.classes, chosen.renumbered) == (2, True)


@pytest.mark.parametrize(("targets", "in_order"), [(np.arange(10) // 4, True), (np.arange(10) % 3, False),
                                                   (np.linspace(0, 1, 10), True), (np.zeros(10, int), None)])  # fmt: skip
def test_order(targets, in_order, tmp_path):
    loss = "mse" if targets.dtype.kind == "f" else "cross_entropy"
    assert seen(tmp_path, X, targets, loss=loss).sorted_by_target is in_order


@settings(max_examples=30, deadline=None)
@given(how=st.sampled_from(["none", "standard", "minmax"]), scale=st.floats(0.01, 100), shift=st.floats(-50, 50))
def test_normalisation_is_derived(how, scale, shift, tmp_path_factory):
    x = X.astype(np.float64) * scale + shift
    samples = seen(tmp_path_factory.mktemp("d"), x, np.arange(10) % 3, normalize=how)
    given_ = x.astype(np.float32).astype(np.float64)
    wanted = {"none": given_, "standard": (given_ - given_.mean(0)) / given_.std(0),
              "minmax": (given_ - given_.min(0)) / (given_.max(0) - given_.min(0))}[how]  # fmt: skip
    for name in ("mean", "std", "min", "max"):
        assert getattr(samples, f"input_{name}") == pytest.approx(float(getattr(wanted, name)()), rel=1e-4, abs=1e-4)


def test_mistakes_of_data_and_layers_are_told_at_once():
    text = "version: 1\ndata: {csv: {path: gone.csv, target: y}}\nmodel:\n  input: [4]\n  layers:\n    - conv2d: 3\n"
    text = text.replace("conv2d: 3", "conv2d: {out_channels: 3, kernel_size: 3}")
    with pytest.raises(SpecError) as caught:
        design_of(load_text(text, "spec.yaml"))
    assert [(p.key, p.location.line) for p in caught.value.problems] == [("data.csv.path", 2), ("model.layers.0", 6)]
    with pytest.raises(SpecError, match="conv2d needs samples"):
        design_of(load_text(text, "spec.yaml"), look_at_data=False)


def test_split_and_batch_that_do_not_fit_are_told_at_their_keys():
    with pytest.raises(SpecError) as caught:
        design_of(load_text(HEAD + "    - {linear: 3}\n", "spec.yaml", ["data.batch_size=100"]))
    assert caught.value.problems[0].key == "data.batch_size"
    with pytest.raises(SpecError) as caught:
        design_of(load_text(HEAD + "    - {linear: 3}\n", "spec.yaml", ["data.split.val=60"]))
    assert caught.value.problems[0].key == "data.split.val"


def test_a_large_source_is_glanced_at(tmp_path):
    samples = seen(tmp_path, np.zeros((3000, 500), np.float32), np.arange(3000) % 3)
    assert not samples.all_read
    assert samples.rows_read == 2**22 // 2000
    assert samples.train_samples == 3000
