"""``extends``: what is merged, what is replaced, and how it goes wrong."""

import pytest

from dltool.core.errors import SpecError
from dltool.specs.load import load
from dltool.specs.schema.optimizers import Sgd

BASE = """\
data: {csv: {path: iris.csv, target: species}, split: 0.2}
model: {layers: [{linear: 8}, relu, {linear: 3}]}
optimizer: {adam: {lr: 1e-2}}
train: {epochs: 5, clip_norm: 1.0}
"""


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return str(path)

    return write


def test_mappings_merge_and_lists_are_replaced(write):
    write("base.yaml", BASE)
    spec = load(write("top.yaml", "extends: base.yaml\nmodel: {layers: [{linear: 3}]}\ntrain: {epochs: 9}\n")).spec
    assert len(spec.model.layers) == 1
    assert (spec.train.epochs, spec.train.clip_norm) == (9, 1.0)


def test_another_name_of_a_family_takes_the_place_of_the_one_before(write):
    write("base.yaml", BASE)
    spec = load(write("top.yaml", "extends: base.yaml\noptimizer: {sgd: {lr: 0.1}}\ndata: {npz: a.npz}\n")).spec
    assert spec.optimizer == Sgd(lr=0.1)
    assert spec.data.source.path == "a.npz"
    assert spec.data.split.val == 0.2


def test_the_same_name_keeps_the_arguments_that_are_not_given(write):
    write("base.yaml", BASE)
    spec = load(write("top.yaml", "extends: base.yaml\noptimizer: {adam: {eps: 1e-6}}\n")).spec
    assert (spec.optimizer.lr, spec.optimizer.eps) == (1e-2, 1e-6)


def test_later_bases_win_and_a_diamond_is_fine(write):
    write("root.yaml", BASE)
    write("a.yaml", "extends: root.yaml\nseed: 1\ntrain: {epochs: 1}\n")
    write("b.yaml", "extends: root.yaml\nseed: 2\n")
    spec = load(write("top.yaml", "extends: [a.yaml, b.yaml]\n")).spec
    assert (spec.seed, spec.train.epochs) == (2, 5)


def test_a_circle_is_named(write):
    write("a.yaml", "extends: b.yaml\n")
    with pytest.raises(
        SpecError, match=r"b.yaml:1:10: extends: specs extend each other in a circle: a.yaml -> b.yaml -> a.yaml"
    ):
        load(write("b.yaml", "extends: a.yaml\n").replace("b.yaml", "a.yaml"))


def test_a_mistake_in_the_base_is_placed_in_the_base(write):
    base = write("base.yaml", BASE.replace("1e-2", "-1"))
    with pytest.raises(SpecError) as caught:
        load(write("top.yaml", "extends: base.yaml\n"))
    assert str(caught.value).startswith(f"{base}:3:24: optimizer.adam.lr: out of range")


def test_references_see_the_merged_spec(write):
    write("base.yaml", BASE.replace("{linear: 8}", "{linear: '${vars.width}'}") + "vars: {width: 8}\n")
    assert load(write("top.yaml", "extends: base.yaml\nvars: {width: 16}\n")).spec.model.layers[0].out_features == 16


def test_paths_are_relative_to_the_file_that_names_them(write, tmp_path, monkeypatch):
    write("shared/base.yaml", BASE)
    top = write("top.yaml", "extends: shared/base.yaml\n")
    assert load(top).spec.data.source.path == "shared/iris.csv"
    assert load(write("deep/top.yaml", "extends: ../shared/base.yaml\n")).spec.data.source.path == "../shared/iris.csv"
    monkeypatch.chdir(tmp_path / "shared")
    assert load(top, ["data.csv.path=iris.csv"]).spec.data.source.path == "shared/iris.csv"
    assert load(top, ["data.csv.path=/abs/iris.csv"]).spec.data.source.path == "/abs/iris.csv"
    assert load(top, ["data.exclude=bad.jsonl"]).spec.data.exclude == "shared/bad.jsonl"


@pytest.mark.parametrize(
    ("extends", "message"),
    [
        ("missing.yaml", "no such file"),
        ("3", "names a spec file"),
        ("[a.yaml, [b]]", "names a spec file"),
        ("''", "names a spec file"),
    ],
)
def test_what_is_extended_has_to_be_a_spec(write, extends, message):
    write("a.yaml", BASE)
    with pytest.raises(SpecError, match=message):
        load(write("top.yaml", f"extends: {extends}\n"))


def test_a_missing_base_is_told_at_the_line_that_names_it(write):
    with pytest.raises(SpecError) as caught:
        load(write("top.yaml", "version: 1\nextends: missing.yaml\n"))
    (problem,) = caught.value.problems
    assert (problem.location.line, problem.key) == (2, "extends")
    assert problem.location.file.endswith("top.yaml")
