"""From an operator that ran and gave bad values to the record of it: their birth, or one that passed them on."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dltool.core.finding import Phase
from dltool.core.measured.non_finite import TensorFacts
from dltool.probes.finite import mended
from dltool.probes.trace.facts import Bad, bad_in, born_mask, facts, first_place, plain, rows_of
from dltool.probes.trace.flow import Taken
from dltool.probes.trace.names import SOFTMAXES, writes_its_own
from dltool.probes.trace.record import Leaf, Operation
from dltool.probes.trace.signature import Signature, plain_arguments


@dataclass(frozen=True, slots=True)
class Ran:
    """One operator that ran: what it took (as it was before), what it gave, and where it stood (``site``).

    ``makers`` by argument are the operators that made what it took, ``names`` what the rest is called. ``reenters``: all
    bad values that it took are those of forward operators, that is saved for backward.
    """

    func: Any
    kind: Signature
    named: Mapping[str, Any]
    taken: Mapping[str, Taken]
    outputs: Sequence[Tensor]
    node: Any
    site: Any
    makers: Mapping[str, str]
    names: Mapping[str, str]
    reenters: bool


def describe(
    ran: Ran, place: int, bad: Bad, ordinal: int, phase: Phase, *, samples: int | None, detailed: bool
) -> Operation:
    """The record of an operator whose output number ``place`` is ``bad``; numbers only for births, when ``detailed``."""
    output = ran.outputs[place]
    took = [taken for taken in ran.taken.values() if taken.bad is not None]
    where = born = _where_born(ran, output, bad, took)
    meant = (
        (ran.kind.fills and not writes_its_own(ran.site.op))
        or ran.kind.uninitialised
        or (_is_mask(took) and _all_constant(took))
    )
    in_backward = ran.site.differentiates
    line = ran.site.line
    looked_up = ran.kind.moves and not in_backward and _all_constant(took)
    if where is None and ((in_backward and ran.reenters) or looked_up):
        where = ~plain(output).isfinite()
    operation: dict[str, Any] = {
        "ordinal": ordinal,
        "phase": phase,
        "op": _node_name(ran.node) if in_backward else ran.site.op,
        "aten": str(ran.func),
        "module": ran.site.module,
        "file": None if line is None else line.file,
        "line": None if line is None else line.number,
        "forward_op": _forward_name(ran) if in_backward else None,
        "born": born is not None,
        "deliberate": born is not None and meant,
        "moves": ran.kind.moves,
        "masked": born is not None and ran.kind.base in SOFTMAXES and _is_mask(took),
        "sources": tuple(dict.fromkeys(source for taken in _passed_on(ran) for source in taken.sources)),
    }
    if where is None or not detailed:
        return Operation(inputs=(), output=TensorFacts(shape=tuple(output.shape), dtype=str(output.dtype)[6:]), **operation)
    index = first_place(where)
    return Operation(
        inputs=tuple(facts(taken.tensor) for taken in ran.taken.values()),
        output=facts(output),
        arguments=plain_arguments(ran.named),
        index=index,
        operands=_operands(ran, output, index),
        makers=tuple(ran.makers.get(name) for name in ran.taken),
        names=tuple(ran.names.get(name) for name in ran.taken),
        rows=rows_of(where, samples),
        **operation,
    )


def mended_birth(ran: Ran, output: Tensor) -> Tensor:
    """``output`` with what was born in it replaced by finite values; what was only passed on is another's fault."""
    bad = bad_in(output)
    if bad is None:
        return output
    took = [taken for taken in ran.taken.values() if taken.bad is not None]
    born = _where_born(ran, output, bad, took)
    if born is not None:
        return torch.where(born, mended(output, 1.0), output)
    reentered = ran.reenters and ran.node is not None
    passed_on = any(isinstance(source, int) for taken in took for source in taken.sources)
    return output if passed_on and not reentered else mended(output, 1.0)


def _passed_on(ran: Ran) -> Sequence[Taken]:
    """What was bad in what it took; of the two sides of ``where`` only those whose bad values were chosen."""
    condition = ran.named.get("condition")
    sides = {"self": condition, "other": ~condition} if ran.kind.base == "where" and isinstance(condition, Tensor) else {}
    return [
        taken
        for name, taken in ran.taken.items()
        if taken.bad is not None and (name not in sides or bool((~plain(taken.tensor).isfinite() & sides[name]).any()))
    ]


def _where_born(ran: Ran, output: Tensor, bad: Bad, took: Sequence[Taken]) -> Tensor | None:
    """Where in the output values were born; None where the operator only passed bad values on."""
    values = plain(output)
    everywhere = ~values.isfinite()
    if ran.kind.fills or ran.kind.uninitialised or not took:  # without bad input even a copy: its cast overflowed
        return everywhere
    if ran.kind.moves:
        return None
    if _all_constant(took):  # nobody made these: the first to compute with them is the place to look at
        return everywhere
    if ran.kind.pointwise and output.layout is torch.strided:
        with contextlib.suppress(RuntimeError):  # an in-place operator may have overwritten what it took
            mask = born_mask(values, [plain(taken.tensor) for taken in ran.taken.values()])
            return mask if bool(mask.any()) else None
    nan_before = any(taken.bad is not None and taken.bad.nan for taken in took)
    return values.isnan() if bad.nan and not nan_before else None


def _all_constant(took: Sequence[Taken]) -> bool:
    sources = [source for taken in took for source in taken.sources]
    return bool(sources) and all(isinstance(source, Leaf) and source.kind == "constant" for source in sources)


def _is_mask(took: Sequence[Taken]) -> bool:
    return bool(took) and all(taken.bad is not None and taken.bad.only_negative_inf for taken in took)


def _operands(ran: Ran, output: Tensor, index: tuple[int, ...]) -> tuple[float, ...]:
    if not ran.kind.pointwise:
        return ()
    try:
        given = [taken.tensor.detach().expand(output.shape)[index] for taken in ran.taken.values()]
    except RuntimeError:
        return ()
    return tuple(float(value) for value in given if not value.is_complex())


def _forward_name(ran: Ran) -> str:
    """Of a user's own autograd.Function its class, else the operator."""
    node = _node_name(ran.node)
    return ran.site.op if node[-1:].isdigit() else node.removesuffix("Backward")


def _node_name(node: Any) -> str:
    return str(node.name()).removeprefix("torch::autograd::")
