import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from likeness_entries import gathered, picture, sections, table

from dltool.core.finding import Severity
from dltool.core.measured.scan_likeness import Duplicates, EqualRows, NearDuplicates, SharedRows, Strangers
from dltool.core.measurements import Measurements
from dltool.scanning.gather import near, tables
from dltool.scanning.gather.roster import number
from dltool.scanning.record import Flaw, RowGroup

RNG = np.random.default_rng(0)
UNLIKE = [int(h) for h in RNG.integers(0, 2**64, 400, dtype=np.uint64)]


def members(groups):
    return [tuple(sample.path for sample in group.samples) for group in groups]


def hashed(*numbers):
    return np.array(numbers, dtype="<u8").tobytes()


def broken(rule="corrupt-file", severity=Severity.ERROR):
    return (Flaw(rule=rule, kind="k", severity=severity, detail="d"),)


def test_equal_bytes_and_equal_content_are_groups_in_the_order_of_the_scan():
    entries = [
        picture("z.png", content="1", format="png"),
        picture("b.jpg", content="2", digest="x"),
        picture("a.jpg", content="2", digest="x"),
        picture("c.jpg", content="1"),
        picture("d.jpg"),
    ]
    found = gathered(entries, Duplicates)
    assert found.samples == 5
    assert [(group.kind, group.file) for group in found.groups] == [
        ("same-content", "/data/z.png"),
        ("same-bytes", "/data/b.jpg"),
    ]
    assert members(found.groups) == [("z.png", "c.jpg"), ("b.jpg", "a.jpg")]


@given(contents=st.lists(st.integers(0, 12), max_size=40))
@settings(max_examples=60, deadline=None)
def test_groups_of_equal_content_against_a_dictionary(contents):
    entries = [picture(f"{i}.jpg", content=f"xxh3:{content:032x}") for i, content in enumerate(contents)]
    expected = {}
    for i, content in enumerate(contents):
        expected.setdefault(content, []).append(f"{i}.jpg")
    assert members(gathered(entries, Duplicates).groups) == [tuple(g) for g in expected.values() if len(g) > 1]


@pytest.mark.parametrize(
    "entries",
    [
        [picture(f"{i}.jpg", content="page", span=0.0) for i in range(5)],
        [picture(f"masks/{i}.png", content="same") for i in range(5)],
        [picture(f"{i}_mask.png", content="same") for i in "abcde"],
        [picture(f"{i}.jpg", content="html", flaws=broken()) for i in range(5)],
        [table(f"{i}.npy", 1, columns=1, content="one label") for i in range(5)],
        [picture("a.jpg", content="1", label=label) for label in ("cat", "dog", "cat")],
    ],
    ids=[
        "blank",
        "mask folder",
        "mask name",
        "damaged",
        "labels as arrays of one",
        "one file listed for each of its labels",
    ],
)
def test_what_is_equal_for_good_reason_is_no_duplicate(entries):
    assert gathered(entries, Duplicates).groups == ()


def test_a_file_listed_in_two_splits_is_in_both():
    entries = [picture("a.jpg", split="train"), picture("a.jpg", split="test"), picture("a.jpg", split="test")]
    (group,) = gathered(entries, Duplicates).groups
    assert [sample.split for sample in group.samples] == ["train", "test"]


def test_files_of_warnings_and_of_other_suffixes_are_compared():
    flaws = broken("format-mismatch"), broken("corrupt-file", Severity.WARNING)
    entries = [picture(f"{i}.jpg", content="hijack", flaws=flaw) for i, flaw in enumerate(flaws)]
    assert members(gathered(entries, Duplicates).groups) == [("0.jpg", "1.jpg")]


def test_names_and_paths_that_are_no_utf8_can_be_written():
    entries = [picture("caf\udce9/1.jpg", content="1"), picture("2.jpg", content="1")]
    (group,) = gathered(entries, Duplicates).groups
    assert group.samples[0].path == "caf\\udce9/1.jpg"
    assert group.file == "/data/caf\\udce9/1.jpg"


