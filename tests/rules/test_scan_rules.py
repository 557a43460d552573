"""Rules on what a scan measured: what fires, what looks guilty and is healthy, and the exact boundaries."""

import math
from dataclasses import replace
from itertools import combinations

import pytest
from rule_sections import judged

from dltool.core.finding import Severity
from dltool.core.measured.scan import Sample
from dltool.core.measured.scan_classes import ClassCount, ClassTable, SuspectedLabel, SuspectedLabels
from dltool.core.measured.scan_flaws import FlawedFile, FlawRecord, MoreFlaws, ScanFlaws
from dltool.core.measured.scan_likeness import Stranger, Strangers, Trait
from dltool.core.measured.scan_pictures import ConstantImage, ImageSet, OddImages
from dltool.core.measured.scan_tables import ExtremeColumn, Extremes, ExtremeValue, Feature, FeatureTable
from dltool.core.measurements import Measurements
from dltool.rules.base import Skip
from dltool.rules.data import constant_image
from dltool.rules.data.class_imbalance import ClassImbalance
from dltool.rules.data.classes import absence_probability, block_of
from dltool.rules.data.constant_feature import ConstantFeature
from dltool.rules.data.corrupt_file import CorruptFile
from dltool.rules.data.format_mismatch import FormatMismatch
from dltool.rules.data.label_out_of_range import LabelOutOfRange
from dltool.rules.data.labels_not_zero_based import LabelsNotZeroBased
from dltool.rules.data.missing_class import MissingClass
from dltool.rules.data.non_finite_value import NonFiniteValue
from dltool.rules.data.outlier import Outlier
from dltool.rules.data.shape_mismatch import ShapeMismatch
from dltool.rules.data.suspected_label_error import SuspectedLabelError
from dltool.rules.data.unnormalised_input import UnnormalisedInput
from dltool.rules.data.unnormalised_target import UnnormalisedTarget
from dltool.rules.data.unsafe_file import UnsafeFile
from dltool.rules.select import judge

FLAW = FlawRecord(kind="truncated", severity=Severity.ERROR, detail="the end is missing")
FILE = FlawedFile(rule="corrupt-file", path="a/1.jpg", file="data/a/1.jpg", format="jpeg", column=None, flaws=(FLAW,))


def test_one_finding_a_file_of_the_gravest_flaw():
    mild = replace(FLAW, severity=Severity.WARNING, detail="eight bytes too many", line=4)
    (finding,) = judged(CorruptFile, ScanFlaws(files=(replace(FILE, flaws=(mild, FLAW)),)))
    assert finding.message == "a/1.jpg: the end is missing (and 1 more)"
    assert finding.severity is Severity.ERROR
    assert (finding.where.file, finding.where.line, finding.where.key) == ("data/a/1.jpg", 4, "a/1.jpg")
    assert finding.evidence["samples"] == [{"path": "a/1.jpg", "row": None}]
    (lighter,) = judged(CorruptFile, ScanFlaws(files=(replace(FILE, flaws=(mild,)),)))
    assert lighter.severity is Severity.WARNING


@pytest.mark.parametrize("rule", [CorruptFile, FormatMismatch, UnsafeFile, NonFiniteValue])
def test_flaws_go_to_their_own_rule_and_no_flaws_are_no_findings(rule):
    names = ("corrupt-file", "format-mismatch", "unsafe-file", "non-finite-value")
    every = ScanFlaws(files=tuple(replace(FILE, rule=name) for name in names))
    assert [f.name for f in judged(rule, every)] == [rule.name]
    assert judged(rule, ScanFlaws(files=())) == []


def test_rows_and_columns_are_named_and_make_the_fingerprint():
    nan = replace(FLAW, kind="nan", row=3, rows=(3, 9), count=2)
    of = replace(FILE, rule="non-finite-value", path="t.csv", flaws=(nan,))
    one, two = judged(NonFiniteValue, ScanFlaws(files=(replace(of, column="x"), replace(of, column="y"))))
    assert one.where.samples == (3, 9)
    assert one.evidence["samples"] == [{"path": "t.csv", "row": 3}, {"path": "t.csv", "row": 9}]
    assert one.fingerprint != two.fingerprint


