"""What a traced step leaves: the operators that gave or took non-finite values, where they ran, and what fed them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from dltool.core.finding import Phase
from dltool.core.measured.non_finite import TensorFacts

LeafKind = Literal["input", "target", "parameter", "buffer", "state", "constant"]
"""What a value can be that no traced operator made; ``state`` is the optimizer's, ``constant`` a tensor of nobody's."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A tensor with non-finite values that was there before the step (``name`` as in named_parameters, named_buffers).

    The name of a state is ``<parameter>/<key>``, of an input or target its place in the nesting, of a constant where it is
    kept, "" where nobody knows.
    """

    kind: LeafKind
    name: str
    facts: TensorFacts


class Place(NamedTuple):
    """What operators of one suspect share: operator and line (the module, where no line is known)."""

    phase: Phase
    op: str
    within: str | tuple[str, int] | None
    deliberate: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One run of an aten operator whose output was not finite.

    Attributes:
        ordinal: which of the step's operators it was; a replay of the same step gives it the same number.
        phase: forward, loss, backward or optimizer.
        op: the public operator's name; in backward that of the autograd node.
        aten: the aten operator, ``aten.div.Tensor``.
        module: dotted path; None outside of every module. In backward that of the forward operator.
        file, line: the user's line; in backward that of the forward operator.
        forward_op: in backward, the public name of the forward operator whose node this is.
        inputs, output: the tensors taken, and the first bad one given.
        arguments: plain arguments by name.
        index, operands: first bad place in the output, and what elementwise inputs held there.
        makers: for each of ``inputs`` the public name of the operator that made it in this step, None where none did.
        names: for each of ``inputs`` what it is called, where it was there before the step (``parameter head.weight``).
        finite_again: in backward, the forward function that had made finite values of the bad one that is met again.
        rows: rows of the bad outputs that hold bad values, where the first dimension is that of the samples.
        born: it made non-finite values out of finite ones, or NaN out of Inf.
        deliberate: its non-finite values were written on purpose (a fill, a mask), not computed.
        masked: a softmax, or its like, that took nothing worse than -inf and gave NaN: a row was -inf throughout.
        moves: it only moved or selected values (copy, cat, index, view).
        sources: where its non-finite inputs came from: operators by ordinal, or leaves.
    """

    ordinal: int
    phase: Phase
    op: str
    aten: str
    module: str | None
    file: str | None
    line: int | None
    forward_op: str | None
    inputs: tuple[TensorFacts, ...]
    output: TensorFacts
    arguments: Mapping[str, Any] = field(default_factory=dict)
    index: tuple[int, ...] | None = None
    operands: tuple[float, ...] = ()
    makers: tuple[str | None, ...] = ()
    names: tuple[str | None, ...] = ()
    finite_again: str | None = None
    rows: tuple[int, ...] | None = None
    born: bool = False
    deliberate: bool = False
    moves: bool = False
    masked: bool = False
    sources: Sequence[int | Leaf] = ()

    @property
    def place(self) -> Place:
        """Where it ran, however often."""
        within = self.module if self.file is None or self.line is None else (self.file, self.line)
        return Place(self.phase, self.op, within, self.deliberate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mending:
    """Operators whose bad values are to be replaced while a step runs: by their number, and all that are born in a place."""

    ordinals: frozenset[int] = frozenset()
    places: frozenset[Place] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.ordinals or self.places)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """Something whose repair might heal the step: a leaf, or operators of one line (``operations``, in order).

    ``last_resort`` marks what was meant to be non-finite (a mask): tried only when nothing else heals.
    """

    leaf: Leaf | None = None
    operations: tuple[Operation, ...] = ()
    last_resort: bool = False
