import math
import random
import statistics

import pytest
from gathered_entries import column, entry, flaw, gathered, picture, table
from hypothesis import given
from hypothesis import strategies as st

from dltool.core.file_names import printable
from dltool.core.finding import Severity
from dltool.core.measured.scan import Sample, SamplesScanned, ScannedFormats
from dltool.core.measured.scan_classes import ClassTable
from dltool.core.measured.scan_flaws import ScanFlaws
from dltool.core.measured.scan_pictures import ImageSet
from dltool.core.measured.scan_tables import Extremes, FeatureTable
from dltool.scanning.gather.names import holds_masks
from dltool.scanning.record import Extreme


def test_formats_are_counted_and_unknown_files_named_but_are_no_samples():
    spoilt = entry("a/zero.jpg", format=None, flaws=(flaw(kind="empty"),))
    measured = gathered([picture("a/1.jpg"), spoilt, table("t.csv", column("x", 7)), entry("README.md", format=None)])
    assert measured[SamplesScanned].samples == 1 + 1 + 7
    section = measured[ScannedFormats]
    assert [(f.format, f.files, f.samples, f.flawed_files) for f in section.formats] == [
        ("csv", 1, 7, 0),
        ("jpeg", 1, 1, 0),
        ("unrecognised", 1, 1, 1),
    ]
    assert [(u.suffix, u.files, u.paths) for u in section.unknown] == [(".md", 1, ("README.md",))]


def test_flaws_of_a_file_are_one_record_a_rule_and_of_columns_one_each():
    nan = [flaw("non-finite-value", "nan", row=r, rows=(r,), column=c) for r, c in ((3, "x"), (5, "y"), (1, "x"))]
    torn = [flaw(kind="page", column="x"), flaw(kind="footer", severity=Severity.WARNING)]
    files = gathered([entry("t.parquet", format="parquet", flaws=(*nan, *torn))])[ScanFlaws].files
    assert [(f.rule, f.column, len(f.flaws)) for f in files] == [
        ("non-finite-value", "x", 2),
        ("non-finite-value", "y", 1),
        ("corrupt-file", None, 2),
    ]
    assert [s.row for s in files[0].samples] == [1, 3]
    assert files[2].samples == (Sample(path="t.parquet"),)
    assert files[2].severity is Severity.ERROR


def test_beyond_a_thousand_flawed_files_all_are_still_members():
    entries = [entry(f"{i}.jpg", flaws=(flaw(severity=Severity.WARNING if i % 2 else Severity.ERROR),)) for i in range(1005)]
    section = gathered(entries)[ScanFlaws]
    assert len(section.files) == 1000
    assert [(m.severity, m.files, [s.path for s in m.samples]) for m in section.more] == [
        (Severity.ERROR, 3, ["1000.jpg", "1002.jpg", "1004.jpg"]),
        (Severity.WARNING, 2, ["1001.jpg", "1003.jpg"]),
    ]


@given(st.lists(st.lists(st.floats(-100, 100), min_size=1, max_size=6), min_size=1, max_size=5))
def test_columns_pool_over_files(parts):
    tables = [
        table(
            f"{i}.csv",
            column(
                "x",
                len(part),
                minimum=min(part),
                maximum=max(part),
                mean=statistics.fmean(part),
                std=statistics.pstdev(part),
            ),
        )
        for i, part in enumerate(parts)
    ]
    (feature,) = gathered(tables)[FeatureTable].features
    together = [value for part in parts for value in part]
    assert (feature.rows, feature.minimum, feature.maximum) == (len(together), min(together), max(together))
    assert feature.mean == pytest.approx(statistics.fmean(together), abs=1e-9)
    assert feature.std == pytest.approx(statistics.pstdev(together), abs=1e-6)
    assert feature.constant == (min(together) == max(together))


def test_what_is_constant_and_what_cannot_be_told():
    words = column("w", dtype="text", distinct=1, minimum=None, maximum=None, mean=None, std=None)
    holey = column("h", minimum=1.0, maximum=1.0, missing=1)
    one = {f.name: f.constant for f in gathered([table("a.csv", words, holey)])[FeatureTable].features}
    assert one == {"w": True, "h": False}
    two = gathered([table("a.csv", words), table("b.csv", words)])[FeatureTable].features
    assert two[0].constant is None


def test_weights_of_a_checkpoint_are_no_features():
    assert FeatureTable not in gathered([table("model.pt", column("bias"), format_name="checkpoint")])


def test_the_farthest_columns_are_kept_in_the_order_of_the_scan():
    def far(score):
        return (Extreme(row=1, value=score, score=score),)

    columns = [column(f"c{i}", extremes=far(20.0 + i)) for i in range(1001)] + [column("nan", extremes=far(math.nan))]
    section = gathered([table("t.csv", *columns, column("plain"))])[Extremes]
    assert section.columns_seen == 1003
    assert len(section.columns) == 1000
    assert section.columns[0].column == "c2"
    assert section.columns[-1].column == "nan"


def labelled(pairs, **more):
    return [
        picture(f"{split}/{label}/{i}.jpg", label=label, split=split or None)
        for (label, split), number in pairs.items()
        for i in range(number)
    ]


def test_classes_are_counted_by_split_and_small_ones_have_their_samples_named():
    section = gathered(labelled({("cat", "train"): 30, ("dog", "train"): 2, ("dog", "val"): 1, ("ant", "val"): 3}))[
        ClassTable
    ]
    assert [(c.label, c.samples, c.splits) for c in section.classes] == [
        ("ant", 3, {"train": 0, "val": 3}),
        ("cat", 30, {"train": 30, "val": 0}),
        ("dog", 3, {"train": 2, "val": 1}),
    ]
    assert [len(c.examples) for c in section.classes] == [3, 0, 3]
    assert (section.kind, section.source, section.samples) == ("names", "folders", 36)