def test_what_lies_beyond_a_thousand_is_summed_up_with_all_members():
    samples = tuple(Sample(path=f"{i}.jpg") for i in range(5))
    more = MoreFlaws(rule="corrupt-file", severity=Severity.WARNING, files=5, samples=samples)
    (finding,) = judged(CorruptFile, ScanFlaws(files=(), more=(more,)))
    assert finding.severity is Severity.WARNING
    assert len(finding.evidence["samples"]) == 5


STRANGER = Stranger(path="a/1.jpg", file="data/a/1.jpg", folder="a", neighbours=99, strangers=1,
                    traits=(Trait(name="encoder", own="q75", usual="q90"),
                            Trait(name="size", own="9x9", usual="8x8")), in_series=True)  # fmt: skip


def test_a_stranger_is_told_once():
    named = replace(FILE, rule="format-mismatch")
    (finding,) = judged(FormatMismatch, ScanFlaws(files=()), Strangers(samples=100, files=(STRANGER,)))
    assert finding.severity is Severity.WARNING
    assert finding.evidence["kind"] == "unlike-its-neighbours"
    assert len(judged(FormatMismatch, ScanFlaws(files=(named,)), Strangers(samples=100, files=(STRANGER,)))) == 1
    crowd = Strangers(samples=9000, files=tuple(replace(STRANGER, path=f"{i}") for i in range(1002)))
    assert len(judged(FormatMismatch, ScanFlaws(files=()), crowd)) == 1001


def test_labels_that_are_no_numbers():
    odd = ClassCount(label="nan", samples=2, examples=(Sample(path="3.jpg"),))
    (finding,) = judged(NonFiniteValue, ScanFlaws(files=()), replace(integers(0, 1), column=None, not_numbers=(odd,)))
    assert "'nan'" in finding.message
    (of_column,) = judged(NonFiniteValue, ScanFlaws(files=()), replace(integers(0, 1), not_numbers=(odd,)))
    assert of_column.evidence["column"] == "y"
    told = FlawedFile(rule="non-finite-value", path="a.csv", file="a.csv", format="csv", column="y",
                      flaws=(FlawRecord(kind="nan", severity=Severity.ERROR, detail="NaN", row=3),))  # fmt: skip
    table = replace(integers(0, 1), not_numbers=(odd,))
    assert [f.evidence["kind"] for f in judged(NonFiniteValue, ScanFlaws(files=(told,)), table)] == ["nan"]


BLANK = ConstantImage(path="1.png", file="data/1.png", width=9, height=9, brightness=0.0, span=0.0)
IMAGES = ImageSet(images=100, modes={"RGB": 100}, sizes={"9x9": 100}, size_count=1, orientations={"1": 100}, animated=0,
                  brightness=None, contrast=None)  # fmt: skip


@pytest.mark.parametrize(
    ("span", "brightness", "kind"),
    [
        (0.0, 0.0, "black"),
        (0.0, 1.0, "white"),
        (0.0, 0.4, "constant"),
        (2 / 255, 2 / 255, "black"),
        (2 / 255, 253 / 255, "white"),
        (math.nextafter(2 / 255, 1), 0.0, None),
        (0.02, 0.0, None),
        (math.nan, 0.5, "constant"),
        (math.inf, 0.5, None),
    ],
)
def test_constant_image(span, brightness, kind):
    images = replace(IMAGES, constant=(replace(BLANK, span=span, brightness=brightness),))
    found = judged(constant_image.ConstantImage, images)
    assert [f.evidence["kind"] for f in found] == ([] if kind is None else [kind])
    assert all(f.severity is Severity.WARNING for f in found)


def test_empty_masks_and_sets_of_plain_colours_are_only_worth_knowing():
    def severities(images):
        return {f.severity for f in judged(constant_image.ConstantImage, images)}

    assert severities(replace(IMAGES, constant=(replace(BLANK, mask=True),))) == {Severity.INFO}
    assert severities(replace(IMAGES, constant=(BLANK,) * 50)) == {Severity.WARNING}
    assert severities(replace(IMAGES, constant=(BLANK,) * 51)) == {Severity.INFO}
    assert severities(replace(IMAGES, images=1, constant=(BLANK,))) == {Severity.WARNING}


def odd(oddity, value="x", usual=None, paths=("1.jpg",), scores=()):
    return OddImages(oddity=oddity, value=value, usual=usual, count=len(paths), paths=paths, files=paths, scores=scores)