def test_hashes_of_any_spelling_have_a_number():
    assert number("xxh3:" + "0" * 24 + "000000ff") == 255
    assert number("rows:5:00000000000000ff") != number("rows:6:zz")
    assert number("no hex at all") == number("no hex at all") != number("")


def test_look_alikes_are_grouped_and_cost_nothing_else():
    unlike = [picture(f"{i}.jpg", similarity=h) for i, h in enumerate(UNLIKE)]
    copies = [picture("copy.png", similarity=UNLIKE[7] ^ 0b101), picture("again.jpg", similarity=UNLIKE[7] ^ 0b1)]
    found = gathered([*unlike, *copies], NearDuplicates)
    assert (found.samples, found.left_out, found.radius_bits, found.alike) == (402, 0, 10, 0)
    assert members(found.groups) == [("7.jpg", "copy.png", "again.jpg")]
    assert found.groups[0].bits == 2
    assert found.groups[0].kind == "similar"


def test_equal_hashes_of_other_content_are_look_alikes_and_equal_content_is_not():
    unlike = [picture(f"{i}.jpg", similarity=h) for i, h in enumerate(UNLIKE)]
    same = [picture("s.jpg", similarity=UNLIKE[3], content="c 3.jpg"), picture("t.jpg", similarity=UNLIKE[5])]
    assert members(gathered([*unlike, *same], NearDuplicates).groups) == [("5.jpg", "t.jpg")]


@pytest.mark.parametrize(
    "spoil",
    [{"std": 0.019}, {"std": 0.0}, {"size": (28, 28)}, {"size": (500, 31)}],
    ids=["flat", "constant", "digits", "strip"],
)
def test_pictures_that_a_hash_cannot_tell_apart_are_left_out(spoil):
    entries = [picture(f"{i}.jpg", similarity=5, **spoil) for i in range(4)]
    assert all(not isinstance(section, NearDuplicates) for section in sections(entries))
    (found,) = (s for s in sections([*entries, picture("x.jpg", similarity=9)]) if isinstance(s, NearDuplicates))
    assert (found.samples, found.left_out, found.groups) == (1, 4, ())


def test_frames_of_videos_are_counted_not_told():
    """Each frame two bits from the next, twenty in a scene."""
    frames = []
    for scene, start in enumerate(UNLIKE[:20]):
        for frame in range(20):
            value = start ^ ((1 << 2 * frame) - 1)
            split = "train" if frame % 5 else "val"
            frames.append(picture(f"{scene}/{frame}.jpg", similarity=value, split=split))
    found = gathered(frames, NearDuplicates)
    assert found.groups == ()
    assert found.alike == 400
    assert found.alike_across_splits > 300


def test_still_scenes_are_large_groups_told_only_where_they_are_few():
    def still(count):
        return [picture(f"s{s}/{i}.jpg", similarity=UNLIKE[s] ^ (1 << i % 2)) for s in range(count) for i in range(8)]

    rest = [picture(f"{i}.jpg", similarity=h) for i, h in enumerate(UNLIKE[100:])]
    assert [len(group.samples) for group in gathered([*rest, *still(2)], NearDuplicates).groups] == [8, 8]
    many = gathered([*rest, *still(60)], NearDuplicates)
    assert (len(many.groups), many.alike) == (0, 480)


def test_pairs_of_copies_are_told_however_many_there_are():
    twice = [picture(f"{i}{c}.jpg", similarity=h ^ (c == "b")) for i, h in enumerate(UNLIKE) for c in "ab"]
    assert len(gathered(twice, NearDuplicates).groups) == 400


