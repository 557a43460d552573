import math
from dataclasses import replace

import pytest
from rule_sections import judged

from dltool.core.finding import Severity
from dltool.core.measured.scan import FINDINGS_A_RULE
from dltool.core.measured.scan_likeness import (
    Duplicates,
    EqualRowGroup,
    EqualRows,
    LikeGroup,
    LikeSample,
    NearDuplicates,
    RepeatingTable,
    SharedRows,
    SharedRowsPair,
)
from dltool.core.measurements import Measurements
from dltool.rules.base import Skip
from dltool.rules.data.copies import listed
from dltool.rules.data.duplicate_sample import DuplicateSample
from dltool.rules.data.split_leakage import SplitLeakage
from dltool.rules.select import judge

NO_COPIES = Duplicates(samples=1000, groups=())
NEAR = NearDuplicates(samples=1000, left_out=0, radius_bits=6, groups=())
PAIR = SharedRowsPair(
    path="test.csv",
    file="/d/test.csv",
    split="test",
    other="train.csv",
    other_split="train",
    table_rows=100,
    other_rows=400,
    shared=5,
    expected=0.75,
    spread_bits=20.0,
    rows=(3, 7, 8, 11, 90),
)
TABLE = RepeatingTable(
    path="a.csv",
    file="/d/a.csv",
    split=None,
    rows=150,
    repeated=2,
    spread_bits=21.0,
    groups=(EqualRowGroup(rows=(4, 9), count=2),),
)


def group(*samples, kind="same-bytes", bits=0):
    """``name``, ``name:label`` or ``name:label@split``."""
    read = []
    for sample in samples:
        rest, _, split = sample.partition("@")
        name, _, label = rest.partition(":")
        read.append(LikeSample(path=name, label=label or None, split=split or None))
    return LikeGroup(kind=kind, samples=tuple(read), file=f"/d/{read[0].path}", bits=bits)


def exact(*groups, samples=1000):
    return Duplicates(samples=samples, groups=groups)


def paths(finding):
    return [sample["path"] for sample in finding.evidence["samples"]]


@pytest.mark.parametrize("rule", [DuplicateSample, SplitLeakage])
def test_nothing_measured_nothing_found_and_only_then_passed(rule):
    assert isinstance(judged(rule), Skip)
    assert (
        judged(rule, NO_COPIES, NEAR, EqualRows(tables=2, repeating=()), SharedRows(tables=2, kept_ratio=1, pairs=())) == []
    )


def test_copies_within_a_split_are_a_warning_that_names_them_all():
    (finding,) = judged(DuplicateSample, exact(group("a.jpg@train", "b.jpg@train")))
    assert finding.severity is Severity.WARNING
    assert finding.message == "a.jpg and b.jpg are the same file"
    assert (finding.where.file, finding.where.key) == ("/d/a.jpg", "a.jpg")
    assert paths(finding) == ["a.jpg", "b.jpg"]
    assert judged(SplitLeakage, exact(group("a.jpg@train", "b.jpg@train"))) == []


def test_copies_across_splits_are_an_error_and_told_once():
    found = exact(group("train/a.jpg:cat@train", "val/b.jpg:dog@val", "c.jpg", kind="same-content"))
    (finding,) = judged(SplitLeakage, found)
    assert finding.severity is Severity.ERROR
    assert finding.message == (
        "train and val share the same content: train/a.jpg, val/b.jpg and c.jpg, under 2 labels: cat, dog"
    )
    assert finding.evidence["splits"] == ("train", "val")
    assert judged(DuplicateSample, found) == []


def test_one_content_under_two_labels():
    (finding,) = judged(DuplicateSample, exact(group("a.jpg:cat", "b.jpg:dog", "c.jpg:cat", kind="same-content")))
    assert (finding.evidence["kind"], finding.severity) == ("two-labels", Severity.WARNING)
    assert finding.message == "a.jpg, b.jpg and c.jpg have the same content, under 2 labels: cat, dog"