def test_a_single_pixel_is_a_warning_and_other_oddities_are_not():
    every = replace(
        IMAGES,
        size_count=3,
        odd=(
            odd("one-pixel"),
            odd("one-pixel-side"),
            odd("rotated", "orientation 6"),
            odd("animated"),
            odd("mode", "CMYK", "RGB"),
            odd("size", "8x8", "9x9"),
            odd("size", "7x8", "9x9", ("2.jpg", "3.jpg")),
        ),
    )
    (pixel,) = judged(constant_image.ConstantImage, every)
    assert (pixel.severity, pixel.evidence["kind"]) == (Severity.WARNING, "one-pixel")
    found = judged(ShapeMismatch, every)
    assert {f.severity for f in found} == {Severity.INFO}
    kinds = [f.evidence["kind"] for f in found]
    assert kinds == ["one-pixel-side", "rotated", "animated", "mode", "size"]
    assert found[-1].message == "3 not 9x9 as the other pictures: 8x8, 7x8"
    assert judged(ShapeMismatch, IMAGES) == []


def test_sets_without_a_usual_size_or_mode_accuse_no_picture():
    varied = replace(IMAGES, sizes={"9x9": 50, "8x8": 50}, size_count=2, modes={"RGB": 60, "L": 40})
    found = judged(ShapeMismatch, varied)
    assert [f.evidence["samples"] for f in found] == [[], []]


def extreme(*scores):
    values = tuple(ExtremeValue(row=9 - i, value=100.0 * s, score=s) for i, s in enumerate(scores))
    column = ExtremeColumn(path="t.csv", file="data/t.csv", column="x", rows=50, median=1.0, extremes=values)
    return Extremes(columns=(column,), columns_seen=1)


@pytest.mark.parametrize(
    ("scores", "rows"),
    [
        ((10.0,), [9]),
        ((9.99,), []),
        ((-10.0, 9.0), [9]),
        ((50.0, 40.0), [8, 9]),
        ((math.nan,), [9]),
        ((math.inf,), [9]),
        ((), []),
    ],
)
def test_outliers(scores, rows):
    found = judged(Outlier, extreme(*scores))
    assert [s["row"] for f in found for s in f.evidence["samples"]] == rows


def test_pictures_far_from_the_others_are_worth_knowing():
    group = odd("dark-or-light", "", "0.5", ("a", "b", "c"), (-9.0, 8.0, 7.9))
    (finding,) = judged(Outlier, replace(IMAGES, odd=(group,)))
    assert finding.severity is Severity.INFO
    assert [s["path"] for s in finding.evidence["samples"]] == ["a", "b"]
    assert judged(Outlier, IMAGES) == []
    assert isinstance(judged(Outlier), Skip)


def feature(name="x", **changes):
    plain = Feature(
        name=name, dtypes=("float64",), files=1, rows=100, distinct=50, minimum=0.0, maximum=9.0, mean=4.0, std=2.0
    )
    return replace(plain, **changes)


def table(*features):
    return FeatureTable(features=features, tables=1, rows=100)


@pytest.mark.parametrize(
    ("changes", "fires"),
    [
        ({"constant": True}, True),
        ({"constant": True, "rows": 10}, True),
        ({"constant": True, "rows": 9}, False),
        ({"constant": None}, False),
        ({"constant": False}, False),
        ({"constant": True, "target": True}, False),
    ],
)
def test_constant_columns(changes, fires):
    found = judged(ConstantFeature, table(feature(), feature("c", **changes)))
    assert [f.severity for f in found] == ([Severity.WARNING] if fires else [])


def test_border_pixels_are_only_worth_knowing():
    pixels = table(*(feature(f"pixel{i}", constant=i < 3) for i in range(16)))
    (finding,) = judged(ConstantFeature, pixels)
    assert finding.severity is Severity.INFO
    assert finding.evidence["features"] == ["pixel0", "pixel1", "pixel2"]
    few = table(*(feature(f"pixel{i}", constant=i < 3) for i in range(15)))
    assert len(judged(ConstantFeature, few)) == 3
    assert judged(ConstantFeature, table(feature("x", constant=True, array=True)))[0].severity is Severity.INFO


