"""A run's folder: ``runs/<name>/`` with the report, the metrics, the resolved spec and the checkpoints.

    report.json          the report, once the run has ended
    metrics.jsonl        one line per epoch
    spec.yaml            the spec as it was resolved
    best.safetensors     weights of the epoch with the lowest loss
    last.safetensors     the last weights
    state.safetensors    everything that --resume needs, from one moment
    nan/                 of a hunt: the bad batch, the state before its step, and a script that repeats it

Every file is written beside its place and renamed, so that what is there is whole; only metrics.jsonl grows line by line.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from torch import Tensor

from dltool.core.errors import OutputError
from dltool.training import state_file

STATE = "state.safetensors"
METRICS = "metrics.jsonl"


class RunFolder:
    """Writes one run's files; every failure to write is an ``OutputError`` that says what to do."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, stem: str, directory: str | None = None, root: Path = Path("runs")) -> RunFolder:
        """A new folder: ``directory``, which must be empty or not exist, or ``<root>/<stem>-<n>`` with the first free n.

        Raises:
            OutputError: ``directory`` holds something, or nothing can be created there.
        """
        with writing(Path(directory) if directory is not None else root / stem):
            if directory is None:
                return cls(_first_free(root, stem))
            path = Path(directory)
            path.mkdir(parents=True, exist_ok=True)
            if any(path.iterdir()):
                raise OutputError(f"{path} is not empty, and a run never overwrites another; resume it with --resume")
            return cls(path)

    @classmethod
    def reopen(cls, stem: str, directory: str | None = None, root: Path = Path("runs")) -> RunFolder:
        """The folder of an earlier run, to go on with it: ``directory``, or the newest ``<root>/<stem>-<n>``.

        Raises:
            OutputError: there is no such folder, or it is not one of a run.
        """
        path = Path(directory) if directory is not None else _newest(root, stem)
        if path is None or not path.is_dir():
            raise OutputError(f"there is no run to resume: {path or root / f'{stem}-<n>'} does not exist")
        others = {entry.name for entry in path.iterdir() if not entry.name.endswith(".tmp")}
        if others and not others & {STATE, METRICS, "spec.yaml"}:
            raise OutputError(f"{path} is not the folder of a run: it has none of {STATE}, {METRICS} and spec.yaml")
        with writing(path):
            for left_by_a_kill in path.glob(".*.tmp"):
                left_by_a_kill.unlink()
        return cls(path)

    def write_report(self, text: str) -> None:
        """Replace report.json."""
        self._write_text("report.json", text)

    def write_spec(self, text: str) -> None:
        """Replace spec.yaml."""
        self._write_text("spec.yaml", text)

    def write_metrics(self, lines: Iterable[str]) -> None:
        """Replace metrics.jsonl by ``lines``."""
        self._write_text(METRICS, "".join(f"{line}\n" for line in lines))

    def append_metrics(self, line: str) -> None:
        """Add one line to metrics.jsonl; a line that does not fit on the disk is taken back whole."""
        path = self.path / METRICS
        with writing(path), path.open("ab", buffering=0) as file:
            start = file.tell()
            data = f"{line}\n".encode()
            try:
                _write_whole(file, data)
            except OSError:
                file.truncate(start)
                raise

    def write_weights(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        """Replace ``<name>.safetensors`` by a plain state dict."""
        self._replace(f"{name}.safetensors", lambda path: state_file.save_tensors(path, tensors, {"format": "pt"}))

    def write_state(self, state: Mapping[str, Any]) -> None:
        """Replace the state to resume from.

        Raises:
            CannotBeSavedError: a value in it is neither a tensor nor plain data; the earlier state stays.
        """
        self._replace(STATE, lambda path: state_file.write(path, state))

    def read_state(self) -> dict[str, Any] | None:
        """The state to resume from; None when the run was stopped before its first checkpoint."""
        path = self.path / STATE
        return state_file.read(path) if path.exists() else None

    def write_file(self, name: str, write: Callable[[Path], object]) -> None:
        """Replace ``name`` (which may be in a folder within, ``nan/batch.pt``) by what ``write`` makes at a path."""
        with writing(self.path / name):
            (self.path / name).parent.mkdir(exist_ok=True)
        self._replace(name, write)

    def _write_text(self, name: str, text: str) -> None:
        data = text.encode()
        self._replace(name, lambda path: path.write_bytes(data))

    def _replace(self, name: str, write: Callable[[Path], object]) -> None:
        path = self.path / name
        beside = path.with_name(f".{path.name}.tmp")
        with writing(path):
            try:
                write(beside)
                _to_disk(beside)
                beside.replace(path)
                _to_disk(path.parent)
            finally:
                beside.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the system says about ``path`` into an ``OutputError``."""
    try:
        yield
    except OSError as problem:
        reason = problem.strerror or str(problem)
        full = problem.errno in {None, errno.ENOSPC, errno.EDQUOT}  # safetensors gives words only
        raise OutputError(
            f"{path} cannot be written: {reason}; {'free some space or ' if full else ''}choose another folder with --run"
        ) from problem


def _first_free(root: Path, stem: str) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        path = root / f"{stem}-{number}"
        try:
            path.mkdir()  # two runs that start together cannot both make it
        except FileExistsError:
            number += 1
        else:
            return path


def _newest(root: Path, stem: str) -> Path | None:
    names = [entry.name for entry in root.iterdir() if entry.is_dir()] if root.is_dir() else []
    numbers = [name.removeprefix(f"{stem}-") for name in names if name.startswith(f"{stem}-")]
    newest = max((int(number) for number in numbers if number.isdecimal()), default=None)
    return None if newest is None else root / f"{stem}-{newest}"


def _write_whole(file: BinaryIO, data: bytes) -> None:
    if file.write(data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
