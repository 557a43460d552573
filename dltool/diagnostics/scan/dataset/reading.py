"""Every sample of a dataset once, in order, whatever single ones raise."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info
from torch.utils.data._utils import worker as torch_worker

from dltool.core.errors import Problem, TargetError, UserError
from dltool.diagnostics.hunt.rows import Axis, layout
from dltool.diagnostics.scan.dataset.parts import Part
from dltool.probes.nested import batch_size, tensors, transform
from dltool.specs.factory import plain_error
from dltool.specs.factory_batches import as_batch
from dltool.training.experiment import Batch
from dltool.training.failure import NOT_THE_USERS, explain

MOST_STREAMED = 1_000_000
"""Samples of a stream without a length after which it is taken to be endless."""
MOST_FAILURES = 3
"""A stream that raises so often without giving a sample in between has ended."""


@dataclass(frozen=True, slots=True)
class Raised:
    """What reading a sample raised, and the line of the user's code that did; or how else it came to no good end."""

    kind: str
    said: str
    place: str | None
    how: Literal["raises", "crash", "hang", "memory"] = "raises"

    @classmethod
    def of(cls, error: BaseException) -> Raised:
        """From the exception, with the innermost line that is neither a library's nor ours."""
        frames = traceback.extract_tb(error.__traceback__)
        own = [f for f in frames if not f.filename.startswith((*NOT_THE_USERS, "<", sys.prefix)) and "dltool" not in f.name]
        place = f"{own[-1].filename.rpartition('/')[2]}:{own[-1].lineno}" if own else None
        said = (str(error).strip() or "no message").splitlines()[0][:300]
        return cls(type(error).__name__, said, place, "memory" if isinstance(error, MemoryError) else "raises")


class Read(NamedTuple):
    """A sample by its place; its value, or why there is none. ``value`` is (input, target) of one sample for batches."""

    row: int
    value: Any
    raised: Raised | None = None


def split(part: Part, items: Iterable[Read]) -> Iterator[Read]:
    """Samples, of a part that gives batches too; a batch that could not be read counts as one.

    Raises:
        TargetError: a batch that is no pair of tensors.
    """
    if part.form != "batches":
        yield from items
        return
    row = 0
    for read in items:
        for value in [None] if read.raised is not None else samples_of(read.value, part.name):
            yield Read(row, value, read.raised)
            row += 1


