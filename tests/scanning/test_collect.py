import io
import os
import random
import socket
import tarfile
from pathlib import Path

import pytest

from dltool.core.errors import DataError, UserError
from dltool.scanning.collect.layout import layout_of
from dltool.scanning.collect.listing import Listing, items
from dltool.scanning.collect.target import open_scan_target
from dltool.scanning.shard import ShardChoice


def fill(folder, *names, data=b"x"):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def listing(target, **more):
    return Listing(open_scan_target(str(target)), **more)


def names(target, **more):
    return [sample.item.name for sample in listing(target, **more).samples()]


def told(target, **more):
    samples = listing(target, **more).samples()
    return {s.item.name: [flaw.kind for flaw in s.told.flaws] for s in samples if s.told is not None}


def tar(path, *members, cut=None):
    with tarfile.open(path, "w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    if cut is not None:
        path.write_bytes(path.read_bytes()[:cut])
    return path


def test_the_order_depends_on_names_alone(tmp_path):
    wanted = ["a/1", "a/b/2", "a.txt", "b", "b.c/x", "Z/y", "10", "9", "é"]
    shuffled = random.Random(0).sample(wanted, len(wanted))
    found = names(fill(tmp_path, *shuffled))
    assert found == sorted(wanted, key=lambda name: name.split("/"))
    assert [sample.order for sample in listing(tmp_path).samples()] == [tuple(name.split("/")) for name in found]


def test_numbers_follow_the_order_and_paths_open(tmp_path):
    fill(tmp_path, "b/2", "a")
    found = list(items(open_scan_target(str(tmp_path))))
    assert [(item.index, item.name) for item in found] == [(0, "a"), (1, "b/2")]
    assert [(tmp_path / item.name).samefile(item.path) for item in found] == [True, True]


def test_hidden_and_special_files_are_counted(tmp_path):
    fill(tmp_path, "a", ".DS_Store", "b/._x.jpg", ".git/config", ".git/more")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "s"))
        seen = listing(tmp_path)
        assert [sample.item.name for sample in seen.samples()] == ["a"]
    assert dict(seen.passed.counts) == {"hidden": 3, "special": 2}
    assert seen.passed.examples == {"hidden": [".DS_Store", ".git", "b/._x.jpg"], "special": ["pipe", "s"]}
    hidden = Listing(open_scan_target(str(tmp_path), hidden=True))
    assert len(list(hidden.samples())) == 5


def test_links_are_followed_but_not_in_circles(tmp_path):
    fill(tmp_path, "real/x", "y")
    (tmp_path / "again").symlink_to(tmp_path / "real")
    (tmp_path / "real/up").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to("self")
    (tmp_path / "gone").symlink_to("nowhere")
    assert names(tmp_path) == ["again/up", "again/x", "gone", "real/up", "real/x", "self", "y"]
    assert told(tmp_path) == {
        "again/up": ["link-loop"],
        "gone": ["broken-link"],
        "real/up": ["link-loop"],
        "self": ["unreadable"],
    }


def test_links_that_multiply_come_to_an_end(tmp_path):
    for at in range(12):
        (tmp_path / f"d{at}").mkdir()
        if at:
            for side in "ab":
                (tmp_path / f"d{at - 1}/{side}").symlink_to(tmp_path / f"d{at}")
    assert len(names(tmp_path)) < 5000


@pytest.mark.skipif(os.name != "posix", reason="names are bytes only there")
def test_names_that_are_no_utf8(tmp_path):
    with open(os.fsencode(tmp_path) + b"/caf\xe9.jpg", "wb") as file:  # noqa: PTH123
        file.write(b"x")
    (sample,) = listing(tmp_path).samples()
    assert sample.item.name == "caf\udce9.jpg"
    assert Path(sample.item.path).exists()


def test_a_folder_that_may_not_be_read(tmp_path, monkeypatch):
    fill(tmp_path, "a/x", "b/y")
    real = os.scandir

    def refuse(path):
        if str(path).endswith("/a"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert names(tmp_path) == ["a", "b/y"]
    assert told(tmp_path) == {"a": ["unreadable"]}


def test_a_file_that_vanishes_while_it_is_listed(tmp_path):
    fill(tmp_path, "a", "b", "c")
    samples = listing(tmp_path).samples()
    next(samples)
    (tmp_path / "b").unlink()
    assert [(s.item.name, [f.kind for f in s.told.flaws] if s.told else None) for s in samples] == [
        ("b", ["vanished"]),
        ("c", None),
    ]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["cat/1", "dog/2"], {"cat/1": ("cat", None), "dog/2": ("dog", None)}),
        (["cat/deep/1", "dog/2"], {"cat/deep/1": ("cat", None), "dog/2": ("dog", None)}),
        (
            ["train/cat/1", "train/dog/2", "val/cat/3", "README"],
            {
                "train/cat/1": ("cat", "train"),
                "train/dog/2": ("dog", "train"),
                "val/cat/3": ("cat", "val"),
                "README": (None, None),
            },
        ),
        (["train/1", "test/2"], {"train/1": (None, "train"), "test/2": (None, "test")}),
        (["cat/train/1", "dog/test/2"], {"cat/train/1": ("cat", "train"), "dog/test/2": ("dog", "test")}),
        (["images/1", "masks/1"], {"images/1": (None, None), "masks/1": (None, None)}),
        (
            ["images/train/1", "labels/val/1"],
            {"images/train/1": (None, "train"), "labels/val/1": (None, "val")},
        ),
        (["only/1"], {"only/1": (None, None)}),
        (["cat/1", "test/2"], {"cat/1": ("cat", None), "test/2": ("test", None)}),
        (["Training/a/1", "Validation/b/1"], {"Training/a/1": ("a", "train"), "Validation/b/1": ("b", "val")}),
        (["1", "2"], {"1": (None, None), "2": (None, None)}),
    ],
)
def test_what_folders_tell(tmp_path, files, expected):
    fill(tmp_path, *files)
    assert {s.item.name: (s.item.label, s.item.split) for s in listing(tmp_path).samples()} == expected


