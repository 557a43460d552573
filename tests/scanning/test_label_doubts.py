"""Labels against a cross-validated model, on real digits and iris with planted errors."""

import csv
from pathlib import Path

import numpy as np
import pytest
from gathered_entries import column, entry, gathered
from PIL import Image

from dltool.core.finding import Severity
from dltool.core.measured.scan_classes import SuspectedLabels
from dltool.scanning.doubt.confident import doubts
from dltool.scanning.doubt.examine import Place, doubted
from dltool.scanning.doubt.features import of_table
from dltool.scanning.doubt.models import MODELS, folds, gaussians, held_out, neighbours
from dltool.scanning.record import Entry, Flaw, ImageFacts, Inspection, Item, TableFacts
from dltool.scanning.source import BytesSource

DATA = Path(__file__).parents[2] / "sample_configs/data"


def digits(count):
    with np.load(DATA / "digits.npz") as file:
        return file["x"][:count].reshape(count, -1).astype(float), [str(y) for y in file["y"][:count]]


def places(count):
    return [Place("x", "data/x", row) for row in range(count)]


def test_planted_errors_are_found_and_right_labels_left_alone():
    features, labels = digits(1200)
    rng = np.random.default_rng(11)
    wrong = rng.choice(1200, 24, replace=False)
    for row in wrong:
        labels[row] = str((int(labels[row]) + 1 + int(rng.integers(9))) % 10)
    section = doubted(features, labels, places(1200))
    told = {suspect.row for suspect in section.suspects}
    assert len(told & set(wrong.tolist())) >= 12
    assert len(told - set(wrong.tolist())) <= 6
    assert section.accuracy_ratio > 0.9
    first = section.suspects[0]
    assert first.suggested_probability > first.probability


def test_random_labels_are_no_suspects_but_a_model_without_skill():
    features, labels = digits(400)
    shuffled = np.random.default_rng(0).permutation(labels).tolist()
    section = doubted(features, shuffled, places(400))
    assert section.suspects == ()
    assert "right in only" in section.reason_not_told


@pytest.mark.parametrize("labels", [["a"] * 60, ["a"] * 56 + ["b"] * 4, ["a"] * 20 + ["b"] * 20])
def test_too_few_samples_or_classes(labels):
    section = doubted(np.zeros((len(labels), 2)), labels, places(len(labels)))
    assert section.accuracy_ratio is None
    assert "too few" in section.reason_not_told


def test_confident_joint_by_hand():
    """Five of each class; one of class 0 looks like class 1, one is undecided, and class 1 is believed."""
    sure, other, torn = [0.9, 0.1], [0.05, 0.95], [0.5, 0.5]
    probabilities = np.array([sure, sure, sure, other, torn, *[[0.1, 0.9]] * 5])
    found = doubts(probabilities, np.array([0] * 5 + [1] * 5))
    assert found.samples.tolist() == [3]
    assert found.suggested.tolist() == [1]


def test_probabilities_sum_to_one_and_no_sample_judges_itself():
    features, labels = digits(200)
    numbers = np.array([int(label) for label in labels])
    fold_of = folds(numbers, 10)
    assert np.bincount(fold_of).max() - np.bincount(fold_of).min() <= 1
    for model in MODELS.values():
        before = held_out(model, features, numbers, fold_of)
        assert np.allclose(before.sum(axis=1), 1.0)
        changed = numbers.copy()
        changed[7] = (changed[7] + 1) % 10
        assert np.allclose(held_out(model, features, changed, fold_of)[fold_of == fold_of[7]], before[fold_of == fold_of[7]])


def test_neighbours_against_the_slow_way():
    rng = np.random.default_rng(3)
    train, labels, asked = rng.normal(size=(60, 4)), rng.integers(0, 3, 60), rng.normal(size=(9, 4))
    for row, votes in zip(asked, neighbours(train, labels, asked, 3), strict=True):
        near = np.argsort(((train - row) ** 2).sum(axis=1))[:10]
        expected = (np.bincount(labels[near], minlength=3) + 1 / 3) / 11
        assert np.allclose(votes, expected)


def test_features_that_never_vary_do_no_harm():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 40)
    features = np.column_stack([labels + rng.normal(0, 0.1, 80), np.full(80, 7.0)])
    guess = held_out(gaussians, features, labels, folds(labels, 5))
    assert (guess.argmax(axis=1) == labels).all()


def test_rows_of_a_table_are_read_again(tmp_path):
    with (DATA / "iris.csv").open(encoding="utf-8") as stream:
        header, *rows = list(csv.reader(stream))
    rows[3][-1], rows[120][-1] = rows[120][-1], rows[3][-1]
    path = tmp_path / "iris.csv"
    path.write_text("\n".join(",".join(row) for row in [header, *rows]) + "\n")
    counts = tuple((name, 50) for name in sorted({row[-1] for row in rows}))
    facts = TableFacts(rows=150, columns=(column("x", 150),), target=header[-1], labels=counts)
    item = Item(index=0, name="iris.csv", path=str(path))
    section = gathered([Entry(item, Inspection(format="csv", size_bytes=1, table=facts))], doubt_labels=True)[
        SuspectedLabels
    ]
    assert {3, 120} <= {suspect.row for suspect in section.suspects}
    assert len(section.suspects) <= 6


@pytest.mark.parametrize(
    ("before", "below", "separator"), [("", "", ","), ("# a note\n", "", ";"), ("My flowers\n\n", "cm;cm;cm;cm;kind\n", ";")]
)
def test_rows_have_the_numbers_that_a_scan_gives_them(before, below, separator):
    with (DATA / "iris.csv").open(encoding="utf-8") as stream:
        header, *rows = list(csv.reader(stream))
    text = before + separator.join(header) + "\n" + below + "".join(separator.join(row) + "\n" for row in rows)
    features, labels, numbers = of_table(BytesSource(text.encode(), "iris.csv"), "csv", header[-1])
    assert numbers == list(range(150))
    assert labels == [row[-1] for row in rows]
    assert features.shape == (150, 4)
    assert features[7].tolist() == [float(cell) for cell in rows[7][:-1]]


def test_pictures_are_read_again_but_not_damaged_ones(tmp_path):
    rng = np.random.default_rng(5)
    entries = []
    for i in range(80):
        dark = i % 2 == 0
        pixels = rng.integers(0, 60, (16, 16, 3)) if dark else rng.integers(180, 255, (16, 16, 3))
        path = tmp_path / f"{i}.png"
        Image.fromarray(pixels.astype(np.uint8)).save(path)
        label = "dark" if dark != (i == 10) else "light"
        item = Item(index=i, name=path.name, path=str(path), label=label)
        bad = (Flaw(rule="corrupt-file", kind="truncated", severity=Severity.ERROR, detail="x"),) if i == 0 else ()
        image = ImageFacts(width=16, height=16, mode="RGB")
        entries.append(Entry(item, Inspection(format="png", size_bytes=1, image=image, flaws=bad)))
    section = gathered([*entries, entry("note.txt", format=None)], doubt_labels=True)[SuspectedLabels]
    assert section.samples == 79
    assert [(s.path, s.label, s.suggested) for s in section.suspects] == [("10.png", "light", "dark")]


def test_nobody_asked():
    assert SuspectedLabels not in gathered([])
    assert "--target" in gathered([], doubt_labels=True)[SuspectedLabels].reason_not_told
