"""What torch functions that are no layers do to a sample: rearrange it, add, multiply, reduce, bend.

Softmax, sigmoid, silu, relu and log-softmax are known when they are written out as arithmetic too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dltool.core.measured.design import UNKNOWN_LAYER, Argument
from dltool.probes.design.calls import words
from dltool.probes.design.layers import plain
from dltool.probes.design.nodes import Graph
from dltool.probes.design.origins import CONSTANT, Origin

SAME = words(
    """clone contiguous to float double half bfloat16 long int bool type type_as cpu cuda detach requires_grad alias
    positive pack_padded_sequence pad_packed_sequence as_tensor asarray copy retain_grad resolve_conj resolve_neg
    real data tensor broadcast_tensors nan_to_num align_to refine_names rename"""
)
"""Functions that pass a sample on as it is."""
SELECTS = words(
    """__getitem__ narrow select index_select gather take_along_dim chunk split unbind tensor_split hsplit vsplit
    dsplit roll flip fliplr flipud unfold masked_select take index split_with_sizes im2col diagonal tril triu
    repeat_interleave"""
)
RESHAPES = words(
    """view reshape view_as reshape_as unflatten squeeze unsqueeze ravel atleast_1d atleast_2d atleast_3d
    pixel_unshuffle"""
)
EXPANDS = words("expand expand_as repeat tile broadcast_to")
PERMUTES = words("permute transpose t movedim T mT H mH adjoint channel_shuffle")
STACKS = words("stack hstack vstack dstack column_stack row_stack")
COMPARES = words(
    """gt lt ge le eq ne greater less greater_equal less_equal isnan isinf isfinite logical_and logical_or logical_not
    logical_xor bitwise_and bitwise_or bitwise_not any all isclose sign __and__ __or__ __invert__"""
)
BENDS = words(
    """exp log sqrt rsqrt abs square sin cos tan atan erf erfc log1p expm1 log2 log10 exp2 pow __rpow__ floor ceil
    round trunc where masked_fill maximum minimum clamp cumsum cumprod logsumexp var std norm normalize einsum
    bilinear argmax argmin topk sort prod cdist cosine_similarity scaled_dot_product_attention pad interpolate
    grid_sample affine_grid fold pixel_shuffle one_hot bernoulli multinomial sum lerp addcmul outer fft_fft fft_rfft"""
)
"""Functions that a layer of that kind stands for, under their own names."""
KINDS: Mapping[str, str] = {"__rpow__": "pow", "masked_scatter": "assign", "scatter": "assign", "index_put": "assign"}
NORM_OF_LOGS = ("shift", "clamp", "reshape")
"""What may stand between a softmax and its logarithm: what keeps a zero out of it."""


class Operand(NamedTuple):
    """An argument that is a tensor or a number, and where it comes from."""

    value: Any
    origin: Origin

    @property
    def node(self) -> int | None:
        """Its node, where it depends on the model's input."""
        return self.origin.node

    @property
    def number(self) -> float | None:
        """Its value, where it is one constant number."""
        if isinstance(self.value, int | float):
            return float(self.value)
        if self.origin == CONSTANT and isinstance(self.value, Tensor) and self.value.numel() == 1:
            return float(self.value) if not self.value.is_complex() else None
        return None


@dataclass(frozen=True, slots=True)
class Call:
    """A call with at least one argument that depends on the model's input; ``operands`` are its tensors and numbers."""

    name: str
    given: Mapping[str, Any]
    operands: Sequence[Operand]
    result: Tensor
    rank: int


@dataclass(frozen=True, slots=True)
class Operation:
    """The node to be made; ``follows`` is set where it is not all of the arguments, as of a softmax written out."""

    kind: str
    arguments: Mapping[str, Argument] = field(default_factory=dict)
    follows: tuple[int, ...] | None = None

    @property
    def changes_nothing(self) -> bool:
        """Whether it adds 0 or multiplies by 1."""
        return self == Operation("shift", {"amount": 0.0}) or self == Operation("scale", {"factor": 1.0})


def operation(call: Call, graph: Graph) -> Operation:
    """The operation that ``call`` is; of kind ``UNKNOWN_LAYER`` where there is no name for it."""
    name = call.name
    make = MAKERS.get(name)
    if make is not None:
        return make(call, graph)
    if name in SELECTS:
        return Operation("select")
    if name in RESHAPES:
        return _reshape(call)
    if name in EXPANDS:
        return Operation("expand")
    if name in PERMUTES:
        return Operation("permute")
    if name in STACKS:
        return Operation("stack")
    if name in COMPARES:
        return Operation("compare")
    if name in BENDS:
        return Operation(KINDS.get(name, name))
    return Operation(KINDS[name]) if name in KINDS else Operation(UNKNOWN_LAYER, {"function": name})


def _reshape(call: Call) -> Operation:
    given, result = call.operands[0].value, call.result
    per_sample = isinstance(given, Tensor) and result.ndim == 2 and given.ndim > 2 and given.shape[0] == result.shape[0]
    if per_sample and call.name in {"view", "reshape"}:
        return Operation("flatten", {"start_dim": 1, "end_dim": -1})
    return Operation("reshape")