def test_a_layout_is_read_where_nothing_can_be(tmp_path):
    assert layout_of(str(tmp_path / "nowhere")).class_depth is None


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.png", ["a.png"]),
        ("**/*.png", ["a.png", "b/.h/d.png", "b/c.png", "b/e/f.png"]),
        ("b/*.png", ["b/c.png"]),
        ("b/[a-c].png", ["b/c.png"]),
        ("b/[!a-c].png", []),
        ("?.*", ["a.jpg", "a.png"]),
    ],
)
def test_globs(tmp_path, pattern, expected):
    fill(tmp_path, "a.png", "a.jpg", "b/c.png", "b/e/f.png", "b/.h/d.png")
    relative = [os.path.relpath(s.item.path, tmp_path) for s in listing(tmp_path / pattern).samples()]
    assert relative == [name for name in expected if "/." not in name]


def test_a_manifest_names_files_with_label_and_split(tmp_path):
    fill(tmp_path, "x/1.png", "x/2.png")
    (tmp_path / "list.csv").write_text("label,path,split\ncat,x/2.png,training\ndog,x/1.png,\ncat,x/3.png,odd\n")
    target = open_scan_target(str(tmp_path / "list.csv"))
    assert (target.kind, target.understood) == ("manifest", "list.csv was read as a manifest: its column 'path' names files")
    samples = list(Listing(target).samples())
    assert [(s.item.name, s.item.label, s.item.split) for s in samples] == [
        ("x/2.png", "cat", "train"),
        ("x/1.png", "dog", None),
        ("x/3.png", "cat", "odd"),
    ]
    assert [flaw.kind for flaw in samples[2].told.flaws] == ["missing"]


def test_a_jsonl_manifest_and_its_mistakes(tmp_path):
    fill(tmp_path, "1.png")
    (tmp_path / "list.jsonl").write_text('{"path": "1.png", "label": 3, "digest": "xxh3:00"}\n\nno json\n{"label": 1}\n')
    with pytest.raises(DataError) as caught:
        names(tmp_path / "list.jsonl")
    assert [problem.location.line for problem in caught.value.problems] == [3, 4]


@pytest.mark.parametrize("text", ["path,label,weight\nnowhere.png,1,2\n", "a,b\n1,2\n", "", '{"path": 3}\n'])
def test_a_table_is_no_manifest(tmp_path, text):
    path = fill(tmp_path, "t.csv", data=text.encode()) / "t.csv"
    target = open_scan_target(str(path))
    assert target.kind == "file"
    assert ("none of the first paths" in target.understood) == ("nowhere" in text)
    assert names(path) == ["t.csv"]


@pytest.mark.parametrize("text", ["path,label\nnowhere.png,1\ngone.jpg,2\n", ",Image,Class\n0,x/1.png,cat\n"])
def test_a_manifest_whose_files_are_all_gone_is_one_still(tmp_path, text):
    path = fill(tmp_path, "t.csv", data=text.encode()) / "t.csv"
    target = open_scan_target(str(path))
    assert target.kind == "manifest"
    assert "none of the first files" in target.understood
    assert {flaw.kind for sample in Listing(target).samples() for flaw in sample.told.flaws} == {"missing"}


def test_members_of_a_shard_are_samples_with_their_class(tmp_path):
    shard = tar(
        tmp_path / "set-train-00.tar",
        ("a/01.jpg", b"one"),
        ("a/01.cls", b"7\n"),
        ("a/02.jpg", b"two!"),
        ("a/02.cls", b"8"),
        ("a/.hidden", b""),
    )
    samples = list(listing(shard).samples())
    assert [(s.item.name, s.item.label, s.item.split, s.item.size_bytes) for s in samples] == [
        ("set-train-00.tar/a/01.jpg", "7", "train", 3),
        ("set-train-00.tar/a/02.jpg", "8", "train", 4),
    ]
    data = shard.read_bytes()
    assert [data[s.item.start_byte :][: s.item.size_bytes] for s in samples] == [b"one", b"two!"]


