"""Scans of Datasets, loaders and batches that a factory gives."""

import random

import numpy as np
import pytest
import torch

from dltool.core.errors import TargetError, UserError
from dltool.diagnostics.scan.kind import kind_of
from dltool.diagnostics.scan.options import ScanOptions
from dltool.diagnostics.scan.run import run

HEAD = """
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset, get_worker_info

G = torch.Generator().manual_seed(0)


class Broken(Dataset):
    def __init__(self, classes=3, first=0):
        self.classes, self.first = classes, first

    def __len__(self):
        return 60

    def __getitem__(self, index):
        print("loading", index)
        g = torch.Generator().manual_seed(30 if index == 31 else index)
        x = torch.rand(3, 8, 8, generator=g)
        if index in (7, 8):
            raise OSError(f"image file {index} is truncated")
        if index == 11:
            x[0, 0, 0] = float("nan")
        if index == 13:
            x = x.permute(1, 2, 0)
        if index == 17:
            x[:] = 0
        return x, self.first + (index if index != 31 else 30) % self.classes


class Net(nn.Module):
    def __init__(self, outputs=3):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.head = nn.Linear(4, outputs)

    def forward(self, x):
        return self.head(self.conv(x).mean((2, 3)))


def table(rows=200):
    x = torch.rand(rows, 6, generator=G)
    return x, (x[:, 0] > 0.5).long()
"""


