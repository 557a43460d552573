import errno
import os
import resource
import threading
from contextlib import contextmanager

import pytest
import torch
from safetensors.torch import load_file, load_model
from toys import experiment, mlp, same, weights

from dltool.core.errors import OutputError
from dltool.training.loop import fit
from dltool.training.run_folder import RunFolder


def test_names_count_up_from_one(tmp_path):
    paths = [RunFolder.create("iris", root=tmp_path / "runs").path.name for _ in range(3)]
    assert paths == ["iris-1", "iris-2", "iris-3"]


def test_runs_that_start_together_get_a_folder_each(tmp_path):
    paths = []
    threads = [
        threading.Thread(target=lambda: paths.append(RunFolder.create("iris", root=tmp_path).path)) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(paths)) == 20


def test_a_folder_that_holds_something_is_never_used(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"not empty.*--resume"):
        RunFolder.create("iris", directory=str(tmp_path))
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_an_empty_or_new_folder_is_taken(tmp_path):
    assert RunFolder.create("iris", directory=str(tmp_path)).path == tmp_path
    assert RunFolder.create("iris", directory=str(tmp_path / "a" / "b")).path.is_dir()


@pytest.mark.parametrize("directory", ["file.txt", "file.txt/below"])
def test_a_file_in_the_way_is_told(tmp_path, directory):
    (tmp_path / "file.txt").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        RunFolder.create("iris", directory=str(tmp_path / directory))


def test_resume_takes_the_newest_run(tmp_path):
    for _ in range(11):
        RunFolder.create("iris", root=tmp_path)
    RunFolder.create("iris-mlp", root=tmp_path)
    assert RunFolder.reopen("iris", root=tmp_path).path.name == "iris-11"


def test_resume_needs_a_run(tmp_path):
    with pytest.raises(OutputError, match="no run to resume"):
        RunFolder.reopen("iris", root=tmp_path)
    with pytest.raises(OutputError, match="no run to resume"):
        RunFolder.reopen("iris", directory=str(tmp_path / "nothing"))
    (tmp_path / "other.txt").write_text("")
    with pytest.raises(OutputError, match="not the folder of a run"):
        RunFolder.reopen("iris", directory=str(tmp_path))


def test_what_a_kill_left_half_written_is_cleared_away(tmp_path):
    folder = RunFolder.create("iris", directory=str(tmp_path / "run"))
    folder.write_spec("seed: 0\n")
    (folder.path / ".state.safetensors.tmp").write_bytes(b"half")
    assert RunFolder.reopen("iris", directory=str(folder.path)).read_state() is None
    assert [p.name for p in folder.path.iterdir()] == ["spec.yaml"]


def test_the_files_of_a_run(tmp_path):
    folder = RunFolder.create("toy", root=tmp_path)
    toy = experiment(epochs=10, optimizer=lambda p: torch.optim.Adam(p, lr=0.3))
    outcome = fit(toy, run_folder=folder)
    folder.write_spec("seed: 7\n")
    folder.write_report("{}\n")
    assert sorted(p.name for p in folder.path.iterdir()) == [
        "best.safetensors",
        "last.safetensors",
        "metrics.jsonl",
        "report.json",
        "spec.yaml",
        "state.safetensors",
    ]
    assert same(load_file(folder.path / "last.safetensors"), weights(toy))
    assert same(load_file(folder.path / "best.safetensors"), outcome.best_weights)
    other = mlp(seed=3)
    assert load_model(other, folder.path / "best.safetensors") == (set(), [])
    assert len((folder.path / "metrics.jsonl").read_text().splitlines()) == 10


@contextmanager
def files_of_at_most(size):
    """A limit on the size of files stands in for the full disk: writes fail half-way, as there."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_line_that_does_not_fit_is_taken_back(tmp_path):
    folder = RunFolder.create("toy", directory=str(tmp_path))
    folder.append_metrics('{"epoch": 0}')
    with files_of_at_most(18), pytest.raises(OutputError, match="cannot be written"):
        folder.append_metrics("x" * 100)
    assert (folder.path / "metrics.jsonl").read_text() == '{"epoch": 0}\n'


@pytest.mark.parametrize(
    "write",
    [
        lambda folder: folder.write_weights("best", {"w": torch.randn(10_000)}),
        lambda folder: folder.write_state({"w": torch.randn(10_000)}),
        lambda folder: folder.write_report("x" * 10_000),
        lambda folder: fit(experiment(), run_folder=folder),
    ],
    ids=["weights", "state", "report", "fit"],
)
def test_a_full_disk_is_told_and_leaves_the_good_files(tmp_path, write):
    folder = RunFolder.create("toy", directory=str(tmp_path / "run"))
    good = {"w": torch.ones(3)}
    folder.write_weights("best", good)
    folder.write_state({"loop": 1, **good})
    folder.write_report("good")
    before = {p.name: p.read_bytes() for p in folder.path.iterdir()}
    with files_of_at_most(1024), pytest.raises(OutputError, match="cannot be written"):
        write(folder)
    after = {p.name: p.read_bytes() for p in folder.path.iterdir()}
    after.pop("metrics.jsonl", None)
    assert after == before


def test_no_space_left_is_told_by_its_name(tmp_path, monkeypatch):
    folder = RunFolder.create("toy", directory=str(tmp_path))

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"report\.json cannot be written: No space left on device; free some space"):
        folder.write_report("x")
    assert list(folder.path.iterdir()) == []