@pytest.mark.parametrize(
    ("members", "kinds"),
    [
        ([("1.jpg", b""), ("2.jpg", b""), ("1.txt", b"")], ["keys-apart"]),
        ([("1.jpg", b""), ("1.jpg", b"")], ["duplicate-member"]),
        ([("1.jpg", b""), ("1.cls", b"")], ["label"]),
        ([(f"{at}.{kind}", b"0") for at in range(20) for kind in ("jpg", "cls")] + [("x.jpg", b"")], ["incomplete-sample"]),
        ([("a/1.jpg", b""), ("b/1.jpg", b""), ("c/1.txt", b"")], []),
        ([("1.jpg", b""), ("1.cls", b"0"), ("2.jpg", b""), ("2.cls", b"1")], []),
    ],
)
def test_shards_are_checked(tmp_path, members, kinds):
    tar(tmp_path / "s.tar", *members)
    assert told(tmp_path) == ({"s.tar": kinds} if kinds else {})


def test_damaged_shards(tmp_path):
    members = [(f"{at}.bin", bytes([at + 1]) * 700) for at in range(5)]
    whole = tar(tmp_path / "whole.tar", *members).read_bytes()
    fill(tmp_path, "cut.tar", data=whole[: 2 * 1536 + 800])
    fill(tmp_path, "broken.tar", data=whole[:1536] + b"rubbish!" * 64 + whole[2048:])
    fill(tmp_path, "empty.tar", data=b"")
    fill(tmp_path, "text.tar", data=b"<html>" * 200)
    assert told(tmp_path) == {
        "broken.tar": ["archive"],
        "cut.tar": ["truncated"],
        "empty.tar": ["archive"],
        "text.tar": ["html"],
    }
    found = names(tmp_path)
    assert [sum(name.startswith(f"{shard}/") for name in found) for shard in ("whole.tar", "broken.tar")] == [5, 1]


def test_what_cannot_be_scanned(tmp_path):
    fill(tmp_path, "data/x")
    os.mkfifo(tmp_path / "pipe")
    for text, said in [("dta", "did you mean"), ("pipe", "neither a folder"), ("no/*.png", "is not a folder")]:
        with pytest.raises(DataError, match=said):
            open_scan_target(str(tmp_path / text))
    with pytest.raises(DataError, match="is no path"):
        open_scan_target("a\0b")


@pytest.mark.parametrize("count", [1, 2, 7])
def test_shards_share_the_files_out(tmp_path, count):
    fill(tmp_path, *(f"{at % 5}/{at}.png" for at in range(300)))
    tar(tmp_path / "s.tar", *((f"{at}.jpg", b"") for at in range(10)))
    parts = [names(tmp_path, takes=ShardChoice(i, count).takes) for i in range(1, count + 1)]
    assert sorted(name for part in parts for name in part) == sorted(names(tmp_path))
    assert all(len(part) > 300 / count / 2 for part in parts)
    assert sum(any(name.startswith("s.tar") for name in part) for part in parts) == 1


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "1/0", "a/b", "-1/2", "1/2/3"])
def test_parts_that_are_none(text):
    with pytest.raises(UserError, match="is no part of a whole"):
        ShardChoice.parse(text)


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["train.csv", "test.csv", "val.csv"], {"train.csv": "train", "test.csv": "test", "val.csv": "val"}),
        (["X_train.npy", "X_test.npy"], {"X_train.npy": "train", "X_test.npy": "test"}),
        (["train-00-of-02.parquet", "validation.parquet"], {"train-00-of-02.parquet": "train", "validation.parquet": "val"}),
        (["train.csv", "notes.csv", "dev.jsonl"], {"train.csv": "train", "dev.jsonl": "val"}),
        (["test_results.csv", "other.csv"], {}),  # nobody trains on anything
        (["train.csv", "trained.csv"], {}),
        (["train.csv", "test.png"], {}),
    ],
)
def test_tables_called_after_splits(tmp_path, names, told):
    for name in names:
        (tmp_path / name).write_bytes(b"a\n1\n")
    for target in (str(tmp_path), str(tmp_path / "*")):
        found = {item.name: item.split for item in items(open_scan_target(target)) if item.split}
        assert found == told
    assert all(item.split is None for name in names for item in items(open_scan_target(str(tmp_path / name))))


def test_folders_come_before_names_of_tables(tmp_path):
    for name in ("train/test.csv", "train/train.csv", "val/a.csv", "deep/er/train.csv", "deep/er/test.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"a\n1\n")
    found = {item.name: item.split for item in items(open_scan_target(str(tmp_path)))}
    assert found == {
        "deep/er/test.csv": "test", "deep/er/train.csv": "train", "train/test.csv": "train", "train/train.csv": "train",
        "val/a.csv": "val",
    }  # fmt: skip