@pytest.fixture
def scan(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def scanned(code, **options):
        (tmp_path / "data.py").write_text(HEAD + code)
        return run("data.py:make", ScanOptions(**options))

    return scanned


def told(report):
    """Rules with the rows that their findings name."""
    rows = {}
    for finding in report.findings:
        samples = finding.evidence.get("samples", ())
        rows.setdefault((finding.name, str(finding.severity)), []).extend(sample["row"] for sample in samples)
    return rows


def message(report, name):
    (found,) = [finding.message for finding in report.findings if finding.name == name]
    return found


def test_every_sample_of_a_dataset_is_read_and_each_bad_one_named(scan, capsys):
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    report = scan("\ndef make():\n    torch.rand(5)\n    return Broken()\n")
    assert told(report) == {
        ("corrupt-file", "error"): [7, 8],
        ("non-finite-value", "error"): [11],
        ("constant-image", "warning"): [17],
        ("shape-mismatch", "warning"): [13],
        ("duplicate-sample", "warning"): [30, 31],
    }
    assert "2 samples raise, the first at 7, OSError: image file 7 is truncated (data.py:21)" in message(
        report, "corrupt-file"
    )
    assert report.measurements["samples_scanned"] == 60
    assert {"path": "data.py:make", "row": 7, "name": "corrupt-file", "severity": "error"} in report.measurements[
        "bad_samples"
    ]
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.random.get_state()[1].tolist() == before[2]  # noqa: NPY002
    kinds = {f.evidence["kind"] for f in report.findings if f.name == "corrupt-file"}
    assert kinds == {"raises"}
    capsys.readouterr()


def test_a_loader_proves_that_a_shape_cannot_be_put_into_a_batch(scan):
    report = scan("\ndef make():\n    return DataLoader(Broken(), batch_size=8)\n")
    assert ("shape-mismatch", "error") in told(report)
    assert "a batch of both raises RuntimeError: stack expects" in message(report, "shape-mismatch")
    assert report.measurements["classes"]["batch_size"] == 8


def test_a_loader_that_pads_is_not_accused(scan):
    code = """
class Sequences(Dataset):
    def __len__(self):
        return 40

    def __getitem__(self, index):
        return torch.arange(9 if index else 4).float() + index, index % 2


def pad(samples):
    return nn.utils.rnn.pad_sequence([x for x, _ in samples], batch_first=True), torch.tensor([y for _, y in samples])


def make():
    return DataLoader(Sequences(), batch_size=4, collate_fn=pad)
"""
    assert told(scan(code)) == {("shape-mismatch", "info"): [0]}


def test_lengths_that_vary_on_purpose_are_nothing(scan):
    code = """
class Texts(Dataset):
    def __len__(self):
        return 40

    def __getitem__(self, index):
        return {"input_ids": torch.arange(index % 7 + 3) + index, "text": f"text {index}", "label": index % 3}


def make():
    return Texts()
"""
    report = scan(code, probe=True)
    assert report.findings == ()
    assert [each["label"] for each in report.measurements["classes"]["classes"]] == ["0", "1", "2"]


def test_streams(scan):
    sharded = """
class Sharded(IterableDataset):
    def __iter__(self):
        info = get_worker_info()
        for index in range(info.id, 40, info.num_workers):
            yield torch.full((5,), float(index)), index & 1


def make():
    return %s
"""
    for given in ("Sharded()", "DataLoader(Sharded(), batch_size=4, num_workers=1)"):
        report = scan(sharded % given)
        assert (report.measurements["samples_scanned"], report.findings) == (40, ())
    unsharded = sharded.replace("range(info.id, 40, info.num_workers)", "range(40)")
    report = scan(unsharded % "DataLoader(Sharded(), batch_size=4, num_workers=2)")
    assert report.measurements["samples_scanned"] == 80
    assert message(report, "duplicate-sample").startswith("80 of the 80 rows")


def test_streams_that_end_early(scan):
    code = """
class Short(IterableDataset):
    def __len__(self):
        return 50

    def __iter__(self):
        for index in range(40):
            yield torch.full((5,), float(index)), index % 2


def make():
    return Short()
"""
    assert "says that it holds 50 samples, and ended after 40" in message(scan(code), "corrupt-file")
    code = """
def batches():
    for index in range(20):
        if index == 12:
            raise ValueError("end of file")
        yield torch.rand(4, 5), torch.randint(0, 2, (4,))


def make():
    return {"batches": batches()}
"""
    report = scan(code)
    assert "sample 48 raises ValueError: end of file" in message(report, "corrupt-file")
    assert report.measurements["samples_scanned"] == 49


def test_a_model_that_cannot_take_the_data(scan):
    code = """
class Last(Dataset):
    def __len__(self):
        return 20

    def __getitem__(self, index):
        return torch.rand(8, 8, 3, generator=G), index % 3


def make():
    return {"dataset": Last(), "model": Net()}
"""
    report = scan(code, probe=True)
    (found,) = report.findings
    assert (found.name, found.where.module, found.severity) == ("shape-mismatch", "conv", "error")
    assert "module conv (Conv2d) got float32 (2, 8, 8, 3) and wants float32 (N, 3, H, W)" in found.message
    assert found.advice == ("the channels are last: move them to the front, x.permute(0, 3, 1, 2)",)
    assert report.measurements["probe"]["reason_not_probed"] == "the model cannot take a batch of the data"


@pytest.mark.parametrize(
    ("given", "name"), [("classes=5", "label-out-of-range"), ("first=1", "labels-not-zero-based")], ids=["beyond", "from-1"]
)
def test_labels_against_the_head(scan, given, name):
    report = scan(f"\ndef make():\n    return {{'dataset': DataLoader(Broken({given}), batch_size=8), 'model': Net()}}\n")
    found = [finding for finding in report.findings if finding.name == name]
    assert found
    assert all((finding.severity, finding.where.module) == ("error", "head") for finding in found)
    assert "head" in found[0].message


def test_labels_of_a_loss_that_is_not_known_are_not_judged_by_the_outputs(scan):
    code = """
def make():
    x, y = table()
    return {"dataset": TensorDataset(x, y + 5), "model": nn.Linear(6, 2), "loss": lambda output, target: output.mean()}
"""
    assert "label-out-of-range" not in {finding.name for finding in scan(code).findings}


def test_the_probe_names_samples_and_the_operator(scan):
    code = """
class Log(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(6, 2)

    def forward(self, x):
        return self.first(x) + torch.log(x[:, :1] + 1)


def make():
    x, y = table()
    x[17, 0], x[150, 0], x[60, 2] = -1.5, -2.0, float("nan")
    return {"dataset": DataLoader(TensorDataset(x, y), batch_size=16, shuffle=True), "model": Log()}
"""
    report = scan(code, probe=True)
    (found,) = [finding for finding in report.findings if finding.evidence.get("kind") == "probe"]
    assert (found.name, found.where.phase, found.where.op) == ("non-finite-value", "forward", "log")
    assert [sample["row"] for sample in found.evidence["samples"]] == [17, 150]
    assert report.measurements["probe"]["told_already"] == 1


def test_the_probe_without_a_model(scan):
    code = """
def make():
    x, y = torch.randn(64, 3, generator=G), torch.randn(64, 1, generator=G)
    x[20], y[9] = 1e30, 1e25
    return TensorDataset(x, y)
"""
    (found,) = scan(code, probe=True, select=("non-finite-value",)).findings
    assert [sample["row"] for sample in found.evidence["samples"]] == [9, 20]
    assert (found.where.phase, found.where.op) == ("loss", "mse_loss")


def test_a_split_that_leaks(scan):
    code = """
def make():
    x, v = torch.randn(100, 4, 4, generator=G), torch.randn(40, 4, 4, generator=G)
    v[:10] = x[:10]
    return {"dataset": TensorDataset(x, torch.arange(100) % 2), "val_dataset": TensorDataset(v, torch.arange(40) % 2)}
"""
    report = scan(code)
    assert set(told(report)) == {("split-leakage", "error")}
    assert "10 of the 40 rows of data.py:make#val_dataset are also in data.py:make" in message(report, "split-leakage")


def test_a_healthy_dataset_with_its_model_is_clean(scan):
    code = """
def make():
    x = torch.randn(400, 3, 16, 16, generator=G)
    first = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
    net = nn.Sequential(first, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))
    loader = DataLoader(TensorDataset(x, torch.arange(400) % 4), batch_size=16, shuffle=True)
    return {"dataset": loader, "model": net, "loss": nn.CrossEntropyLoss()}
"""
    report = scan(code, probe=True)
    assert report.findings == ()
    assert report.measurements["probe"]["samples"] == 400


WRONG = {
    "5": "found int, which has neither",
    "Net()": "found a model and no data",
    "None": "found nothing",
    "torch.zeros(3)": "found Tensor as `dataset`",
    "{'model': Net()}": "found a mapping without data (model)",
    "{'dataset': Broken(), 'modle': Net()}": "did you mean 'model'?",
    "{'dataset': Broken(), 'model': 3}": "returned no model (found int)",
    "TensorDataset(torch.zeros(0, 3))": "gives no samples",
    "1 / 0": "ZeroDivisionError while calling data.py:make",
}


@pytest.mark.parametrize(("given", "said"), WRONG.items())
def test_what_holds_no_data_is_told(scan, given, said):
    with pytest.raises(TargetError) as error:
        scan(f"\ndef make():\n    return {given}\n")
    assert said in str(error.value)


def test_options_that_ask_of_files_are_refused(scan):
    with pytest.raises(UserError) as error:
        scan("\ndef make():\n    return Broken()\n", shard="1/2", manifest="m.jsonl", overrides=("a=1",))
    assert {problem.key for problem in error.value.problems} == {"--shard", "--manifest", "KEY=VALUE"}


def test_kinds_of_targets(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd:name").touch()
    kinds = {"a.yaml": "spec", "net.py:make": "code", "pkg.net:make": "code", "folder": "path", "odd:name": "path"}
    assert {target: kind_of(target) for target in kinds} == kinds