@pytest.mark.parametrize(
    ("changes", "fires"),
    [
        ({"std": 2000.0}, True),
        ({"std": 1999.0}, False),
        ({"std": math.inf}, True),
        ({"std": None}, False),
        ({"std": 0.0}, False),  # constant: another rule's
        ({"std": 2000.0, "target": True}, False),
        ({"std": 2000.0, "distinct": 2}, False),  # a flag
        ({"std": 2000.0, "distinct": 100, "maximum": 99.0}, False),  # numbers the rows
        ({"std": 2000.0, "array": True}, False),
    ],
)
def test_scales_of_columns(changes, fires):
    found = judged(UnnormalisedInput, table(feature(), feature("b", **changes)))
    assert [f.severity for f in found] == ([Severity.INFO] if fires else [])


@pytest.mark.parametrize(
    ("mean", "std", "fires"),
    [(10.0, 10.0, False), (10.1, 1.0, True), (0.0, 0.0009, True), (math.nan, 1.0, True), (0, 1, False)],
)
def test_scale_of_a_target(mean, std, fires):
    found = judged(UnnormalisedTarget, table(feature("y", target=True, mean=mean, std=std)))
    assert [f.severity for f in found] == ([Severity.INFO] if fires else [])


def test_scale_of_a_target_cannot_be_told():
    for sections in ([], [table(feature())], [table(feature("y", target=True, mean=99.0)), integers(0, 1)]):
        assert isinstance(judged(UnnormalisedTarget, *sections), Skip)


def integers(*labels, samples=50, **changes):
    classes = tuple(ClassCount(label=str(label), samples=samples) for label in labels)
    plain = ClassTable(source="column", column="y", kind="integers", samples=samples * len(labels), distinct=len(labels),
                       classes=classes)  # fmt: skip
    return replace(plain, **changes)


def told(rule, *labels, **changes):
    return [
        (f.evidence.get("label", f.evidence.get("missing")), f.severity.value)
        for f in judged(rule, integers(*labels, **changes))
    ]


@pytest.mark.parametrize(
    ("labels", "outputs", "odd_ones"),
    [
        ((0, 1, 2), 3, []),
        ((0, 1, 3), 3, [(3, "error")]),
        ((-1, 0, 1), 3, [(-1, "error")]),
        ((-100, 0, 1), 2, []),  # the default ignore_index
        ((0, 1, 2), None, []),
        ((-1, 1), None, []),  # a support vector machine's labels
        ((-1, 0, 1), None, []),  # a scale
        ((-2, -1, 0, 1, 2), None, []),
        ((-1, 0, 1, 2), None, [(-1, "warning")]),
        ((0, 255), None, []),  # a mask
        ((0, 1, 255), None, [(255, "warning")]),
        ((*range(21), 255), None, [(255, "warning")]),
        ((*range(21), 41), None, [(41, "warning")]),
        ((*range(21), 39), None, []),
        ((0, 1, 10), None, []),
        ((0, 1, 11), None, [(11, "warning")]),
        ((3, 17, 90), None, []),  # a few of a catalogue
        ((0, 1, 5, 200), None, []),
        ((0, 1, 2, 4, 255), None, [(255, "warning")]),  # a class is missing as well
    ],
)
def test_labels_out_of_range(labels, outputs, odd_ones):
    assert told(LabelOutOfRange, *labels, outputs=outputs) == odd_ones


@pytest.mark.parametrize(
    ("labels", "outputs", "severity"),
    [
        ((1, 2, 3), None, Severity.WARNING),
        ((1, 2, 3), 3, Severity.ERROR),
        ((1, 2, 3), 4, None),
        ((1, 2, 4), None, None),
        ((0, 1, 2), None, None),
        ((2, 3), None, None),
        ((1,), None, None),
        ((-100, 1, 2), None, Severity.WARNING),
        ((1, 2, 3, 255), None, Severity.WARNING),
    ],
)
def test_labels_from_one(labels, outputs, severity):
    found = judged(LabelsNotZeroBased, replace(integers(*labels, outputs=outputs), column="label"))
    assert [f.severity for f in found] == ([] if severity is None else [severity])


@pytest.mark.parametrize(
    ("column", "outputs", "severity"),
    [
        ("class_id", None, Severity.WARNING),
        ("Category", None, Severity.WARNING),
        (None, None, Severity.WARNING),
        ("rating", None, Severity.INFO),
        ("stars", None, Severity.INFO),
        ("y", None, Severity.INFO),
        ("classic", None, Severity.INFO),
        ("rating", 5, Severity.ERROR),
    ],
)
def test_labels_from_one_are_ratings_unless_something_says_that_they_are_classes(column, outputs, severity):
    table = replace(integers(1, 2, 3, 4, 5, outputs=outputs), column=column, source="column" if column else "manifest")
    assert [f.severity for f in judged(LabelsNotZeroBased, table)] == [severity]


