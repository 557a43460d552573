"""Changes written into a spec's text: the smallest edit that means what the change means, or none."""

import pytest

from dltool.specs.edit import Change, changes_of, corrected, hunks
from dltool.specs.load import load_text

SPEC = """\
# about it
version: 1
vars: {width: 16}
data: {synthetic: {blobs: {n: 60}}, batch_size: 20}
model:
  init: {normal: {std: 1.0}}   # too large
  layers:
    - linear: ${vars.width}
    - relu          # a comment
    - linear:
        out_features: 8
        bias: true
    - batch_norm
    - linear: 3
    - softmax
loss: cross_entropy
optimizer:
  sgd:
    lr: 5.0
    momentum: 0.9
train: {epochs: 2, clip_norm: 1.0}
"""


def put(key, value):
    return Change(key, value)


def drop(key):
    return Change(key, action="delete")


def insert(key, layer):
    return Change(key, layer, "before")


@pytest.mark.parametrize(
    ("change", "line", "found", "new"),
    [
        (put("optimizer.sgd.lr", 0.01), 19, ["    lr: 5.0"], ["    lr: 0.01"]),
        (put("model.init", "kaiming_normal"), 6, ["  init: {normal: {std: 1.0}}   # too large"],
         ["  init: kaiming_normal   # too large"]),
        (put("loss.cross_entropy.from_logits", False), 16, ["loss: cross_entropy"],
         ["loss: {cross_entropy: {from_logits: false}}"]),
        (put("loss", {"bce": {"from_logits": True}}), 16, ["loss: cross_entropy"], ["loss: {bce: {from_logits: true}}"]),
        (put("model.layers.0.linear.bias", False), 8, ["    - linear: ${vars.width}"],
         ["    - linear: {out_features: 16, bias: false}"]),
        (put("model.layers.2.linear.bias", False), 12, ["        bias: true"], ["        bias: false"]),
        (put("model.layers.3.batch_norm.momentum", 0.1), 13, ["    - batch_norm"], ["    - batch_norm: {momentum: 0.1}"]),
        (put("data.shuffle", True), 4, ["data: {synthetic: {blobs: {n: 60}}, batch_size: 20}"],
         ["data: {synthetic: {blobs: {n: 60}}, batch_size: 20, shuffle: true}"]),
        (put("optimizer.sgd.nesterov", True), 21, [], ["    nesterov: true"]),
        (put("train.epochs", 20), 21, ["train: {epochs: 2, clip_norm: 1.0}"], ["train: {epochs: 20, clip_norm: 1.0}"]),
        (drop("model.layers.5"), 15, ["    - softmax"], []),
        (drop("model.layers.2"), 10, ["    - linear:", "        out_features: 8", "        bias: true"], []),
        (drop("train.epochs"), 21, ["train: {epochs: 2, clip_norm: 1.0}"], ["train: {clip_norm: 1.0}"]),
        (drop("train.clip_norm"), 21, ["train: {epochs: 2, clip_norm: 1.0}"], ["train: {epochs: 2}"]),
        (drop("optimizer.sgd.momentum"), 20, ["    momentum: 0.9"], []),
        (insert("model.layers.2", "tanh"), 10, [], ["    - tanh"]),
        (insert("model.layers.6", "relu"), 16, [], ["    - relu"]),
    ],
)  # fmt: skip
def test_one_change(change, line, found, new):
    text = corrected("spec.yaml", SPEC, [change])
    assert text is not None
    (hunk,) = hunks(SPEC, text)
    assert (hunk.line, list(hunk.found), list(hunk.corrected)) == (line, found, new)
    load_text(text, "spec.yaml")


def test_several_changes_at_once_hold_their_places():
    changes = [insert("model.layers.2", "relu"), insert("model.layers.4", "tanh"), put("model.layers.4.linear.bias", False)]
    text = corrected("spec.yaml", SPEC, changes)
    layers = load_text(text, "spec.yaml").resolved["model"]["layers"]
    assert layers[2] == "relu"
    assert layers[5] == "tanh"
    assert layers[6] == {"linear": {"out_features": 3, "bias": False}}


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_every_line_ending_and_no_last_one(ending):
    text = SPEC.replace("\n", ending).removesuffix(ending)
    new = corrected("spec.yaml", text, [insert("model.layers.2", "relu"), put("train.epochs", 9)])
    assert new is not None
    assert "\n" not in new.replace(ending, "")
    assert new.endswith("{epochs: 9, clip_norm: 1.0}")


def test_lists_on_one_line():
    text = SPEC.split("  layers:", maxsplit=1)[0] + "  layers: [linear: 4, relu, linear: 3, softmax]\n"
    assert "[linear: 4, relu, linear: 3]" in corrected("spec.yaml", text, [drop("model.layers.3")])
    assert "[linear: 4, relu, tanh, linear: 3," in corrected("spec.yaml", text, [insert("model.layers.2", "tanh")])
    assert "[relu, linear: 3," in corrected("spec.yaml", text, [drop("model.layers.0")])


@pytest.mark.parametrize(
    "changes",
    [
        [drop("nowhere.at_all")],
        [put("optimizer.sgd.lr", -1)],
        [insert("model.layers.9", "relu")],
        [insert("train.epochs", "relu")],
        [put("train.epochs", 20), put("nowhere", 1)],
    ],
)
def test_what_cannot_be_written_is_left(changes):
    assert corrected("spec.yaml", SPEC, changes) is None


def test_the_last_layer_is_not_taken_out():
    text = SPEC.split("  layers:", maxsplit=1)[0] + "  layers:\n    - linear: 3\n"
    assert corrected("spec.yaml", text, [drop("model.layers.0")]) is None


def test_what_stands_in_a_base_is_not_edited_here(tmp_path):
    (tmp_path / "base.yaml").write_text(SPEC)
    here = "extends: base.yaml\ntrain: {epochs: 4}\n"
    shown = str(tmp_path / "spec.yaml")
    assert corrected(shown, here, [drop("model.layers.5")]) is None
    assert "epochs: 9" in corrected(shown, here, [put("train.epochs", 9)])


def test_changes_as_rules_write_them():
    suggested = [{"key": "a.1", "value": (1, 2)}, {"key": "b", "delete": True}, {"key": "c.0", "before": "relu"}]
    assert changes_of(suggested) == [put("a.1", (1, 2)), drop("b"), insert("c.0", "relu")]