def test_target_columns_are_counted_and_numbers_come_by_value():
    counts = (("10", 5), ("2", 7), ("nan", 1))
    section = gathered([table("t.csv", column("y", 13), target="y", labels=counts)])[ClassTable]
    assert (section.kind, section.source, section.column) == ("integers", "column", "y")
    assert [c.label for c in section.classes] == ["2", "10"]
    assert [c.label for c in section.not_numbers] == ["nan"]


@pytest.mark.parametrize(
    ("labels", "differ"),
    [
        ([str(i) for i in range(20)], False),  # few labels may be classes however few samples
        ([str(i) for i in range(21)], True),  # years, counts
        ([str(i % 21) for i in range(420)], False),
        ([f"{i}.5" for i in range(21)], True),
        ([f"{i % 4}.5" for i in range(40)], False),  # grades
        ([f"name {i % 30}" for i in range(60)], False),
        ([f"text {i}" for i in range(60)], True),
    ],
)
def test_labels_that_nearly_all_differ_are_no_classes(labels, differ):
    entries = [picture(f"{i}.jpg", label=label) for i, label in enumerate(labels)]
    section = gathered(entries, label_source="manifest")[ClassTable]
    assert section.nearly_all_differ == differ
    assert bool(section.classes) != differ


def test_every_folder_is_a_class_however_many():
    section = gathered([picture(f"{i}/x.jpg", label=str(i)) for i in range(50)])[ClassTable]
    assert len(section.classes) == 50


def test_pictures_that_differ_from_nine_in_ten_are_named():
    entries = [picture(f"{i}.jpg") for i in range(18)] + [picture("c.jpg", mode="CMYK"), picture("s.jpg", width=65)]
    section = gathered(entries)[ImageSet]
    assert {(o.oddity, o.value, o.usual, o.paths) for o in section.odd if o.usual and not o.scores} == {
        ("mode", "CMYK", "RGB", ("c.jpg",)),
        ("size", "65x48", "64x48", ("s.jpg",)),
    }
    mixed = gathered([*entries, picture("g.jpg", mode="L"), picture("h.jpg", mode="L")])[ImageSet]
    assert not any(o.oddity == "mode" for o in mixed.odd)  # 19 of 22 agree
    assert list(mixed.modes.items()) == [("RGB", 19), ("L", 2), ("CMYK", 1)]


def test_single_oddities_of_pictures():
    odd = gathered([picture("r.jpg", orientation=6), picture("a.gif", frames=3), picture("p.png", width=1, height=1),
                    picture("line.png", width=1)])[ImageSet]  # fmt: skip
    assert {o.oddity: o.paths for o in odd.odd} == {
        "rotated": ("r.jpg",),
        "animated": ("a.gif",),
        "one-pixel": ("p.png",),
        "one-pixel-side": ("line.png",),
    }
    assert odd.animated == 1
    assert odd.orientations == {"1": 3, "6": 1}


def test_constant_pictures_are_known_by_the_span_of_their_channels():
    red = picture("red.png", span=0.0)
    unknown = picture("gray.png", span=None, minimum=0.5, maximum=0.5)
    lively = picture("plain.png", span=None)
    quick = picture("quick.png", span=None, mean=None, std=None, minimum=None, maximum=None)
    pixel = picture("pixel.png", width=1, height=1, span=0.0)
    mask = picture("masks/1.png", span=0.0)
    section = gathered([red, unknown, lively, quick, pixel, mask])[ImageSet]
    assert [(c.path, c.mask) for c in section.constant] == [("red.png", False), ("gray.png", False), ("masks/1.png", True)]


def test_the_ends_of_brightness_agree_with_the_plain_computation():
    draw = random.Random(0)
    means = [draw.gauss(0.5, 0.02) for _ in range(300)] + [0.95]
    section = gathered([picture(f"{i}.jpg", mean=mean) for i, mean in enumerate(means)])[ImageSet]
    median = statistics.median(means)
    spread = 1.482602 * statistics.median(abs(m - median) for m in means)
    assert section.brightness.robust_std == pytest.approx(spread, rel=1e-4)
    (ends,) = [o for o in section.odd if o.oddity == "dark-or-light"]
    assert ends.paths[0] == "300.jpg"
    assert ends.scores[0] == pytest.approx((0.95 - median) / spread, rel=1e-3)
    assert len(ends.paths) == 16
    assert [abs(s) for s in ends.scores] == sorted((abs(s) for s in ends.scores), reverse=True)
    assert not any(o.oddity == "contrast" for o in section.odd)  # all the same: no spread to measure by


def test_names_that_no_encoding_holds_are_written_out():
    assert printable("a/\udcff.jpg").encode() == rb"a/\udcff.jpg"
    assert gathered([picture("\udcff.jpg", span=0.0)])[ImageSet].constant[0].path == "\\udcff.jpg"


@pytest.mark.parametrize(
    ("name", "mask"),
    [("gt/1.png", True), ("a/labels/1.png", True), ("unlabelled/1.png", False), ("cat/1.png", False), ("1_mask.png", True)],
)
def test_masks_by_name(name, mask):
    assert holds_masks(name) is mask


def test_nothing_scanned_gives_empty_sections_that_say_so():
    measured = gathered([])
    assert measured[SamplesScanned].samples == 0
    assert measured[ScanFlaws].files == ()
    assert ImageSet not in measured
    assert ClassTable not in measured