@pytest.mark.parametrize(
    ("names", "labels", "files", "kind", "severity"),
    [
        (10, 2, 1001, "placeholder", Severity.WARNING),
        (10, 2, 1000, "placeholder", Severity.ERROR),
        (9, 2, 100, "two-labels", Severity.WARNING),
        (40, 1, 100, "copies", Severity.WARNING),  # a class filled up with copies, on purpose
    ],
)
def test_a_placeholder_stands_under_many_names_and_several_labels(names, labels, files, kind, severity):
    (finding,) = judged(DuplicateSample, exact(group(*(f"{i}.jpg:{i % labels}" for i in range(names))), samples=files))
    assert (finding.evidence["kind"], finding.severity, len(paths(finding))) == (kind, severity, names)


def test_a_placeholder_in_two_splits_is_both():
    found = exact(group(*(f"{i}.jpg:{i % 3}@{('train', 'val')[i % 2]}" for i in range(12))))
    assert judged(DuplicateSample, found)[0].evidence["kind"] == "placeholder"
    assert judged(SplitLeakage, found)[0].severity is Severity.ERROR


def test_look_alikes_are_worth_knowing_and_grave_where_labels_or_splits_differ():
    same = group("a.jpg:cat", "b.jpg:cat", kind="similar", bits=3)
    labels = group("a.jpg:cat", "b.jpg:dog", kind="similar", bits=3)
    splits = group("a.jpg@train", "b.jpg@test", kind="similar", bits=3)
    near = [replace(NEAR, groups=(each,)) for each in (same, labels, splits)]
    assert [f.severity for f in judged(DuplicateSample, NO_COPIES, near[0])] == [Severity.INFO]
    assert [f.severity for f in judged(DuplicateSample, NO_COPIES, near[1])] == [Severity.WARNING]
    assert judged(DuplicateSample, NO_COPIES, near[2]) == []
    (leak,) = judged(SplitLeakage, NO_COPIES, near[2])
    assert leak.severity is Severity.WARNING
    assert leak.message == "train and test share look-alikes (3 of 64 bits differ): a.jpg and b.jpg"
    assert leak.fingerprint != judged(SplitLeakage, exact(group("a.jpg@train", "b.jpg@test")))[0].fingerprint


@pytest.mark.parametrize(("alike", "told"), [(0, 0), (99, 0), (100, 1), (1000, 1)])
def test_a_crowd_of_look_alikes_is_one_finding(alike, told):
    found = judged(DuplicateSample, NO_COPIES, replace(NEAR, alike=alike))
    assert [f.severity for f in found] == [Severity.INFO] * told
    assert all("samples" not in f.evidence for f in found)


def test_a_crowd_across_splits_is_one_finding():
    (finding,) = judged(SplitLeakage, NO_COPIES, replace(NEAR, alike=500, alike_across_splits=40))
    assert finding.severity is Severity.INFO
    assert finding.message.startswith("40 of 1,000 pictures")
    assert judged(DuplicateSample, NO_COPIES, replace(NEAR, samples=0)) == []


@pytest.mark.parametrize(
    ("spread_bits", "severity"),
    [
        (21.0, Severity.INFO),  # iris: 35, 23, 43, 22 and 3 values
        (None, Severity.INFO),
        (3 * math.log2(150 * 149 / 2) - 1e-9, Severity.INFO),
        (3 * math.log2(150 * 149 / 2), Severity.WARNING),
        (200.0, Severity.WARNING),
    ],
)
def test_equal_rows_matter_where_chance_cannot_make_them(spread_bits, severity):
    (finding,) = judged(
        DuplicateSample, NO_COPIES, EqualRows(tables=1, repeating=(replace(TABLE, spread_bits=spread_bits),))
    )
    assert finding.severity is severity
    assert finding.message == "2 of the 150 rows of a.csv equal another"
    assert finding.evidence["samples"] == [{"path": "a.csv", "row": 4}, {"path": "a.csv", "row": 9}]
    assert finding.where.samples == (4, 9)