def test_hashes_all_alike_end_in_a_shorter_search(monkeypatch):
    crowd = [picture(f"{i}.jpg", similarity=i) for i in range(512)]
    monkeypatch.setattr("dltool.scanning.gather.hamming.MOST_PAIRS", 3000)
    found = gathered(crowd, NearDuplicates)
    assert (found.radius_bits, found.groups, found.alike) == (1, (), 512)
    monkeypatch.setattr("dltool.scanning.gather.hamming.MOST_PAIRS", 10)
    assert gathered(crowd, NearDuplicates).radius_bits == 0


def test_sections_do_not_depend_on_what_was_met_first():
    entries = [picture(f"{i}.jpg", similarity=h, content=f"c{i}") for i, h in enumerate(UNLIKE)]
    entries += [picture(f"copy{i}.jpg", similarity=UNLIKE[i] ^ 1) for i in range(50)]
    there = {frozenset(group) for group in members(gathered(entries, NearDuplicates).groups)}
    back = {frozenset(group) for group in members(gathered(entries[::-1], NearDuplicates).groups)}
    assert there == back
    assert len(there) == 50


def test_one_stranger_among_uniform_pictures():
    uniform = [picture(f"cat/{i}.jpg") for i in range(50)]
    odd = picture("cat/x.jpg", encoder="q75 Adobe", size=(640, 480), format="png")
    (stranger,) = gathered([*uniform, odd], Strangers).files
    assert (stranger.path, stranger.file, stranger.folder) == ("cat/x.jpg", "/data/cat/x.jpg", "cat")
    assert (stranger.neighbours, stranger.strangers) == (50, 1)
    told = [(trait.name, trait.own, trait.usual) for trait in stranger.traits]
    assert told == [("format", "png", "jpeg"), ("encoder", "q75 Adobe", "q90"), ("size", "640x480", "224x224")]
    assert gathered([*uniform[1:], odd], Strangers).files == ()


@pytest.mark.parametrize(
    "others",
    [
        [picture(f"cat/x{i}.jpg", encoder="other") for i in range(4)],
        [picture(f"cat/x{i}.jpg", encoder=f"other {i}") for i in range(4)],
        [picture("cat/x.jpg", encoder="other", flaws=broken("format-mismatch"))],
        [picture("dog/x.jpg", encoder="other")],
    ],
    ids=["a few of another make", "a few of many makes", "accused already", "alone in its folder"],
)
def test_mixed_folders_are_no_surprise(others):
    assert gathered([*(picture(f"cat/{i}.jpg") for i in range(200)), *others], Strangers).files == ()


def test_traits_that_vary_tell_nothing_and_others_still_do():
    sizes = [picture(f"{i}.jpg", size=(200 + i, 300), encoder=f"e{i}") for i in range(80)]
    assert gathered([*sizes, picture("x.jpg", size=(1, 1))], Strangers).files == ()
    (stranger,) = gathered([*sizes, picture("x.gif", format="gif")], Strangers).files
    assert [trait.name for trait in stranger.traits] == ["format"]


def test_small_folders_are_neighbours_of_each_other():
    many = [picture(f"{c}/{i}.jpg", label=str(c)) for c in range(20) for i in range(10)]
    (stranger,) = gathered([*many, picture("3/x.jpg", encoder="other")], Strangers).files
    assert (stranger.folder, stranger.neighbours, stranger.severity) == ("", 200, Severity.INFO)


@pytest.mark.parametrize(
    ("name", "odd", "severity"),
    [
        ("cat.61.jpg", {"encoder": "other", "size": (1, 2)}, Severity.WARNING),
        ("cat.61.png", {"format": "png", "encoder": "other", "size": (1, 2)}, Severity.WARNING),
        ("logo.png", {"format": "png", "encoder": "other", "size": (1, 2)}, Severity.WARNING),
        ("logo.jpg", {"encoder": "other", "size": (1, 2)}, Severity.INFO),
        ("cat.61.png", {"format": "png", "encoder": "other"}, Severity.INFO),
        ("cat.61.png", {"format": "png"}, Severity.INFO),
        ("cat.61.jpg", {"encoder": "other", "mode": "L"}, Severity.INFO),
        ("cat.61.jpg", {"size": (300, 224)}, Severity.INFO),
    ],
)
def test_a_stranger_is_as_grave_as_it_is_strange(name, odd, severity):
    (stranger,) = gathered([*(picture(f"cat.{i}.jpg") for i in range(60)), picture(name, **odd)], Strangers).files
    assert stranger.severity is severity