@pytest.mark.parametrize(
    ("labels", "outputs", "missing"),
    [
        ((0, 1, 3), None, [2]),
        ((0, 1, 2), None, []),
        ((1, 2, 3), None, []),
        ((3, 4, 6, 7), None, [5]),
        ((0, 4), None, []),  # more gaps than classes
        ((0, 1, 2), 5, [3, 4]),
        ((0, 1, 2, 255), None, []),
    ],
)
def test_gaps_in_labels(labels, outputs, missing):
    found = judged(MissingClass, integers(*labels, outputs=outputs))
    assert [list(f.evidence["missing"]) for f in found] == ([missing] if missing else [])
    assert {f.severity for f in found} <= {Severity.INFO if outputs is None else Severity.WARNING}


def test_a_gap_in_a_column_of_classes_is_a_warning():
    (found,) = judged(MissingClass, replace(integers(0, 1, 3), column="class_id"))
    assert found.severity is Severity.WARNING


def rare(**counts):
    """Labels with their samples; those with five at most have rows."""
    classes = tuple(
        ClassCount(label=label.strip("_"), samples=n,
                   examples=tuple(Sample(path="a.csv", row=row) for row in range(n)) if n <= 5 else ())
        for label, n in counts.items()
    )  # fmt: skip
    return ClassTable(source="column", column="y", kind="integers", samples=sum(counts.values()), distinct=len(classes),
                      classes=classes)  # fmt: skip


@pytest.mark.parametrize(
    ("counts", "strays"),
    [
        ({"_0": 66, "_1": 66, "_2": 66, "_7": 3}, ["7"]),
        ({"_0": 66, "_1": 66, "_2": 66, "_7": 1, "_9": 2}, ["7", "9"]),
        ({"_0": 66, "_1": 66, "_2": 66, "_7": 5}, []),  # a small class
        ({"_0": 66, "_1": 66, "_2": 66, "_4": 3}, []),  # too near
        ({"_0": 20, "_1": 20, "_2": 20, "_7": 3}, []),  # all are small
        ({"_0": 180, "_1": 180, "_2": 90, "_3": 30, "_6": 1}, []),  # counts, which tail off
        ({"_0": 66, "_7": 3}, []),
    ],
)
def test_a_handful_of_samples_far_from_all_classes(counts, strays):
    found = judged(LabelOutOfRange, rare(**counts))
    assert [str(f.evidence["label"]) for f in found] == strays
    assert all(len(f.evidence["samples"]) == counts[f"_{f.evidence['label']}"] for f in found)
    assert all(f.where.samples for f in found)


@pytest.mark.parametrize("rule", [LabelOutOfRange, LabelsNotZeroBased])
def test_folders_and_names_are_no_numbers(rule):
    for changes in ({"source": "folders"}, {"kind": "names"}, {"classes": (), "nearly_all_differ": True}):
        assert isinstance(judged(rule, integers(1, 2, 3, **changes)), Skip)
    assert judged(MissingClass, integers(1, 2, 4, source="folders")) == []


def counted(split=None, **counts):
    """Classes with their samples: a number, or numbers for train and val."""
    classes, splits = [], {"train": 0, "val": 0}
    for label, number in counts.items():
        both = number if isinstance(number, tuple) else (number, 0)
        classes.append(ClassCount(label=label, samples=sum(both), splits=dict(zip(splits, both, strict=True))))
        splits = {"train": splits["train"] + both[0], "val": splits["val"] + both[1]}
    total = sum(splits.values())
    return ClassTable(source="folders", column=None, kind="names", samples=total, distinct=len(classes),
                      classes=tuple(classes), splits=splits if split else {})  # fmt: skip


def test_classes_that_training_lacks():
    found = judged(MissingClass, counted(split=True, cat=(50, 9), dog=(50, 0), ant=(0, 3)))
    assert [(f.evidence["missing"], f.severity) for f in found] == [(["ant"], Severity.WARNING), (["dog"], Severity.INFO)]
    assert judged(MissingClass, counted(split=True, cat=(50, 9), dog=(50, 9))) == []
    assert judged(MissingClass, counted(split=True, cat=(50, 0), dog=(50, 0))) == []  # an unlabelled split


