"""``a.b=v`` and ``~a``."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dltool.specs.load import load_text
from dltool.specs.overrides import apply
from dltool.specs.yaml_nodes import parse

SPEC = """\
data: {synthetic: {blobs: {n: 10}}}
model: {layers: [{linear: 8}, relu, {linear: 3}]}
optimizer: adam
loss: cross_entropy
rules: {thresholds: {dead-relu.fraction: 0.4}}
"""


def edited(*overrides, text=SPEC):
    root, problems = apply(parse(text, "spec.yaml"), overrides)
    assert not problems
    return root.plain()


def problem(*overrides):
    (found,) = apply(parse(SPEC, "spec.yaml"), overrides)[1]
    return str(found)


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("seed=3", ("seed",), 3),
        ("train.epochs=5", ("train", "epochs"), 5),
        ("optimizer.adam.lr=1e-2", ("optimizer",), {"adam": {"lr": 0.01}}),
        ("optimizer.sgd.lr=1", ("optimizer",), {"sgd": {"lr": 1}}),
        ("optimizer={sgd: {lr: 0.1}}", ("optimizer",), {"sgd": {"lr": 0.1}}),
        ("optimizer=sgd", ("optimizer",), "sgd"),
        ("model.layers.0.linear=16", ("model", "layers", 0), {"linear": 16}),
        ("model.layers.0.linear.bias=false", ("model", "layers", 0, "linear"), {"out_features": 8, "bias": False}),
        ("model.layers.1=gelu", ("model", "layers", 1), "gelu"),
        ("model.layers.1.gelu.approximate=tanh", ("model", "layers", 1), {"gelu": {"approximate": "tanh"}}),
        ("model.layers.-1.linear=5", ("model", "layers", 2), {"linear": 5}),
        ("data.csv={path: a.csv, target: y}", ("data",), {"csv": {"path": "a.csv", "target": "y"}}),
        ("data.synthetic.moons.noise=0.3", ("data", "synthetic"), {"moons": {"noise": 0.3}}),
        ("loss.cross_entropy.label_smoothing=0.1", ("loss",), {"cross_entropy": {"label_smoothing": 0.1}}),
        ("rules.thresholds.dead-relu.fraction=0.5", ("rules", "thresholds"), {"dead-relu.fraction": 0.5}),
        ("train.clip_norm=", ("train", "clip_norm"), None),
        ("data.note=a=b", ("data", "note"), "a=b"),
        ("train.early_stopping.patience=3", ("train", "early_stopping"), {"patience": 3}),
        ("model.layers=[relu]", ("model", "layers"), ["relu"]),
    ],
)
def test_a_value_is_set(override, path, value):
    plain = edited(override)
    for part in path:
        plain = plain[part]
    assert plain == value


def test_keys_and_entries_are_removed():
    assert "loss" not in edited("~loss")
    assert edited("~model.layers.1")["model"]["layers"] == [{"linear": 8}, {"linear": 3}]
    assert edited("~rules.thresholds.dead-relu.fraction")["rules"] == {"thresholds": {}}


def test_overrides_are_made_in_order():
    assert edited("seed=1", "seed=2")["seed"] == 2
    assert "seed" not in edited("seed=1", "~seed")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed", "command line: seed: neither key=value nor ~key"),
        ("=3", "the key has an empty part"),
        ("a..b=3", "the key has an empty part"),
        ("~", "the key has an empty part"),
        ("~lss", "there is no such key; did you mean 'loss'?"),
        ("~train.epochs", "there is no such key"),
        ("model.layers.9=relu", "a list of 3; its entries are numbered from 0"),
        ("model.layers.first=relu", "a list of 3"),
        ("seed=[1", "the value cannot be read"),
        ("seed=*x", "the value cannot be read"),
        ("optimizer.lr=0.1", "did you mean 'optimizer.adam.lr'?"),
        ("data.synthetic.n=5", "did you mean 'data.synthetic.blobs.n'?"),
        ("loss.x.y=3", "loss is a single value, without keys"),
    ],
)
def test_what_cannot_be_done_is_said(override, message):
    assert message in problem(override)


def test_mistakes_in_overrides_and_in_the_spec_come_together():
    from dltool.core.errors import SpecError

    with pytest.raises(SpecError) as caught:
        load_text(SPEC, "spec.yaml", ["seed=-1", "~nothing", "optmizer=sgd", "train.epochs=ten"])
    found = [str(problem).split(" (")[0].split(";")[0] for problem in caught.value.problems]
    assert found == [
        "command line: nothing: there is no such key",
        "command line: optmizer: unknown key",
        "command line: seed: out of range",
        "command line: train.epochs: wrong kind of value",
    ]


keys = st.lists(st.from_regex(r"[a-z]{1,4}", fullmatch=True), min_size=1, max_size=4)
numbers = st.integers(-(10**6), 10**6) | st.floats(allow_nan=False, allow_infinity=False) | st.booleans()


@given(keys, numbers)
def test_what_is_set_can_be_read_and_removed_again(path, value):
    written = str(value).lower() if isinstance(value, bool) else repr(value)
    plain = edited(f"zz.{'.'.join(path)}={written}", text="a: 1\n")
    for part in ["zz", *path]:
        plain = plain[part]
    assert plain == value
    assert edited(f"zz.{'.'.join(path)}={written}", "~zz", text="a: 1\n") == {"a": 1}


@given(st.text(max_size=30))
def test_any_override_is_made_or_refused(text):
    apply(parse(SPEC, "spec.yaml"), [text])
