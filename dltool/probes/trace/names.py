"""What aten operators are called by people, and which of them compute nothing."""

from __future__ import annotations

import re

import torch

INNER = {
    "linalg_inv_ex": "inv",
    "linalg_cholesky_ex": "cholesky",
    "linalg_solve_ex": "solve",
    "linalg_lu_factor_ex": "lu_factor",
    "rsub": "sub",
    "true_divide": "div",
    "divide": "div",
    "multiply": "mul",
    "subtract": "sub",
    "log_sigmoid": "logsigmoid",
    "prelu_kernel": "prelu",
    "mkldnn_rnn_layer": "lstm",
    "thnn_fused_lstm_cell": "lstm_cell",
    "thnn_fused_gru_cell": "gru_cell",
    "fused_rms_norm": "rms_norm",
    "weight_norm_interface": "weight_norm",
    "nll_loss2d": "nll_loss",
    "nll_loss_nd": "nll_loss",
    "safe_softmax": "softmax",
    "local_scalar_dense": "item",
    "transformer_encoder_layer_fwd": "transformer_encoder_layer",
}
"""Internal operators whose name says something else than what was called."""

AFFIXES = re.compile(
    r"^(_+|native_|cudnn_|miopen_|mkldnn_|foreach_|fused_|special_|linalg_)+|(_forward|_legit|_no_training|_)+$"
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


MATMULS = {
    "addmm": "linear",
    "addmm_activation": "linear",
    "mm": "matmul",
    "bmm": "matmul",
    "baddbmm": "matmul",
    "addbmm": "matmul",
    "addmv": "linear",
    "mv": "matmul",
    "dot": "matmul",
    "vdot": "matmul",
}
CALLS_OF_MATMUL = _words(
    """linear matmul mm bmm einsum baddbmm addmm addbmm bilinear tensordot mv dot inner outer lstm gru rnn_tanh rnn_relu
    lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell chain_matmul multi_dot vecdot addmv scaled_dot_product_attention"""
)
COMPOSED = _words(
    """scaled_dot_product_attention instance_norm rms_norm einsum outer kron bilinear nanmean corrcoef cov kl_div
    poisson_nll_loss cosine_similarity cosine_embedding_loss margin_ranking_loss hinge_embedding_loss"""
)
"""Functions whose inner operators mean nothing to who called them."""
CASTS = _words("to half float double bfloat16 type type_as cuda cpu")

MOVES = _words(
    """copy clone cat stack index index_select gather scatter index_put index_copy where select slice expand repeat flip roll
    constant_pad_nd reflection_pad1d reflection_pad2d replication_pad1d replication_pad2d embedding detach lift_fresh lift
    unbind split masked_select masked_scatter permute transpose t view reshape tril triu sort topk max min amax amin maximum
    minimum select_scatter slice_scatter diag_embed unfold im2col to_copy take repeat_interleave unsafe_view unsafe_split
    narrow_copy index_fill slice_backward select_backward unique unique2 nan_to_num set contiguous"""
)
"""Operators that pass values on or choose among them: what is bad in their output was bad before."""

FILLS = _words(
    """fill full full_like new_full masked_fill scalar_tensor lift_fresh lift index_fill constant_pad_nd fill_diagonal"""
)
"""Operators that write a value that they were given."""

UNINITIALISED = _words("empty empty_like empty_strided new_empty new_empty_strided empty_permuted resize")
"""Operators that give memory as it is."""

SOFTMAXES = _words("softmax log_softmax logsumexp scaled_dot_product_attention logcumsumexp")
"""Operators that make 0 of -inf, and NaN where a whole row is -inf."""


def base_name(func: torch._ops.OpOverload) -> str:
    """The operator without what marks an internal variant: ``aten._softmax.default`` is ``softmax``."""
    name = func._schema.name.rpartition("::")[2]  # noqa: SLF001 - there is no public way to it
    if "scaled_dot_product" in name and "backward" not in name:
        return "scaled_dot_product_attention"
    if "upsample" in name and "backward" not in name:
        return "interpolate"
    plain = name.strip("_").removesuffix("_forward")
    if plain in INNER:
        return INNER[plain]
    short = AFFIXES.sub("", name)
    return INNER.get(short, short)


def public_name(func: torch._ops.OpOverload, call: str | None) -> str:
    """What the user called; ``call`` is the torch function that was running, where one was.

    A function that is made of several operators is named by the one that is meant: the ``nll_loss`` of a cross-entropy.
    """
    base = base_name(func)
    call = None if call is None else _called(call)
    if call is not None and writes_its_own(call):
        return call
    if base in MATMULS:
        return call if call in CALLS_OF_MATMUL else MATMULS[base]
    if base in {"convolution", "conv", "convolution_overrideable"}:
        return call if call is not None and call.startswith("conv") else "conv"
    if base in {"reciprocal", "mul"} and call == "div":  # 1 / x
        return call
    if base == "vector_norm":
        return "norm" if call in {"norm", "normalize", "linalg_norm", "renorm", None} else call
    if base == "to_copy":
        return "to" if call is None or call in CASTS else call
    if base == "pow" and call == "square":
        return call
    if call in COMPOSED or (call or "").endswith(("lstm", "gru")):
        return call or base
    return base


def _called(name: str) -> str:
    plain = name.strip("_")
    for prefix in ("r", "i"):
        if plain.removeprefix(prefix) in {"add", "sub", "mul", "div", "truediv", "pow", "matmul"}:
            plain = plain.removeprefix(prefix)
    return {"truediv": "div", "linalg_vector_norm": "norm", "linalg_norm": "norm"}.get(plain, plain)


def writes_its_own(call: str | None) -> bool:
    """Whether a function of torch writes NaN itself, with operators that otherwise write what the user gave."""
    return call in {"logdet", "quantile", "nanquantile"}


def moves(func: torch._ops.OpOverload) -> bool:
    """Whether the operator computes nothing: its bad values were bad before."""
    return func.is_view or base_name(func) in MOVES


def fills(func: torch._ops.OpOverload) -> bool:
    """Whether the operator writes a constant that it was given."""
    return base_name(func) in FILLS


def is_uninitialised(func: torch._ops.OpOverload) -> bool:
    """Whether the operator's result is memory as it happens to be."""
    return base_name(func) in UNINITIALISED