def test_equal_rows_with_two_labels():
    groups = (*TABLE.groups, EqualRowGroup(rows=(2, 70), count=2, labels=("0", "1")))
    (finding,) = judged(DuplicateSample, NO_COPIES, EqualRows(tables=1, repeating=(replace(TABLE, groups=groups),)))
    assert finding.evidence["kind"] == "two-labels"
    assert finding.where.samples == (2, 70)
    assert "of which 1 group differs in the label" in finding.message


@pytest.mark.parametrize(
    ("shared", "spread_bits", "severity"),
    [
        (1, 20.0, Severity.INFO),  # one row of iris has a twin, wherever the split puts it
        (3, 20.0, Severity.INFO),  # 0.75 + 3 · sqrt(0.75) = 3.35
        (4, 20.0, Severity.ERROR),
        (1, 3 * math.log2(100 * 400), Severity.ERROR),
        (1, None, Severity.INFO),
    ],
)
def test_rows_in_two_splits_are_leakage_unless_chance_puts_them_there(shared, spread_bits, severity):
    pair = replace(PAIR, shared=shared, spread_bits=spread_bits)
    (finding,) = judged(SplitLeakage, NO_COPIES, SharedRows(tables=2, kept_ratio=1.0, pairs=(pair,)))
    assert finding.severity is severity
    assert judged(DuplicateSample, NO_COPIES, SharedRows(tables=2, kept_ratio=1.0, pairs=(pair,))) == []


def test_rows_in_two_tables_of_one_split_or_of_none():
    for splits in ({"split": "train"}, {"split": None}, {"split": None, "other_split": None}):
        shared = SharedRows(tables=2, kept_ratio=1.0, pairs=(replace(PAIR, **splits),))
        assert [f.severity for f in judged(DuplicateSample, NO_COPIES, shared)] == [Severity.WARNING]
        assert judged(SplitLeakage, NO_COPIES, shared) == []


def test_expectations_that_are_no_number_do_not_hide_anything():
    pair = replace(PAIR, expected=math.nan)
    assert judged(SplitLeakage, NO_COPIES, SharedRows(tables=2, kept_ratio=1.0, pairs=(pair,)))[0].severity is Severity.ERROR
    pair = replace(PAIR, expected=math.inf)
    assert judged(SplitLeakage, NO_COPIES, SharedRows(tables=2, kept_ratio=1.0, pairs=(pair,)))[0].severity is Severity.INFO


def test_beyond_a_thousand_the_rest_is_one_finding_with_all_members():
    many = exact(*(group(f"{i}.jpg", f"{i}b.jpg") for i in range(FINDINGS_A_RULE + 5)), samples=10**6)
    found = judged(DuplicateSample, many)
    assert len(found) == FINDINGS_A_RULE + 1
    assert found[-1].message == "5 more groups, warning: the first is of 1000.jpg and 1000b.jpg"
    assert len(paths(found[-1])) == 10
    assert len({f.fingerprint for f in found}) == len(found)


def test_thresholds_can_be_set_and_findings_are_ranked():
    found = exact(group("a:1", "b:2", "c:1"), group("d@train", "e@val"))
    findings, checks = judge(Measurements([found]), select=["DAT"], thresholds={"duplicate-sample.placeholder": 3})
    assert [f.rule for f in findings] == ["DAT114", "DAT113"]
    assert findings[1].evidence["kind"] == "placeholder"
    assert {c.rule: c.outcome for c in checks}["DAT113"] == "failed"


@pytest.mark.parametrize(
    ("names", "told"),
    [(["a"], "a"), (["a", "b"], "a and b"), (list("abcd"), "a, b, c and d"), (list("abcdefg"), "a, b, c and 4 more")],
)
def test_lists_are_cut(names, told):
    assert listed(names) == told