def _flatten(call: Call, _: Graph) -> Operation:
    return Operation(
        "flatten", {"start_dim": plain(call.given.get("start_dim", 0)), "end_dim": plain(call.given.get("end_dim", -1))}
    )


def _cat(call: Call, _: Graph) -> Operation:
    dim = call.given.get("dim", call.operands[-1].value if isinstance(call.operands[-1].value, int) else 0)
    return Operation("cat", {"dim": plain(dim)})


def _two(call: Call) -> tuple[Operand, Operand] | None:
    return (call.operands[0], call.operands[1]) if len(call.operands) > 1 else None


def _add(call: Call, graph: Graph) -> Operation:
    both = _two(call)
    if both is None:
        return Operation(UNKNOWN_LAYER)
    first, second = both
    if first.node is not None and second.node is not None:
        sampled = any(graph.nodes[n].arguments.get("noise") for n in (first.node, second.node) if n >= 0)
        same = first.value.shape == second.value.shape
        residual = same and not sampled and graph.ends_residual(first.node, second.node)
        return Operation("residual-add" if residual else "add")
    other = second if first.node is not None else first
    if other.origin.is_noise:
        return Operation("gaussian_noise", {"std": other.origin.noise_std})
    if other.origin.weights:
        return Operation("add")
    return Operation("shift", {"amount": other.number})


def _sub(call: Call, graph: Graph) -> Operation:
    both = _two(call)
    if both is None:
        return Operation(UNKNOWN_LAYER)
    first, second = both if call.name == "sub" else both[::-1]
    if first.node is not None and second.node is not None:
        if graph.kind(second.node) == "logsumexp" and graph.nodes[second.node].follows == (first.node,):
            return Operation("log_softmax", {"dim": graph.nodes[second.node].arguments.get("dim")}, (first.node,))
        return Operation("sub")
    if first.origin.weights or second.origin.weights:
        return Operation("sub")
    if second.node is not None:
        return Operation("scale", {"factor": -1.0} if first.number == 0.0 else {"factor": -1.0, "amount": first.number})
    return Operation("shift", {"amount": None if second.number is None else -second.number})


def _mul(call: Call, graph: Graph) -> Operation:
    both = _two(call)
    if both is None:
        return Operation(UNKNOWN_LAYER)
    first, second = both
    if first.node is not None and second.node is not None:
        for x, gate in ((first.node, second.node), (second.node, first.node)):
            if graph.kind(gate) == "sigmoid" and graph.nodes[gate].follows == (x,):
                return Operation("silu", {}, (x,))
        return Operation("mul")
    other = second if first.node is not None else first
    if other.origin.is_noise:
        return Operation("mul", {"noise": True})
    if other.origin.weights:
        return Operation("mul")
    return Operation("scale", {"factor": other.number})


def _div(call: Call, graph: Graph) -> Operation:
    both = _two(call)
    if both is None:
        return Operation(UNKNOWN_LAYER)
    first, second = both if call.name == "div" else both[::-1]
    if first.node is not None and second.node is not None:
        return _softmax_by_hand(first.node, second.node, graph) or Operation("div")
    if second.node is None:
        by = second.number
        return Operation("div") if second.origin.weights else Operation("scale", {"factor": 1.0 / by if by else None})
    return _sigmoid_by_hand(first, second.node, graph) or Operation("reciprocal")


def _softmax_by_hand(numerator: int, denominator: int, graph: Graph) -> Operation | None:
    """exp(x) / sum(exp(x)), with or without the largest x taken from all of them first."""
    while graph.kind(denominator) in {"reshape", "expand"}:
        denominator = graph.nodes[denominator].follows[0]
    if graph.kind(numerator) != "exp" or graph.kind(denominator) != "sum":
        return None
    total = graph.nodes[denominator]
    if total.follows != (numerator,):
        return None
    (x,) = graph.nodes[numerator].follows or (numerator,)
    if graph.kind(x) == "sub":
        minuend, *rest = graph.nodes[x].follows
        x = minuend if rest and graph.before(rest) <= graph.before([minuend]) | set(rest) else x
    return Operation("softmax", {"dim": total.arguments.get("dim")}, (x,))


def _sigmoid_by_hand(numerator: Operand, denominator: int, graph: Graph) -> Operation | None:
    """1 / (1 + exp(-x))."""
    if numerator.number != 1.0 or graph.kind(denominator) != "shift":
        return None
    shift = graph.nodes[denominator]
    if shift.arguments.get("amount") != 1.0 or graph.kind(shift.follows[0]) != "exp":
        return None
    negated = graph.nodes[shift.follows[0]].follows[0]
    if graph.kind(negated) != "scale" or graph.nodes[negated].arguments.get("factor") != -1.0:
        return None
    return Operation("sigmoid", {}, graph.nodes[negated].follows)


def _neg(_: Call, __: Graph) -> Operation:
    return Operation("scale", {"factor": -1.0})


def _reciprocal(call: Call, graph: Graph) -> Operation:
    node = call.operands[0].node
    found = None if node is None else _sigmoid_by_hand(Operand(1.0, CONSTANT), node, graph)
    return found or Operation("reciprocal")