@dataclass(slots=True)
class Reader:
    """Goes through a part once. ``remarks`` hold what is to be said of the part as a whole, as (kind, sentence).

    ``reach`` is told which sample (or batch) is read next, in whose place a crash would leave nothing else.
    """

    part: Part
    stopped: Callable[[], bool]
    remarks: list[tuple[str, str]]
    reach: Callable[[int], None] = lambda row: None  # noqa: ARG005
    _first: int = 0

    def items(self, start: int = 0, stop: int | None = None) -> Iterator[Read]:
        """Every sample, or batch where the part gives those; of an indexed part those from ``start`` to before ``stop``.

        Raises:
            TargetError: a source that cannot even begin.
        """
        if self.part.form == "indexed":
            yield from self._indexed(start, stop)
        elif self.part.form == "batches":
            yield from self._iterated(self.part.source, None)
        else:
            yield from self._streamed()

    def samples(self) -> Iterator[Read]:
        """Every sample, those of batches one by one.

        Raises:
            TargetError: a source that cannot even begin, or a batch that is no pair of tensors.
        """
        return split(self.part, self.items())

    def _indexed(self, start: int, stop: int | None) -> Iterator[Read]:
        source = self.part.source
        try:
            length = len(source)
        except Exception as error:
            raise explain(error, f"asking `{self.part.name}` for its length") from error
        for row in range(start, length if stop is None else min(stop, length)):
            if self.stopped():
                return
            self.reach(row)
            try:
                yield Read(row, source[row])
            except (Exception, SystemExit) as error:  # noqa: BLE001 - it is the user's code, and each sample is asked for
                yield Read(row, None, Raised.of(plain_error(error)))

    def _streamed(self) -> Iterator[Read]:
        """As many passes as its loader has workers, each of which the dataset tells apart by itself."""
        if not self.part.workers and self._asks_for_worker():
            self.part = replace(self.part, workers=1)
        for worker in range(max(1, self.part.workers)):
            last = -1
            for read in self._iterated(self.part.source, worker if self.part.workers else None):
                last = read.row
                yield read._replace(row=self._first + read.row)
            self._first += last + 1

    def _asks_for_worker(self) -> bool:
        """Whether a dataset can only be read where ``get_worker_info`` tells of a worker: it begins there alone."""
        if not isinstance(self.part.source, IterableDataset):
            return False
        try:
            next(iter(self.part.source), None)
        except Exception:  # noqa: BLE001 - it is the user's code; another error shows again when it is read
            with suppress(Exception), as_worker(self.part.source, 0, 1):
                next(iter(self.part.source), None)
                return True
        return False

    def _iterated(self, source: Any, worker: int | None) -> Iterator[Read]:
        begun = self._begin(source, worker)
        length = _length(source) if worker is None and self.part.form == "streamed" else None
        row = failures = 0
        while not self.stopped():
            if length is None and row >= MOST_STREAMED:
                self.remarks.append(("endless", f"goes on after {row:,} samples; the scan stopped there"))
                return
            self.reach(self._first + row)
            try:
                with as_worker(source, worker, self.part.workers):
                    value = next(begun)
            except StopIteration:
                break
            except (Exception, SystemExit) as error:  # noqa: BLE001 - it is the user's code
                failures += 1
                if failures < MOST_FAILURES:
                    yield Read(row, None, Raised.of(plain_error(error)))
                    row += 1
                    continue
                return
            if failures and value is not None:
                failures = 0
            yield Read(row, value)
            row += 1
        if failures and not self.stopped():
            self.remarks.append(
                ("ends-early", f"ended where it raised, at sample {row - 1}: what came after it was not read")
            )
        elif length is not None and row < length and not self.stopped():
            self.remarks.append(("ends-early", f"says that it holds {length:,} samples, and ended after {row:,}"))

    def _begin(self, source: Any, worker: int | None) -> Iterator[Any]:
        try:
            with as_worker(source, worker, self.part.workers):
                return iter(source)
        except UserError:
            raise
        except (Exception, SystemExit) as error:
            raise explain(plain_error(error), f"reading `{self.part.name}`") from error


@contextmanager
def as_worker(dataset: Any, worker: int | None, workers: int) -> Iterator[None]:
    """Within the block ``get_worker_info`` tells what it tells in that worker of a loader; None leaves it as it is."""
    if worker is None:
        yield
        return
    before = get_worker_info()
    torch_worker._worker_info = torch_worker.WorkerInfo(  # noqa: SLF001 - torch has no other way to be told
        id=worker, num_workers=workers, seed=worker, dataset=dataset
    )
    try:
        yield
    finally:
        torch_worker._worker_info = before  # noqa: SLF001


def samples_of(item: Any, name: str) -> Iterator[tuple[Any, Any]]:
    """(input, target) of every sample of a batch; the whole batch where it has no rows to be told apart.

    Raises:
        TargetError: it is no pair of tensors.
    """
    batch = as_batch(item, name)
    found = layout(batch)
    if found is None:
        yield tuple(batch)
    elif found.listed:
        yield from zip(batch.input, batch.target, strict=True)
    else:
        for row in range(found.samples):
            yield _sample(batch, found.axes, row)


def _sample(batch: Batch, axes: Sequence[Axis | None], row: int) -> tuple[Any, Any]:
    of_each = iter(axes)

    def pick(tensor: Tensor) -> Tensor:
        axis = next(of_each)
        return tensor if axis is None else tensor.reshape(axis.view).select(axis.dim, row)

    picked: tuple[Any, Any] = transform(tuple(batch), pick)
    return picked


def rows_in(batch: Batch) -> int:
    """Samples in a batch."""
    return batch_size(batch.input) or sum(1 for _ in tensors(batch.input))


def nothing_read(target: str) -> TargetError:
    """A dataset without a single sample."""
    return TargetError(Problem(message=f"{target} gives no samples", expected="a dataset that holds at least one"))


def _length(source: Any) -> int | None:
    try:
        return len(source)
    except Exception:  # noqa: BLE001 - most streams have none
        return None
