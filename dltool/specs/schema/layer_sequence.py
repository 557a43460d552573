"""Layers over sequences (N, T, F), batch first: recurrent and attention."""

from typing import ClassVar, Literal

from dltool.specs.schema.layer_base import Weighted
from dltool.specs.schema.types import Count, Flag, Positive, Probability, Whole


class Recurrent(Weighted):
    """Base of rnn, lstm and gru."""

    first: ClassVar[str | None] = "hidden_size"
    input_size: Count | None = None
    hidden_size: Count
    num_layers: Count = 1
    bias: Flag = True
    dropout: Probability = 0.0
    bidirectional: Flag = False
    output: Literal["last", "sequence"] = "last"
    """last: (N, H), the state after each sequence's own last step, both directions side by side; sequence: (N, T, H)."""


class Rnn(Recurrent):
    """Elman network."""

    kind: ClassVar[str] = "rnn"
    nonlinearity: Literal["tanh", "relu"] = "tanh"


class Lstm(Recurrent):
    """Long short-term memory; ``proj_size`` above 0 projects the hidden state."""

    kind: ClassVar[str] = "lstm"
    proj_size: Whole = 0


class Gru(Recurrent):
    """Gated recurrent unit."""

    kind: ClassVar[str] = "gru"


class MultiheadAttention(Weighted):
    """Self-attention: (N, T, F) to (N, T, F)."""

    kind: ClassVar[str] = "multihead_attention"
    first: ClassVar[str | None] = "num_heads"
    embed_dim: Count | None = None
    num_heads: Count
    dropout: Probability = 0.0
    bias: Flag = True
    add_bias_kv: Flag = False
    add_zero_attn: Flag = False


class TransformerEncoderLayer(Weighted):
    """Self-attention and a feed-forward net, each with a residual and a layer norm: (N, T, F) to (N, T, F)."""

    kind: ClassVar[str] = "transformer_encoder_layer"
    first: ClassVar[str | None] = "nhead"
    d_model: Count | None = None
    nhead: Count
    dim_feedforward: Count = 2048
    dropout: Probability = 0.1
    activation: Literal["relu", "gelu"] = "relu"
    layer_norm_eps: Positive = 1e-5
    norm_first: Flag = False
    bias: Flag = True