@pytest.mark.parametrize(
    ("usual", "own", "in_series"),
    [
        ("n01440764_{}.JPEG", "n01440764_10026.JPEG", True),
        ("{:032x}.jpg", "00d41d8cd98f00b204e9800998ecf842.jpg", True),
        ("knight-attack-{}.png", "knight.png", False),
        ("IMG_{}.jpg", "IMG_3_copy.jpg", False),
    ],
)
def test_a_name_of_the_series_of_others(usual, own, in_series):
    others = [picture(f"a/{usual.format(i)}") for i in range(60)]
    (stranger,) = gathered([*others, picture(f"a/{own}", encoder="other")], Strangers).files
    assert stranger.in_series is in_series


def test_rows_in_two_splits_are_named_where_hashes_come_in_the_order_of_rows():
    train = table("train.csv", 6, hashes=hashed(9, 3, 5, 1, 8, 2), split="train")
    test = table("test.csv", 4, hashes=hashed(40, 8, 30, 3), split="test")
    (pair,) = gathered([train, test], SharedRows).pairs
    assert (pair.path, pair.split, pair.other, pair.other_split) == ("test.csv", "test", "train.csv", "train")
    assert (pair.shared, pair.rows, pair.table_rows, pair.other_rows) == (2, (1, 3), 4, 6)
    assert pair.rows_of_other == (1, 4)
    assert pair.expected == pytest.approx(4 * 3 / 6)
    assert gathered([test, train], SharedRows).pairs == (pair,)


def test_only_the_number_is_known_where_hashes_are_sorted():
    train = table("train.csv", 6, hashes=hashed(1, 2, 3, 5, 8, 9), split="train")
    test = table("test.csv", 9, hashes=hashed(3, 8, 30, 40), split="test")
    (pair,) = gathered([train, test], SharedRows).pairs
    assert (pair.shared, pair.rows) == (2, ())


def test_splits_come_before_shards():
    shards = [table(f"train-{i}.csv", 3, hashes=hashed(7, 100 + i, 50 + i), split="train") for i in range(3)]
    test = table("test.csv", 2, hashes=hashed(7, 1), split="test")
    pairs = gathered([*shards, test], SharedRows).pairs
    assert [(pair.path, pair.other) for pair in pairs] == [("test.csv", "train-0.csv")]


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.lists(st.integers(0, 30), min_size=2, max_size=12)), max_size=5)
)
@settings(max_examples=80, deadline=None)
def test_a_row_in_two_tables_is_seen_and_no_other(contents):
    entries = [table(f"{i}.csv", len(rows), hashes=hashed(*rows), split=split) for i, (split, rows) in enumerate(contents)]
    found = [s for s in sections(entries) if isinstance(s, SharedRows)]
    pairs = found[0].pairs if found else ()
    seen = {frozenset((pair.path, pair.other)) for pair in pairs}
    expected = {
        frozenset((f"{i}.csv", f"{j}.csv"))
        for i in range(len(contents))
        for j in range(i)
        if set(contents[i][1]) & set(contents[j][1])
    }
    assert seen <= expected
    assert bool(seen) == bool(expected)
    across = {pair for pair in expected if len({contents[int(name[:-4])][0] for name in pair}) > 1}
    assert bool({pair for pair in seen if pair in across}) == bool(across)