def _log(call: Call, graph: Graph) -> Operation:
    node = call.operands[0].node
    while graph.kind(node) in NORM_OF_LOGS and node is not None:
        node = graph.nodes[node].follows[0]
    if node is not None and graph.kind(node) == "softmax":
        return Operation("log_softmax", graph.nodes[node].arguments, graph.nodes[node].follows)
    return Operation("log_sigmoid" if graph.kind(node) == "sigmoid" else "log")


def _clamp(call: Call, _: Graph) -> Operation:
    low = plain(call.given.get("min"))
    high = plain(call.given.get("max"))
    if low == 0 and high is None and call.given.get("max") is None:
        return Operation("relu")
    if low == 0 and high == 6:
        return Operation("relu6")
    return Operation("clamp", {"min": low, "max": high})


def _maximum(call: Call, graph: Graph) -> Operation:
    both = _two(call)
    if both is None or not isinstance(both[1].value, Tensor):
        return _reduced(call, graph)
    data = [operand for operand in both if operand.node is not None]
    other = both[1] if both[0].node is not None else both[0]
    if len(data) == 1 and not other.origin.weights and not bool(torch.any(other.value != 0)):
        return Operation("relu" if call.name.startswith("max") else "minimum")
    return Operation("maximum" if call.name.startswith("max") else "minimum")


def _reduced(call: Call, _: Graph) -> Operation:
    """A mean or maximum over all of space, or over time, is a pool; others keep their names."""
    dim, keepdim = call.given.get("dim"), bool(call.given.get("keepdim", False))
    dims = tuple(d % call.rank for d in ((dim,) if isinstance(dim, int) else dim or ())) if call.rank else ()
    name = {"amax": "max", "amin": "min", "nanmean": "mean"}.get(call.name, call.name)
    spatial = bool(dims) and tuple(sorted(dims)) == tuple(range(2, call.rank))
    over_time = call.rank == 3 and (dims == (1,) or (spatial and not keepdim))
    if name in {"mean", "max"} and ((spatial and call.rank > 3) or over_time):
        return Operation("global_avg_pool" if name == "mean" else "global_max_pool", {"dim": dims})
    return Operation(name, {"dim": plain(dim), "keepdim": keepdim})


def _matmul(call: Call, _: Graph) -> Operation:
    """A product with weights is a linear layer without bias; of two parts of the sample it is attention, or the like."""
    left, right = (call.given.get(name) for name in ("input", "mat2"))
    weights = [o.value for o in call.operands if o.node is None and o.origin.weights and isinstance(o.value, Tensor)]
    sides = [o for o in call.operands if o.node is not None]
    matrices = [weight for weight in weights if weight.ndim == 2]
    if len(sides) != 1 or not matrices or not isinstance(left, Tensor) or not isinstance(right, Tensor):
        return Operation("matmul")
    data_first = sides[0].value is left
    into, out = matrices[-1].shape if data_first else matrices[-1].shape[::-1]
    return Operation("linear", {"in_features": into, "out_features": out, "bias": call.name == "addmm"})


def _setitem(call: Call, _: Graph) -> Operation:
    value = call.operands[-1]
    return Operation("assign" if value.node is not None else "masked_fill")


def _over_dim(call: Call, _: Graph) -> Operation:
    return Operation(call.name, {"dim": plain(call.given.get("dim"))})


def _pow(call: Call, _: Graph) -> Operation:
    return Operation("pow", {"exponent": plain(call.given.get("exponent"))})


def _attention(call: Call, _: Graph) -> Operation:
    return Operation("scaled_dot_product_attention", {"is_causal": plain(call.given.get("is_causal", False))})


def _einsum(call: Call, _: Graph) -> Operation:
    equation = next((value for value in call.given.values() if isinstance(value, str)), None)
    return Operation("einsum", {"equation": equation})


MAKERS: Mapping[str, Callable[[Call, Graph], Operation]] = {
    "flatten": _flatten,
    "cat": _cat,
    "add": _add,
    "sub": _sub,
    "rsub": _sub,
    "__rsub__": _sub,
    "mul": _mul,
    "div": _div,
    "__rdiv__": _div,
    "neg": _neg,
    "reciprocal": _reciprocal,
    "log": _log,
    "clamp": _clamp,
    "clamp_min": _clamp,
    "clamp_max": _clamp,
    "maximum": _maximum,
    "minimum": _maximum,
    "max": _maximum,
    "min": _maximum,
    "amax": _reduced,
    "amin": _reduced,
    "mean": _reduced,
    "nanmean": _reduced,
    "sum": _reduced,
    "matmul": _matmul,
    "__rmatmul__": _matmul,
    "mm": _matmul,
    "bmm": _matmul,
    "mv": _matmul,
    "addmm": _matmul,
    "baddbmm": _matmul,
    "logsumexp": _over_dim,
    "argmax": _over_dim,
    "cumsum": _over_dim,
    "__setitem__": _setitem,
    "pow": _pow,
    "scaled_dot_product_attention": _attention,
    "einsum": _einsum,
}
