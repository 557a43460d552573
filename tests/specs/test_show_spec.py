"""A shown spec loads back to the same spec."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dltool.specs.load import load, load_text
from dltool.specs.show import render
from dltool.specs.starter import TASKS, starter

SAMPLES = sorted((Path(__file__).parents[2] / "sample_configs").glob("*/*.yaml"))
SMALL = "data: {synthetic: blobs}\nmodel: {layers: [{linear: 3}]}\n"
RICH = """\
data: {csv: {path: a.csv, target: [a, 2]}, split: 0.2, pad: true, classes: [a, 2], batch_size: full, augment: [{shift: 2}]}
model:
  input: [4]
  init: {weight: orthogonal, bias: {constant: 0.1}}
  layers:
    - linear: {out_features: 3, init: zeros, name: head, l2: 0.1, frozen: true}
    - residual: {layers: [relu, {max_pool2d: [2, 2]}], shortcut: [{linear: 3}]}
    - residual: [relu]
    - {_target_: a.b, x: "1e-3", y: "$${z}", z: [1, {a: null}]}
  pretrained: {weights: w.safetensors, freeze: ["0"]}
loss:
  terms:
    {main: cross_entropy, "no": {mse: {weight: 0.1}}, c: {cross_entropy: {weight: [1, 2]}, weight: 3}, t: {_target_: a.b}}
optimizer: 0.1
"""


def same_again(loaded):
    again = load_text(render(loaded), loaded.path)
    assert again.spec == loaded.spec
    assert render(again) == render(loaded)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_samples_come_back_the_same(path):
    same_again(load(str(path)))


@pytest.mark.parametrize("task", TASKS)
def test_starters_come_back_the_same(task):
    same_again(load_text(starter(task), "spec.yaml"))


def test_every_form_comes_back_the_same():
    same_again(load_text(RICH.replace("optimizer: 0.1", "optimizer: {_target_: my.Adam, lr: 0.1}"), "spec.yaml"))
    same_again(load_text(SMALL + "optimizer: {lbfgs: {line_search_fn: strong_wolfe}}", "spec.yaml"))


def test_nothing_is_left_to_look_up_and_defaults_are_spelt_out():
    text = render(load_text("vars: {lr: 1e-5}\noptimizer: {adam: {lr: '${vars.lr}'}}\n" + SMALL, "spec.yaml"))
    assert "vars" not in text
    assert "${" not in text
    assert "betas: [0.9, 0.999]" in text
    assert "- {linear: 3}" in text


def test_paths_follow_the_folder_it_is_written_for(tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_text("data: {npz: data/a.npz}\nmodel: {layers: [{linear: 3}]}\n")
    loaded = load(str(path))
    run = tmp_path / "runs" / "one"
    text = render(loaded, run)
    assert "../../data/a.npz" in text
    again = load_text(text, str(run / "spec.yaml"))
    assert (again.directory / again.spec.data.source.path).resolve() == tmp_path / "data" / "a.npz"


words = st.sampled_from(
    ["relu", "1e-3", "no", "0x1", "010", "12:30", "~", "", "${a}", "$${a}", " a ", "a: b", "<<", "- x", "é\\n", "#x", "1_0"]
)
plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | words,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(words.filter(str.isprintable).filter(bool), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(plain_values)
def test_arguments_of_ones_own_come_back_the_same(value):
    """Whatever a ``_target_`` is given, quotes and all."""
    loaded = load_text(SMALL, "spec.yaml")
    target = {"_target_": "a.b", "value": value}
    loaded = type(loaded)(
        loaded.path, type(loaded.spec).model_validate({**loaded.resolved, "loss": target}), {}, "", loaded.tree
    )
    assert load_text(render(loaded), loaded.path).spec == loaded.spec
