"""Datasets whose code crashes, hangs, leaves or eats memory: the sample is named, and the scan goes on."""

import os
import sys

import pytest
import torch

from dltool.core.errors import TargetError
from dltool.diagnostics.scan.dataset import apart
from dltool.diagnostics.scan.dataset.apart_child import packed, unpacked
from dltool.diagnostics.scan.dataset.reading import Read
from dltool.diagnostics.scan.options import ScanOptions
from dltool.diagnostics.scan.run import run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the code here kills itself as POSIX allows")

CODE = """
import ctypes, os, sys, time
import torch
from torch.utils.data import Dataset, IterableDataset


def crash():
    ctypes.string_at(0)


DEEDS = {
    "raise": lambda: [].pop(),
    "exit": lambda: sys.exit(4),
    "leave": lambda: os._exit(3),
    "crash": crash,
    "abort": os.abort,
    "eat": lambda: bytearray(1 << 44),
}


class Data(Dataset):
    def __init__(self, deeds, length=30):
        self.deeds, self.length, self.cannot_be_pickled = deeds, length, lambda: None

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        print("reading", index)
        deed = self.deeds.get(index)
        if deed == "hang":
            while True: pass
        if deed is not None:
            DEEDS[deed]()
        return torch.randn(3, generator=torch.Generator().manual_seed(index)), index % 3


class Stream(IterableDataset):
    def __init__(self, deeds):
        self.data = Data(deeds)

    def __iter__(self):
        return (self.data[index] for index in range(30))
"""


@pytest.fixture
def scan(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def scanned(made, **options):
        (tmp_path / "data.py").write_text(f"{CODE}\n\ndef make():\n    return {made}\n")
        return run("data.py:make", ScanOptions(**({"sample_timeout_s": 0.5} | options)))

    return scanned


def flaws(report):
    return [flaw for f in report.findings if f.name == "corrupt-file" for flaw in f.evidence["flaws"]]


def rows(report):
    return {flaw.kind: list(flaw.rows) for flaw in flaws(report)}


def test_every_deed_names_its_sample_and_line_and_all_others_are_read(scan, capfd):
    deeds = {2: "raise", 5: "exit", 7: "leave", 8: "crash", 11: "abort", 17: "eat", 29: "crash"}
    report = scan(f"Data({deeds})")
    assert rows(report)["memory"] == [17]
    told = {flaw.detail for flaw in flaws(report)}
    assert any("sample 2 raises IndexError: pop from empty list (data.py:" in each for each in told)
    assert any("sample 5 raises RuntimeError: it left with SystemExit(4)" in each for each in told)
    assert any("sample 7 ends the process (exit code 3)" in each for each in told)
    assert any("sample 8 (and 1 more) crashes the process (SIGSEGV) (data.py:" in each for each in told)
    assert any("sample 11 crashes the process (SIGABRT) (data.py:" in each for each in told)
    assert report.measurements["samples_scanned"] == 30
    assert {sample["row"] for sample in report.measurements["bad_samples"]} == set(deeds)
    assert sum(each["samples"] for each in report.measurements["classes"]["classes"]) == 30 - len(deeds)
    assert "reading" not in capfd.readouterr().out


def test_a_sample_that_hangs_is_stopped_and_its_line_told(scan):
    report = scan("Data({11: 'hang', 14: 'hang'})")
    assert rows(report) == {"hang": [11, 14]}
    (flaw,) = flaws(report)
    assert "had not come to an end after " in flaw.detail
    assert "s, and was stopped (data.py:" in flaw.detail
    assert report.measurements["samples_scanned"] == 30


def test_reports_are_the_same_each_time(scan):
    def page(report):
        return [(f.message, f.evidence["samples"]) for f in report.findings], report.measurements["features"]

    made = "Data({3: 'crash', 9: 'raise'})"
    assert page(scan(made)) == page(scan(made))


def test_where_all_samples_end_the_process_there_is_an_end_to_it(scan, monkeypatch):
    monkeypatch.setattr(apart, "MOST_DEATHS", 3)
    report = scan("Data(dict.fromkeys(range(30), 'leave'))")
    assert rows(report)["crash"] == [0, 1, 2]
    assert "what comes after sample 2 was not read" in next(f.detail for f in flaws(report) if f.kind == "gave-up")


@pytest.mark.parametrize(("deed", "kind"), [("crash", "crash"), ("hang", "hang"), ("raise", "raises"), ("exit", "raises")])
def test_a_stream_ends_where_it_fails_and_that_is_said(scan, deed, kind):
    report = scan(f"Stream({{9: {deed!r}}})")
    assert rows(report)[kind] == [9]
    assert report.measurements["samples_scanned"] == 10
    assert "9" in next(f.detail for f in flaws(report) if f.kind == "ends-early")


def test_batches_that_are_given_once_are_read_apart_and_probed(scan):
    batches = "((torch.stack([d[i + j][0] for j in range(5)]), torch.arange(5) % 3) for i in range(0, 30, 5))"
    made = f"{{'batches': {batches}, 'model': torch.nn.Linear(3, 3)}}"
    report = scan(made.replace("d[", "Data({})["), probe=True)
    assert report.measurements["samples_scanned"] == 30
    assert report.measurements["probe"]["samples"] == 30
    broken = scan(made.replace("d[", "Data({12: 'leave'})["), probe=True)
    assert rows(broken)["crash"] == [10]
    assert broken.measurements["probe"]["samples"] == 10


def test_code_that_cannot_even_begin_is_the_users_mistake(scan):
    with pytest.raises(TargetError, match="SIGABRT"):
        scan("type('No', (Data,), {'__len__': lambda self: os.abort()})({})")


def test_a_process_that_is_not_forked_calls_the_factory_itself(scan, monkeypatch):
    monkeypatch.setattr(apart, "_may_fork", lambda: False)
    report = scan("Data({1: 'crash'}, length=4)")
    assert rows(report) == {"crash": [1]}
    assert report.measurements["samples_scanned"] == 4


@pytest.mark.parametrize(
    "value",
    [
        (torch.rand(3, 4), 1),
        {"x": torch.rand(2).to(torch.bfloat16), "y": "word", "z": [1, 2.5, None]},
        (torch.rand(4, 6)[:, ::2], torch.tensor(True)),
        (torch.rand(2, 2, requires_grad=True), torch.tensor(3)),
        torch.eye(3).to_sparse(),
        torch.view_as_complex(torch.rand(3, 2)).conj(),
    ],
)
def test_samples_come_back_as_they_were(value):
    import marshal

    (back,) = unpacked(b"R" + marshal.dumps([packed(Read(7, value))]))
    assert back.row == 7
    assert torch.utils._pytree.tree_structure(back.value) == torch.utils._pytree.tree_structure(value)
    for one, other in zip(torch.utils._pytree.tree_leaves(value), torch.utils._pytree.tree_leaves(back.value), strict=True):
        if isinstance(one, torch.Tensor):
            assert (other.dtype, other.shape, other.layout) == (one.dtype, one.shape, one.layout)
            assert torch.equal(one.to_dense(), other.to_dense())
        else:
            assert one == other


def test_of_what_does_not_pickle_the_known_parts_come_back():
    import marshal

    (back,) = unpacked(b"R" + marshal.dumps([packed(Read(0, {"input": torch.ones(2), "odd": lambda: 0}))]))
    assert back.value["input"].tolist() == [1.0, 1.0]
    assert back.value["odd"] == "<function>"


def test_nothing_is_left_behind(scan, tmp_path):
    scan("Data({3: 'crash', 4: 'hang'})")
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