@pytest.mark.parametrize(
    ("counts", "tiny"),
    [
        ((50, 50, 4), True),
        ((50, 50, 5), False),
        ((40, 40, 4), True),
        ((39, 39, 4), False),
        ((4, 4, 4), False),
        ((3, 3), False),
    ],
)
def test_tiny_classes(counts, tiny):
    found = judged(MissingClass, counted(**{f"c{i}": count for i, count in enumerate(counts)}))
    assert [f.evidence["kind"] for f in found] == (["tiny"] if tiny else [])


@pytest.mark.parametrize(
    ("batch_size", "counts", "absent"),
    [
        (32, (500, 500, 10), True),
        (32, (500, 500, 500), False),
        (32, (500, 500, 30), False),  # in most batches
        (32, (10,) * 100, False),  # nobody expects a hundred classes in a batch
        (None, (500, 500, 10), False),
        (1010, (500, 500, 10), False),
    ],
)
def test_classes_absent_from_batches(batch_size, counts, absent):
    measured = replace(counted(**{f"c{i}": count for i, count in enumerate(counts)}), batch_size=batch_size)
    found = judged(MissingClass, measured)
    assert [f.severity for f in found] == ([Severity.INFO] if absent else [])


@pytest.mark.parametrize(
    ("samples", "of_class", "batch"), [(8, 3, 2), (8, 3, 5), (8, 3, 6), (6, 1, 4), (7, 0, 3), (5, 2, 5)]
)
def test_absence_by_counting_all_batches(samples, of_class, batch):
    draws = list(combinations(range(samples), batch))
    without = sum(all(i >= of_class for i in draw) for draw in draws) / len(draws)
    assert absence_probability(samples, of_class, batch) == pytest.approx(without)


@pytest.mark.parametrize(("most", "fires"), [(99, False), (100, True)])
def test_imbalance_tells_the_majority_baseline(most, fires):
    found = judged(ClassImbalance, counted(cat=most, dog=10, none=0))
    assert len(found) == fires
    if fires:
        assert found[0].evidence["majority_ratio"] == pytest.approx(100 / 110)
        assert "90.9%" in found[0].message


def test_imbalance_is_of_the_training_split_where_there_is_one():
    assert judged(ClassImbalance, counted(split=True, cat=(100, 900), dog=(100, 1))) == []
    assert isinstance(judged(ClassImbalance, counted(cat=5)), Skip)


def test_blocks_of_labels():
    assert block_of((0, 1, 3)).gaps == (2,)
    assert block_of((5,)).classes == (5,)
    assert block_of((-3, -2)).classes == (-3, -2)


SUSPECT = SuspectedLabel(path="1.jpg", file="d/1.jpg", row=None, label="a", suggested="b", probability=0.1,
                         suggested_probability=0.9)  # fmt: skip
DOUBTS = SuspectedLabels(samples=99, classes=2, folds=10, model="m", accuracy_ratio=0.9, majority_ratio=0.5)


def test_suspected_labels():
    assert judged(SuspectedLabelError, DOUBTS) == []
    assert isinstance(judged(SuspectedLabelError, replace(DOUBTS, reason_not_told="too few")), Skip)
    (finding,) = judged(SuspectedLabelError, replace(DOUBTS, suspects=(SUSPECT,)))
    assert "labelled a (10%), and looks like b (90%)" in finding.message
    many = judged(SuspectedLabelError, replace(DOUBTS, suspects=tuple(replace(SUSPECT, row=i) for i in range(1003))))
    assert len(many) == 1001
    assert len(many[-1].evidence["samples"]) == 3


def test_labels_from_one_explain_the_label_that_has_no_output():
    findings, _ = judge(Measurements([integers(1, 2, 3, outputs=3)]))
    names = {f.name: f for f in findings}
    assert names["label-out-of-range"].caused_by == names["labels-not-zero-based"].fingerprint


def test_thousands_of_findings_are_ranked_at_once():
    files = tuple(
        replace(FILE, path=f"{i}", rule=rule) for rule in ("corrupt-file", "non-finite-value") for i in range(4000)
    )
    findings, _ = judge(Measurements([ScanFlaws(files=files)]))
    assert [f.where.key for f in findings[:4000]] == [str(i) for i in range(4000)]
    assert len(findings) == 8000