def test_many_rows_are_thinned_out_the_same_way_in_every_table(monkeypatch):
    monkeypatch.setattr(tables, "MOST_HASHES", 4000)
    rng = np.random.default_rng(0)
    train, fresh = rng.integers(0, 2**64, 20_000, dtype=np.uint64), rng.integers(0, 2**64, 9_000, dtype=np.uint64)
    test = rng.permutation(np.r_[fresh, train[:1000]])
    entries = [
        table("train.csv", len(train), hashes=train.tobytes(), split="train"),
        table("test.csv", len(test), hashes=test.tobytes(), split="test"),
    ]
    found = gathered(entries, SharedRows)
    assert 0.1 < found.kept_ratio < 0.2
    assert found.pairs[0].shared == pytest.approx(1000, rel=0.25)
    assert set(found.pairs[0].rows) <= {int(i) for i in np.flatnonzero(np.isin(test, train))}


def test_equal_rows_of_a_table():
    groups = (RowGroup(rows=(1, 5), count=2), RowGroup(rows=(2, 3, 9), count=3, labels=("0", "1")))
    (repeating,) = gathered([table("a.csv", 20, equal=groups, distinct=16), table("b.csv", 20)], EqualRows).repeating
    assert (repeating.path, repeating.rows, repeating.repeated) == ("a.csv", 20, 5)
    assert repeating.groups[1].labels == ("0", "1")
    assert gathered([table("a.csv", 20, equal=groups, distinct=None)], EqualRows).repeating[0].spread_bits is None


@pytest.mark.parametrize("values", [2, 30, 400, 3000])
def test_the_spread_of_a_column_is_that_of_the_values_that_it_is_drawn_from(values):
    rows = 1000
    distinct = int(np.median([len(np.unique(RNG.integers(0, values, rows))) for _ in range(21)]))
    groups = (RowGroup(rows=(0, 1), count=2),)
    (one,) = gathered([table("a.csv", rows, equal=groups, distinct=distinct, columns=1)], EqualRows).repeating
    assert one.spread_bits == pytest.approx(np.log2(values), abs=0.15)
    (four,) = gathered([table("a.csv", rows, equal=groups, distinct=distinct)], EqualRows).repeating
    assert four.spread_bits == pytest.approx(4 * one.spread_bits)


def test_a_column_whose_values_all_differ_says_so_up_to_the_birthday_bound():
    groups = (RowGroup(rows=(0, 1), count=2),)
    (one,) = gathered([table("a.csv", 1000, equal=groups, distinct=1000, columns=1)], EqualRows).repeating
    assert one.spread_bits == pytest.approx(np.log2(1000**2 / 2), abs=0.1)
    (constant,) = gathered([table("a.csv", 1000, equal=groups, distinct=1, columns=1)], EqualRows).repeating
    assert constant.spread_bits == pytest.approx(0, abs=1e-3)


def test_nothing_to_compare_and_sections_survive_json():
    assert [type(section) for section in sections([])] == [Duplicates]
    entries = [picture(f"{i}.jpg", similarity=UNLIKE[i], content="same" if i < 3 else "") for i in range(60)]
    entries += [picture("odd.png", similarity=UNLIKE[9] ^ 1, format="png", split="test", label="x")]
    entries += [table("a.csv", 3, hashes=hashed(5, 3, 9)), table("b.csv", 2, hashes=hashed(9, 1))]
    entries += [table("c.csv", 4, equal=(RowGroup(rows=(0, 1), count=2),))]
    measured = Measurements(sections(entries))
    back = Measurements.from_dict(measured.to_dict(), "scan")
    assert {type(section) for section in back} == {Duplicates, NearDuplicates, Strangers, EqualRows, SharedRows}
    assert all(back[type(section)] == section for section in measured)


def test_the_limits_that_groups_are_counted_by_are_in_order():
    assert 0 < near.SOME_ALIKE_RATIO < near.MOST_ALIKE_RATIO < 1
