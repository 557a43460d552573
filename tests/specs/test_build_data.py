"""From a spec's text to batches, and every bad input that concerns data."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dltool.core.codec import dumps
from dltool.core.errors import DataError
from dltool.data.facts import with_outputs
from dltool.specs.build.data import build_data
from dltool.specs.load import load

SHIPPED = Path(__file__).parents[2] / "sample_configs" / "data"
REST = "model: {layers: [{linear: 2}]}\n"


def build(folder, data, rest=REST, loss="cross_entropy", seed=0):
    spec = folder / "spec.yaml"
    indented = "\n".join("  " + line for line in data.strip().splitlines())
    spec.write_text(f"version: 1\ndata:\n{indented}\n{rest}" + (f"loss: {loss}\n" if loss else ""))
    return build_data(load(str(spec)), seed)


def problems(folder, data, **options):
    with pytest.raises(DataError) as caught:
        build(folder, data, **options)
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


def write(folder, name, text):
    (folder / name).write_text(text)


def inputs_of(source):
    batches = list(source.epoch(0))
    return torch.cat([batch.input for batch in batches]), torch.cat([batch.target for batch in batches])


@pytest.fixture
def table(tmp_path):
    """30 rows of 3 classes: a is the row, b is 5, y the class from 0."""
    write(tmp_path, "t.csv", "a,b,y\n" + "".join(f"{i},5,{i % 3}\n" for i in range(30)))
    return tmp_path


def test_iris(tmp_path):
    bundle = build(tmp_path, f"csv: {{path: {SHIPPED}/iris.csv, target: species}}\nsplit: {{val: 0.2}}\nnormalize: standard")
    assert (bundle.train.samples, bundle.val.samples) == (120, 30)
    assert bundle.class_names == ("setosa", "versicolor", "virginica")
    assert bundle.class_counts == (40, 40, 40)
    assert (bundle.task, bundle.input_shape, bundle.output_size) == ("classification", (4,), 3)
    inputs, _ = inputs_of(bundle.train)
    np.testing.assert_allclose(inputs.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(inputs.std(0, correction=0), 1, atol=1e-5)
    assert bundle.facts.input_mean == pytest.approx(0, abs=1e-6)
    assert bundle.facts.input_std == pytest.approx(1, abs=1e-6)


def test_digits(tmp_path):
    bundle = build(tmp_path, f"npz: {SHIPPED}/digits.npz\nsplit: 0.2\nbatch_size: 64\nnormalize: minmax")
    assert (bundle.input_shape, bundle.output_size, bundle.train.samples) == ((8, 8), 10, 1438)
    inputs, targets = inputs_of(bundle.train)
    assert (float(inputs.min()), float(inputs.max())) == (0, 1)
    assert len(inputs.unique()) == 17
    assert targets.dtype == torch.int64
    assert "grey images" in bundle.assumptions[0]


def test_diabetes(tmp_path):
    data = f"csv: {{path: {SHIPPED}/diabetes.csv, target: progression}}\nsplit: 0.25\nnormalize_target: standard"
    bundle = build(tmp_path, data, loss="mse")
    assert (bundle.task, bundle.input_shape, bundle.output_size) == ("regression", (10,), 1)
    assert bundle.target_mean == pytest.approx(0, abs=1e-6)
    assert bundle.target_std == pytest.approx(1, abs=1e-6)
    _, targets = inputs_of(bundle.train)
    assert targets.shape == (331, 1)
    original = targets * bundle.target_scale[0] + bundle.target_shift[0]
    assert original.min() >= 25 - 1e-3
    assert original.max() <= 346 + 1e-3
    assert bundle.labels == ()
    assert bundle.class_counts is None


def test_normalisation_is_fitted_on_the_training_rows_alone(table):
    bundle = build(table, "csv: {path: t.csv, target: y}\nsplit: 9\nnormalize: standard\nbatch_size: full")
    raw = build(table, "csv: {path: t.csv, target: y}\nsplit: 9\nbatch_size: full")
    train, _ = inputs_of(raw.train)
    for part in ("train", "val"):
        before, after = (next(getattr(b, part).fixed()).input[:, 0].double() for b in (raw, bundle))
        expected = (before - train[:, 0].double().mean()) / train[:, 0].double().std(correction=0)
        np.testing.assert_allclose(after, expected, atol=1e-6)
    assert bundle.facts.constant_features == (1,)
    assert (next(bundle.train.fixed()).input[:, 1] == 0).all()


def test_the_split_is_stratified_disjoint_and_seeded(table):
    spec = "csv: {path: t.csv, target: y}\nsplit: {val: 0.2}"
    bundle = build(table, spec)
    train, val = (inputs_of(part)[0][:, 0].tolist() for part in (bundle.train, bundle.val))
    assert sorted(train + val) == list(range(30))
    assert inputs_of(bundle.val)[1].bincount().tolist() == [2, 2, 2]
    assert inputs_of(build(table, spec).val)[0].tolist() == inputs_of(bundle.val)[0].tolist()
    assert sorted(inputs_of(build(table, spec, seed=1).val)[0][:, 0].tolist()) != sorted(val)
    own_seed = "csv: {path: t.csv, target: y}\nsplit: {val: 0.2, seed: 7}"
    seeded = [build(table, own_seed, seed=s) for s in (0, 1)]
    assert len({tuple(sorted(inputs_of(b.val)[0][:, 0].tolist())) for b in seeded}) == 1


def test_validation_is_neither_shuffled_nor_augmented(table):
    bundle = build(table, "csv: {path: t.csv, target: y}\nsplit: 0.2\naugment: [{noise: 5.0}]")
    val = inputs_of(bundle.val)[0]
    assert val[:, 0].tolist() == sorted(val[:, 0].tolist())
    assert (val[:, 1] == 5).all()
    assert (inputs_of(bundle.train)[0][:, 1] != 5).any()


def test_without_validation_the_report_says_so(table):
    bundle = build(table, "csv: {path: t.csv, target: y}")
    assert bundle.val is None
    assert "no validation data" in bundle.assumptions[-1]


def test_one_source_each(table):
    write(table, "v.csv", "a,b,y\n1,5,0\n")
    bundle = build(table, "train: {csv: {path: t.csv, target: y}}\nval: {csv: {path: v.csv, target: y}}")
    assert (bundle.train.samples, bundle.val.samples, bundle.val.batch_size) == (30, 1, 1)


def test_both_sources_tell_their_mistakes_at_once(table):
    found = problems(table, "train: {csv: {path: u.csv, target: y}}\nval: {csv: {path: t.csv, target: z}}")
    assert found[0].startswith("spec.yaml:3:17: data.train.csv.path: no such file: u.csv")
    assert found[1].startswith("spec.yaml:4:28: data.val.csv.target: t.csv has no column 'z'; it has a, b, y")


def test_sources_that_differ(table):
    write(table, "v.csv", "a,c,y\n1,5,0\n")
    (found,) = problems(table, "train: {csv: {path: t.csv, target: y}}\nval: {csv: {path: v.csv, target: y}}")
    assert "the columns of v.csv are not those of t.csv; missing: b; only there: c" in found
    np.savez(table / "a.npz", x=np.zeros((40, 3)), y=np.zeros(40))
    np.savez(table / "b.npz", x=np.zeros((40, 4)), y=np.zeros(40))
    (found,) = problems(table, "train: {npz: a.npz}\nval: {npz: b.npz}")
    assert "samples of b.npz have shape (4,), those of a.npz (3,)" in found


class TestBadInput:
    """The list of bad input: a message with its place, or a fact for a rule, never a traceback."""

    def test_missing_file(self, table):
        (found,) = problems(table, "csv: {path: tt.csv, target: y}")
        assert found == "spec.yaml:3:9: data.csv.path: no such file: tt.csv; did you mean 't.csv'?"

    def test_empty_file(self, table):
        write(table, "e.csv", "")
        assert problems(table, "csv: {path: e.csv, target: y}") == ["spec.yaml:3:9: data.csv.path: e.csv is empty"]

    def test_wrong_column(self, table):
        (found,) = problems(table, "csv: {path: t.csv, target: yy}")
        assert found == "spec.yaml:3:22: data.csv.target: t.csv has no column 'yy'; it has a, b, y; did you mean 'y'?"

    def test_a_nan_is_a_fact(self, table):
        write(
            table,
            "n.csv",
            "a,b,y\n" + "".join(f"{'nan' if i % 10 == 3 else i},{'' if i == 5 else 1},0\n" for i in range(40)),
        )
        bundle = build(table, "csv: {path: n.csv, target: y}\nsplit: {val: 0.25, stratify: false}\nnormalize: standard")
        by_column = {}
        for bad in bundle.facts.non_finite_inputs:
            by_column.setdefault(bad.column, []).append(bad)
        assert sorted(row for bad in by_column["a"] for row in bad.rows) == [3, 13, 23, 33]
        assert sum(bad.count for bad in by_column["a"]) == 4
        assert [bad.rows for bad in by_column["b"]] == [(5,)]
        assert np.isfinite(bundle.facts.input_mean)
        assert dumps(bundle.facts)

    def test_a_nan_target_is_a_fact(self, table):
        write(table, "n.csv", "a,y\n" + "".join(f"{i},{'' if i == 7 else i % 2}\n" for i in range(40)))
        for loss in ("mse", "cross_entropy", "bce"):
            facts = build(table, "csv: {path: n.csv, target: y}", loss=loss).facts
            assert [(bad.split, bad.column, bad.count, bad.rows) for bad in facts.non_finite_targets] == [
                ("train", "y", 1, (7,))
            ]
            assert facts.label_min in (None, 0)

    def test_a_missing_word_is_a_fact(self, table):
        write(table, "n.csv", "a,y\n" + "".join(f"{i},{'' if i == 7 else 'pq'[i % 2]}\n" for i in range(40)))
        bundle = build(table, "csv: {path: n.csv, target: y}")
        assert bundle.facts.non_finite_targets[0].rows == (7,)
        assert (bundle.facts.label_min, bundle.facts.label_max, bundle.output_size) == (0, 1, 2)

    def test_labels_that_start_at_one(self, table):
        write(table, "one.csv", "a,y\n" + "".join(f"{i},{i % 3 + 1}\n" for i in range(40)))
        bundle = build(table, "csv: {path: one.csv, target: y}\nsplit: {val: 0.2, stratify: false}")
        assert (bundle.facts.label_min, bundle.facts.label_max, bundle.facts.labels_present) == (1, 3, 3)
        assert bundle.output_size == 3
        facts = with_outputs(bundle, 3)
        rows = [row for bad in facts.out_of_range for row in bad.rows]
        assert rows
        assert all(row % 3 == 2 for row in rows)
        assert sum(bad.count for bad in facts.out_of_range) == 13
        assert with_outputs(bundle, 4).out_of_range == ()

    def test_text_in_a_numeric_column(self, table):
        write(table, "x.csv", "a,y\n1,0\ntwo,1\n")
        (found,) = problems(table, "csv: {path: x.csv, target: y}")
        assert found.startswith("x.csv:3: column 'a': text in a column of numbers (found 'two')")

    def test_more_classes_than_outputs(self, table):
        facts = with_outputs(build(table, "csv: {path: t.csv, target: y}"), 2)
        assert facts.outputs == 2
        assert facts.out_of_range[0].count == 10
        assert facts.out_of_range[0].rows[:2] == (2, 5)

    def test_batch_larger_than_the_data(self, table):
        (found,) = problems(table, "csv: {path: t.csv, target: y}\nsplit: 0.2\nbatch_size: 25")
        assert found == (
            "spec.yaml:5:3: data.batch_size: a batch of 25 is larger than the training data of 24 samples; "
            "expected at most 24, or `full` for all of them"
        )
        (found,) = problems(table, "csv: {path: t.csv, target: y}\nlimit: 8\nbatch_size: 32")
        assert "data.batch_size: a batch of 32 is larger than the training data of 8 samples" in found

    def test_the_usual_batch_is_cut_to_small_data(self, table):
        bundle = build(table, "csv: {path: t.csv, target: y}\nlimit: 8")
        assert bundle.train.batch_size == 8
        assert "The training data of 8 samples make one batch" in bundle.assumptions[0]

    def test_a_split_without_samples(self, table):
        (found,) = problems(table, "csv: {path: t.csv, target: y}\nsplit: {val: 30}")
        assert found.startswith("spec.yaml:4:11: data.split.val: a validation split of 30 leaves 0 of 30 samples")

    def test_augmenting_a_table(self, table):
        (found,) = problems(table, "csv: {path: t.csv, target: y}\naugment: [{shift: 2}]\nbatch_size: 8")
        assert found.startswith("spec.yaml:4:3: data.augment: shift, rotate, scale, brightness and hflip change images")

    def test_normalising_classes(self, table):
        (found,) = problems(table, "csv: {path: t.csv, target: y}\nnormalize_target: standard\nbatch_size: 8")
        assert found.startswith("spec.yaml:4:3: data.normalize_target: the targets are classes")

    def test_stratifying_a_regression(self, table):
        (found,) = problems(
            table, "csv: {path: t.csv, target: y}\nsplit: {val: 3, stratify: true}\nbatch_size: 8", loss="mse"
        )
        assert "data.split.stratify" in found


def test_labels_of_a_binary_loss_are_judged_as_zero_and_one(table):
    write(table, "b.csv", "a,y\n" + "".join(f"{i},{i % 2 + 1}\n" for i in range(40)))
    bundle = build(table, "csv: {path: b.csv, target: y}", loss="bce")
    assert (bundle.task, bundle.output_size, bundle.class_counts) == ("binary", 1, (0, 20))
    assert with_outputs(bundle, 1).out_of_range[0].count == 20
    write(table, "b.csv", "a,y\n" + "".join(f"{i},{'no' if i % 2 else 'yes'}\n" for i in range(40)))
    bundle = build(table, "csv: {path: b.csv, target: y}", loss="soft_margin")
    assert with_outputs(bundle, 1).out_of_range == ()
    assert bundle.class_counts == (20, 20)
    assert inputs_of(bundle.train)[1].unique().tolist() == [-1, 1]


def test_limit_classes_and_exclude(table):
    bundle = build(table, "csv: {path: t.csv, target: y}\nclasses: [2, 0]\nlimit: 12\nbatch_size: full")
    inputs, targets = inputs_of(bundle.train)
    assert len(inputs) == 12
    assert ((inputs[:, 0] % 3 == 2) == (targets == 0)).all()
    assert bundle.class_names == ("2", "0")
    entries = [{"row": 4}, {"path": "some/where/t.csv", "row": 7, "name": "outlier", "severity": "warning"}]
    write(table, "bad.jsonl", "\n".join(map(json.dumps, entries)))
    inputs, _ = inputs_of(build(table, "csv: {path: t.csv, target: y}\nexclude: bad.jsonl\nbatch_size: 5").train)
    assert sorted(inputs[:, 0].tolist()) == [i for i in range(30) if i not in (4, 7)]


def test_exclusions_that_fit_nothing(table):
    write(table, "bad.jsonl", '{"row": 4}\n{"row": 400}\n')
    (found,) = problems(table, "csv: {path: t.csv, target: y}\nexclude: bad.jsonl")
    assert found == "spec.yaml:4:3: data.exclude: bad.jsonl lists samples that the data does not have: line 2"
    write(table, "bad.jsonl", '{"row": "4"}\n[]\n')
    assert len(problems(table, "csv: {path: t.csv, target: y}\nexclude: bad.jsonl")) == 2
    write(table, "bad.jsonl", "\n".join(json.dumps({"row": i}) for i in range(30)))
    assert "no sample of t.csv is left" in problems(table, "csv: {path: t.csv, target: y}\nexclude: bad.jsonl")[0]


def test_classes_that_are_not_there(tmp_path):
    data = f"csv: {{path: {SHIPPED}/iris.csv, target: species}}\nclasses: [setosa, virgnica]"
    (found,) = problems(tmp_path, data)
    assert "has class 'virgnica'; its classes are setosa, versicolor, virginica" in found
    assert "did you mean 'virginica'?" in found


def test_one_hot(tmp_path):
    data = f"csv: {{path: {SHIPPED}/iris.csv, target: species}}\none_hot: true\nsplit: 0.2"
    bundle = build(tmp_path, data, loss="mse")
    assert (bundle.task, bundle.output_size, bundle.class_counts) == ("classification", 3, (40, 40, 40))
    assert inputs_of(bundle.train)[1].shape == (120, 3)


SEQUENCES = "".join(json.dumps({"x": list(range(1, n + 1)), "y": n % 2}) + "\n" for n in (3, 1, 2, 5, 4, 2))


def test_sequences_of_unequal_length(tmp_path):
    write(tmp_path, "s.jsonl", SEQUENCES)
    source = "jsonl: {path: s.jsonl, target: y}\nbatch_size: 6"
    bundle = build(tmp_path, source + "\npad: 0\nnormalize: standard")
    assert (bundle.input_shape, bundle.variable_length, bundle.integer_inputs) == ((5, 1), True, False)
    (batch,) = bundle.train.epoch(0)
    assert sorted(batch.input["lengths"].tolist()) == [1, 2, 2, 3, 4, 5]
    real = torch.arange(5)[None, :] < batch.input["lengths"][:, None]
    values = batch.input["values"][..., 0]
    assert (values[~real] == 0).all()
    np.testing.assert_allclose(values[real].mean(), 0, atol=1e-6)
    np.testing.assert_allclose(values[real].std(correction=0), 1, atol=1e-6)
    (found,) = problems(tmp_path, source)
    assert found.startswith("spec.yaml:2:1: data.pad: the sequences have 1 to 5 steps")
    (found,) = problems(tmp_path, source + "\npad: {length: 4}")
    assert found.startswith("spec.yaml:5:9: data.pad.length: sequences of up to 5 steps do not fit into 4")


def test_tokens_for_an_embedding(tmp_path):
    write(tmp_path, "s.jsonl", SEQUENCES)
    rest = "model: {layers: [{embedding: {num_embeddings: 9, embedding_dim: 4}}, {lstm: 4}, {linear: 2}]}\n"
    source = "jsonl: {path: s.jsonl, target: y}\nbatch_size: 6\npad: {length: 7}"
    bundle = build(tmp_path, source, rest=rest)
    (batch,) = bundle.train.epoch(0)
    assert (batch.input["values"].dtype, batch.input["values"].shape) == (torch.int64, (6, 7))
    assert (bundle.input_shape, bundle.integer_inputs) == ((7,), True)
    (found,) = problems(tmp_path, source + "\nnormalize: standard", rest=rest)
    assert "data.normalize: the inputs are whole numbers that an embedding looks up" in found
    write(tmp_path, "s.jsonl", SEQUENCES.replace("[1, 2]", "[1.5, 2]"))
    (found,) = problems(tmp_path, source, rest=rest)
    assert "row 2 holds 1.5" in found


def test_a_target_for_every_step(tmp_path):
    lines = [{"x": [[0.5, n]] * n, "y": [n % 2] * n} for n in (2, 1, 3, 2)]
    write(tmp_path, "s.jsonl", "\n".join(map(json.dumps, lines)))
    bundle = build(tmp_path, "jsonl: {path: s.jsonl, target: y}\nbatch_size: 4\npad: true")
    (batch,) = bundle.train.epoch(0)
    assert batch.target.shape == (4, 3)
    assert ((batch.target == -100).sum(1) == 3 - batch.input["lengths"]).all()
    assert bundle.input_shape == (3, 2)
    (found,) = problems(tmp_path, "jsonl: {path: s.jsonl, target: y}\nbatch_size: 4\npad: true", loss="mse")
    assert "data.pad: mse would count the padding of targets of unequal length as data" in found
    write(tmp_path, "s.jsonl", "\n".join(map(json.dumps, [*lines, {"x": [[1, 1]], "y": [0, 1]}])))
    (found,) = problems(tmp_path, "jsonl: {path: s.jsonl, target: y}\nbatch_size: 4\npad: true")
    assert "row 4 has 1 steps and 2 targets" in found


def test_labels_for_every_pixel_that_the_loss_passes_over(tmp_path):
    labels = np.random.default_rng(0).integers(0, 3, (8, 6, 6))
    labels[0, 0, 0] = 255
    np.savez(tmp_path / "p.npz", x=np.random.default_rng(0).random((8, 1, 6, 6)), y=labels)
    data = "npz: p.npz\nbatch_size: 4\naugment: [{shift: 2}, hflip]"
    bundle = build(tmp_path, data, loss="{cross_entropy: {ignore_index: 255}}")
    assert with_outputs(bundle, 3).out_of_range == ()
    assert with_outputs(bundle, 2).out_of_range[0].count == 8
    targets = inputs_of(bundle.train)[1]
    assert targets.shape == (8, 6, 6)
    assert set(targets.unique().tolist()) == {0, 1, 2, 255}


def test_images(tmp_path):
    for name, value in (("cat", 0), ("dog", 255)):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for index in range(6):
            Image.new("RGB", (5, 4), (value, 128, index)).save(tmp_path / "pets" / name / f"{index}.png")
    bundle = build(tmp_path, "images: pets\nsplit: 4\nbatch_size: 3\nnormalize: standard")
    assert (bundle.input_shape, bundle.output_size, bundle.class_names) == ((3, 4, 5), 2, ("cat", "dog"))
    inputs, _ = inputs_of(bundle.train)
    np.testing.assert_allclose(inputs.mean((0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(inputs[:, [0, 2]].std((0, 2, 3), correction=0), 1, atol=1e-4)
    write(tmp_path, "bad.jsonl", '{"path": "cat/0.png", "row": null}\n')
    assert build(tmp_path, "images: pets\nbatch_size: 3\nexclude: bad.jsonl").train.samples == 11
    (tmp_path / "pets" / "cat" / "0.png").write_bytes(b"broken")
    (tmp_path / "pets" / "dog" / "3.png").write_bytes(b"broken")
    found = problems(tmp_path, "images: {path: pets, size: 8}\nbatch_size: 3")
    assert [text.split(":")[0] for text in found] == ["pets/cat/0.png", "pets/dog/3.png"]


def test_colours_are_moved_to_the_front(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (40, 6, 7, 3), dtype=np.uint8)
    np.savez(tmp_path / "c.npz", x=images, y=np.zeros(40, np.int64))
    bundle = build(tmp_path, "npz: c.npz\nshuffle: false\nbatch_size: full")
    assert bundle.input_shape == (3, 6, 7)
    (batch,) = bundle.train.epoch(0)
    np.testing.assert_array_equal(batch.input, np.moveaxis(images, 3, 1))
    assert "colours last" in bundle.assumptions[0]


@pytest.mark.parametrize(
    ("generator", "task", "width", "classes"),
    [
        ("{blobs: {n: 90, features: 3, classes: 3}}", "classification", 3, 3),
        ("{circles: 90}", "classification", 2, 2),
        ("moons", "classification", 2, 2),
        ("{spirals: {classes: 3}}", "classification", 2, 3),
        ("{xor: {noise: 0.0}}", "classification", 2, 2),
        ("{linear: {features: 4}}", "regression", 4, None),
        ("{sinusoid: {noise: 0.0}}", "regression", 1, None),
    ],
)
def test_synthetic(tmp_path, generator, task, width, classes):
    loss = "cross_entropy" if task == "classification" else "mse"
    bundle = build(tmp_path, f"synthetic: {generator}\nsplit: 0.2", loss=loss)
    assert (bundle.task, bundle.input_shape) == (task, (width,))
    if classes:
        assert bundle.output_size == classes
        assert max(bundle.class_counts) - min(bundle.class_counts) <= 1
    first, again, other = (
        inputs_of(build(tmp_path, f"synthetic: {generator}", loss=loss, seed=s).train)[0] for s in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_synthetic_validation_set_is_a_fresh_draw_of_the_same_truth(tmp_path):
    part = "{synthetic: {linear: {n: 50, features: 3, noise: 0.0}}}"
    bundle = build(tmp_path, f"train: {part}\nval: {part}", loss="mse")
    (x, y), (x_val, y_val) = inputs_of(bundle.train), inputs_of(bundle.val)
    weights = torch.linalg.lstsq(x, y).solution
    torch.testing.assert_close(x_val @ weights, y_val, atol=1e-4, rtol=0)
    assert not torch.isin(x_val, x).any()


def test_the_shipped_files_are_as_documented():
    iris = (SHIPPED / "iris.csv").read_text().splitlines()
    assert (len(iris), iris[0]) == (151, "sepal_length,sepal_width,petal_length,petal_width,species")
    with np.load(SHIPPED / "digits.npz") as digits:
        assert (digits["x"].shape, digits["x"].dtype, int(digits["x"].max())) == ((1797, 8, 8), np.uint8, 16)
        assert (digits["y"].dtype, np.bincount(digits["y"]).tolist()) == (
            np.int64, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180],
        )  # fmt: skip
    assert len((SHIPPED / "diabetes.csv").read_text().splitlines()) == 443
