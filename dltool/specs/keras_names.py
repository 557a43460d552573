"""What names of Keras are called here: for the hint beside a name that is not known.

Only where a name is all that differs is it an alias (``glorot_uniform``); Keras' cross-entropies take probabilities unless
told otherwise, so that their users have to say which they mean.
"""

from __future__ import annotations

KERAS = {
    "dense": "linear",
    "conv1d": "conv1d",
    "conv2d": "conv2d",
    "conv3d": "conv3d",
    "maxpooling1d": "max_pool1d",
    "maxpooling2d": "max_pool2d",
    "maxpooling3d": "max_pool3d",
    "averagepooling1d": "avg_pool1d",
    "averagepooling2d": "avg_pool2d",
    "averagepooling3d": "avg_pool3d",
    "globalaveragepooling1d": "global_avg_pool",
    "globalaveragepooling2d": "global_avg_pool",
    "globalmaxpooling1d": "global_max_pool",
    "globalmaxpooling2d": "global_max_pool",
    "batchnormalization": "batch_norm",
    "layernormalization": "layer_norm",
    "groupnormalization": "group_norm",
    "gaussiannoise": "gaussian_noise",
    "simplernn": "rnn",
    "multiheadattention": "multihead_attention",
    "leakyrelu": "leaky_relu",
    "swish": "silu",
    "hardsigmoid": "hardsigmoid",
    "categoricalcrossentropy": "cross_entropy: {from_logits: false}",
    "sparsecategoricalcrossentropy": "cross_entropy: {from_logits: false}",
    "crossentropy": "cross_entropy",
    "binarycrossentropy": "bce",
    "meansquarederror": "mse",
    "meanabsoluteerror": "l1",
    "mae": "l1",
    "kldivergence": "kl_div",
    "kullbackleiblerdivergence": "kl_div",
    "logcosh": "log_cosh",
    "categoricalhinge": "hinge",
    "randomnormal": "normal",
    "randomuniform": "uniform",
    "truncatednormal": "truncated_normal",
    "glorotuniform": "glorot_uniform",
    "glorotnormal": "glorot_normal",
    "heuniform": "he_uniform",
    "henormal": "he_normal",
    "exponentialdecay": "exponential",
    "cosinedecay": "cosine",
    "reducelronplateau": "plateau",
}
"""By the name in lower case and without underscores: Keras writes ``Conv2D`` and ``sparse_categorical_crossentropy``."""


def keras_hint(name: str, known: list[str]) -> str | None:
    """What a name of Keras (or its class) is called among the names that are ``known``, with what must be said besides."""
    here = KERAS.get(name.lower().replace("_", ""))
    return here if here is not None and here.partition(":")[0] in known else None
