"""Well-known architectures as specs: nothing at warning level or above may be said of them."""

import pytest
from design_specs import designed, told

ADAM = "loss: cross_entropy\noptimizer: {adam: {lr: 1e-3}}\ntrain: {epochs: 20}"
SGD = "loss: cross_entropy\noptimizer: {sgd: {lr: 0.1, momentum: 0.9, weight_decay: 5e-4}}\nschedule: cosine"
MSE = "loss: mse\noptimizer: {adam: {lr: 1e-3}}"

HEALTHY = {
    "lenet": (
        """
        - reshape: [1, 28, 28]
        - conv2d: {out_channels: 6, kernel_size: 5, padding: 2}
        - tanh
        - avg_pool2d: 2
        - conv2d: {out_channels: 16, kernel_size: 5}
        - tanh
        - avg_pool2d: 2
        - flatten
        - linear: 120
        - tanh
        - linear: 84
        - tanh
        - linear: 10
        """,
        "grey classes-10",
        "loss: cross_entropy\noptimizer: {sgd: {lr: 0.05}}",
    ),
    "alexnet-like": (
        """
        - conv2d: {out_channels: 64, kernel_size: 5, stride: 2, padding: 2}
        - relu
        - max_pool2d: {kernel_size: 3, stride: 2}
        - conv2d: {out_channels: 192, kernel_size: 5, padding: 2}
        - relu
        - max_pool2d: {kernel_size: 3, stride: 2}
        - conv2d: {out_channels: 384, kernel_size: 3, padding: 1}
        - relu
        - conv2d: {out_channels: 256, kernel_size: 3, padding: 1}
        - relu
        - conv2d: {out_channels: 256, kernel_size: 3, padding: 1}
        - relu
        - flatten
        - dropout: 0.5
        - linear: 1024
        - relu
        - dropout: 0.5
        - linear: 1024
        - relu
        - linear: 10
        """,
        "pictures classes-10",
        "loss: cross_entropy\noptimizer: {sgd: {lr: 0.01, momentum: 0.9, weight_decay: 5e-4}}",
    ),
    "vgg-block with batch norm and biases": (
        """
        - conv2d: {out_channels: 64, kernel_size: 3, padding: 1}
        - batch_norm
        - relu
        - conv2d: {out_channels: 64, kernel_size: 3, padding: 1}
        - batch_norm
        - relu
        - max_pool2d: 2
        - conv2d: {out_channels: 128, kernel_size: 3, padding: 1}
        - batch_norm
        - relu
        - max_pool2d: 2
        - flatten
        - linear: 256
        - relu
        - dropout: 0.5
        - linear: 10
        """,
        "pictures classes-10",
        SGD,
    ),
    "resnet with projections": (
        """
        init: {kaiming_normal: {nonlinearity: relu, mode: fan_out}}
        layers:
          - conv2d: {out_channels: 16, kernel_size: 3, padding: 1, bias: false}
          - batch_norm
          - relu
          - residual:
              layers:
                - conv2d: {out_channels: 32, kernel_size: 3, stride: 2, padding: 1, bias: false}
                - batch_norm
                - relu
                - conv2d: {out_channels: 32, kernel_size: 3, padding: 1, bias: false}
                - batch_norm: {init: zeros}
              shortcut:
                - conv2d: {out_channels: 32, kernel_size: 1, stride: 2, bias: false}
                - batch_norm
          - relu
          - residual:
              - conv2d: {out_channels: 64, kernel_size: 3, stride: 2, padding: 1, bias: false}
              - batch_norm
              - relu
              - conv2d: {out_channels: 64, kernel_size: 3, padding: 1, bias: false}
              - batch_norm
          - relu
          - global_avg_pool
          - linear: 10
        """,
        "pictures classes-10",
        SGD,
    ),
    "wide resnet with dropout": (
        """
        - conv2d: {out_channels: 16, kernel_size: 3, padding: 1, bias: false}
        - residual:
            - batch_norm
            - relu
            - conv2d: {out_channels: 64, kernel_size: 3, padding: 1, bias: false}
            - dropout: 0.3
            - batch_norm
            - relu
            - conv2d: {out_channels: 64, kernel_size: 3, padding: 1, bias: false}
        - batch_norm
        - relu
        - global_avg_pool
        - linear: 10
        """,
        "pictures classes-10",
        SGD,
    ),
    "mobilenet v2 block": (
        """
        - conv2d: {out_channels: 32, kernel_size: 3, stride: 2, padding: 1, bias: false}
        - batch_norm
        - relu6
        - conv2d: {out_channels: 32, kernel_size: 3, padding: 1, groups: 32, bias: false}
        - batch_norm
        - relu6
        - conv2d: {out_channels: 16, kernel_size: 1, bias: false}
        - batch_norm
        - conv2d: {out_channels: 96, kernel_size: 1, bias: false}
        - batch_norm
        - relu6
        - conv2d: {out_channels: 96, kernel_size: 3, padding: 1, groups: 96, stride: 2, bias: false}
        - batch_norm
        - relu6
        - conv2d: {out_channels: 24, kernel_size: 1, bias: false}
        - batch_norm
        - conv2d: {out_channels: 128, kernel_size: 1, bias: false}
        - batch_norm
        - relu6
        - global_avg_pool
        - dropout: 0.2
        - linear: 10
        """,
        "pictures classes-10",
        "loss: {cross_entropy: {label_smoothing: 0.1}}\noptimizer: {rmsprop: {lr: 4e-3, momentum: 0.9}}",
    ),
    "separable convolutions without activation between": (
        """
        - conv2d: {out_channels: 8, kernel_size: 3, padding: 1, groups: 8}
        - conv2d: {out_channels: 32, kernel_size: 1}
        - relu
        - conv2d: {out_channels: 32, kernel_size: [1, 5], padding: [0, 2]}
        - conv2d: {out_channels: 32, kernel_size: [5, 1], padding: [2, 0]}
        - relu
        - global_max_pool
        - linear: 4
        """,
        "maps classes-4",
        ADAM,
    ),
    "all-convolutional": (
        """
        - conv2d: {out_channels: 32, kernel_size: 3, padding: 1}
        - relu
        - conv2d: {out_channels: 64, kernel_size: 3, stride: 2, padding: 1}
        - relu
        - conv2d: {out_channels: 10, kernel_size: 1}
        - global_avg_pool
        """,
        "pictures classes-10",
        "loss: cross_entropy\noptimizer: {sgd: {lr: 0.05, momentum: 0.9}}",
    ),
    "convolution, pool, no other activation": (
        """
        - conv2d: {out_channels: 16, kernel_size: 3}
        - max_pool2d: 2
        - conv2d: {out_channels: 32, kernel_size: 3}
        - max_pool2d: 2
        - flatten
        - linear: 10
        """,
        "pictures classes-10",
        ADAM,
    ),
    "autoencoder of pictures in [0, 1]": (
        """
        - linear: 128
        - relu
        - linear: 16
        - relu
        - linear: 128
        - relu
        - linear: 784
        - sigmoid
        """,
        "unitpictures self",
        MSE,
    ),
    "autoencoder of pictures in [0, 1] by bce": (
        """
        - linear: 128
        - relu
        - linear: 784
        - sigmoid
        """,
        "unitpictures self",
        "loss: bce\noptimizer: {adam: {lr: 1e-3}}",
    ),
    "linear autoencoder (PCA)": (
        """
        - linear: 4
        - linear: 20
        """,
        "vectors self",
        MSE,
    ),
    "lstm classifier": (
        """
        - lstm: 32
        - dropout: 0.5
        - linear: 3
        """,
        "series classes-3",
        "loss: cross_entropy\noptimizer: {adam: {lr: 5e-3}}\ntrain: {clip_norm: 1.0}",
    ),
    "stacked lstm on an embedding": (
        """
        - embedding: {num_embeddings: 50, embedding_dim: 16}
        - lstm: {hidden_size: 32, num_layers: 2, dropout: 0.5, bidirectional: true}
        - linear: 3
        """,
        "tokens classes-3",
        ADAM,
    ),
    "zaremba language model rate": (
        """
        - embedding: {num_embeddings: 50, embedding_dim: 32}
        - lstm: {hidden_size: 32, output: sequence}
        - dropout: 0.5
        - linear: 4
        """,
        "tokens steps",
        "loss: cross_entropy\noptimizer: {sgd: {lr: 1.0}}\ntrain: {clip_norm: 5.0}",
    ),
    "awd-lstm rate": (
        """
        - embedding: {num_embeddings: 50, embedding_dim: 32}
        - lstm: {hidden_size: 32, output: sequence}
        - linear: 4
        """,
        "tokens steps",
        "loss: cross_entropy\noptimizer: {sgd: {lr: 30, weight_decay: 1.2e-6}}\ntrain: {clip_norm: 0.25}",
    ),
    "gru tagger": (
        """
        - gru: {hidden_size: 24, output: sequence}
        - linear: 4
        """,
        "series steps",
        ADAM,
    ),
    "projection before a recurrent layer": (
        """
        - linear: 16
        - gru: 16
        - linear: 1
        """,
        "series normal",
        MSE,
    ),
    "transformer encoder": (
        """
        - embedding: {num_embeddings: 50, embedding_dim: 32}
        - transformer_encoder_layer: {nhead: 4, dim_feedforward: 64}
        - transformer_encoder_layer: {nhead: 4, dim_feedforward: 64}
        - global_avg_pool: {dim: 1}
        - layer_norm
        - linear: 3
        """,
        "tokens classes-3",
        "loss: cross_entropy\noptimizer: {adamw: {lr: 5e-4, weight_decay: 0.1}}\nschedule: {cosine: {warmup: 100}}",
    ),
    "attention in residual branches": (
        """
        - linear: 32
        - residual: [layer_norm, {multihead_attention: {num_heads: 4}}]
        - residual: [layer_norm, {linear: 64}, gelu, {linear: 32, init: zeros}]
        - layer_norm
        - global_avg_pool: {dim: 1}
        - linear: 3
        """.replace("{linear: 32, init: zeros}", "{linear: {out_features: 32, init: zeros}}"),
        "series classes-3",
        "loss: cross_entropy\noptimizer: {adamw: {lr: 3e-4, weight_decay: 0.3}}",
    ),
    "vision transformer": (
        """
        - conv2d: {out_channels: 32, kernel_size: 8, stride: 8}
        - reshape: [32, 16]
        - transformer_encoder_layer: {nhead: 4, dim_feedforward: 64, norm_first: true, activation: gelu}
        - transformer_encoder_layer: {nhead: 4, dim_feedforward: 64, norm_first: true, activation: gelu}
        - layer_norm
        - flatten
        - linear: 10
        """,
        "pictures classes-10",
        "loss: {cross_entropy: {label_smoothing: 0.1}}\noptimizer: {adamw: {lr: 1e-3, weight_decay: 0.3}}",
    ),
    "mlp-mixer like": (
        """
        - conv2d: {out_channels: 32, kernel_size: 8, stride: 8}
        - reshape: [32, 16]
        - residual: [layer_norm, {linear: 64}, gelu, {linear: 16}]
        - residual: [layer_norm, {linear: 64}, gelu, {linear: 16}]
        - layer_norm
        - global_avg_pool: {dim: 2}
        - linear: 10
        """,
        "pictures classes-10",
        ADAM,
    ),
    "self-normalising net": (
        """
        init: lecun_normal
        layers:
          - linear: 64
          - selu
          - linear: 64
          - selu
          - linear: 64
          - selu
          - linear: 64
          - selu
          - linear: 64
          - selu
          - linear: 64
          - selu
          - linear: 64
          - selu
          - linear: 64
          - selu
          - linear: 3
        """,
        "vectors classes-3",
        "loss: cross_entropy\noptimizer: {sgd: {lr: 0.01, momentum: 0.9}}",
    ),
    "deep sets": (
        """
        - linear: 64
        - relu
        - linear: 32
        - global_avg_pool: {dim: 1}
        - linear: 64
        - relu
        - linear: 1
        """.replace("- linear: 32\n        - global", "- linear: 32\n        - relu\n        - global"),
        "series normal",
        MSE,
    ),
    "point net": (
        """
        - linear: 64
        - relu
        - linear: 128
        - global_max_pool: {dim: 1}
        - linear: 3
        """,
        "series classes-3",
        ADAM,
    ),
    "word2vec-like": (
        """
        - embedding: {num_embeddings: 50, embedding_dim: 8}
        - global_avg_pool: {dim: 1}
        - linear: {out_features: 50, bias: false}
        """,
        "tokens classes-50",
        "loss: cross_entropy\noptimizer: {sgd: {lr: 0.025}}",
    ),
    "cbow with a linear hidden layer": (
        """
        - linear: {out_features: 5, bias: false}
        - linear: {out_features: 20, bias: false}
        """,
        "vectors classes-20",
        ADAM,
    ),
    "linear regression": ("- linear: 1", "vectors normal", "loss: mse\noptimizer: {sgd: {lr: 0.1}}"),
    "ridge regression": (
        "- linear: 1",
        "vectors normal ; batch_size: full",
        "loss: mse\noptimizer: {lbfgs: {lr: 1.0}}\nregularize: {l2: 1.0}",
    ),
    "logistic regression from zeros": (
        """
        init: zeros
        layers:
          - linear: 1
        """,
        "vectors binary",
        "loss: bce_with_logits\noptimizer: {sgd: {lr: 1.0}}",
    ),
    "softmax regression": ("- linear: 3", "vectors classes-3", "loss: cross_entropy\noptimizer: {sgd: {lr: 0.5}}"),
    "poisson regression": ("- linear: 1", "vectors counts", "loss: poisson\noptimizer: {adam: {lr: 1e-2}}"),
    "poisson regression of rates": (
        "[{linear: 16}, relu, {linear: 1}, softplus]",
        "vectors counts",
        "loss: {poisson: {log_input: false}}\noptimizer: {adam: {lr: 1e-3}}",
    ),
    "median regression": ("[{linear: 16}, relu, {linear: 1}]", "vectors normal", "loss: l1\noptimizer: {adam: {lr: 1e-3}}"),
    "mean and variance": (
        "[{linear: 16}, tanh, {linear: 2}]",
        "vectors normal",
        "loss: gaussian_nll\noptimizer: {adam: {lr: 1e-3}}",
    ),
    "counts through a ReLU": ("[{linear: 16}, relu, {linear: 1}, relu]", "vectors counts", MSE),
    "positive numbers through a softplus": ("[{linear: 16}, relu, {linear: 1}, softplus]", "vectors positive", MSE),
    "tanh for a noisy sine": ("[{linear: 16}, tanh, {linear: 1}, tanh]", "vectors noisysine", MSE),
    "sigmoid for shares": ("[{linear: 16}, relu, {linear: 1}, sigmoid]", "vectors unit", MSE),
    "svm": (
        "[{linear: 32}, relu, {linear: 3}]",
        "vectors classes-3",
        "loss: hinge\noptimizer: {sgd: {lr: 0.02}}\nregularize: {l2: 1e-3}",
    ),
    "tanh and hinge on signs": ("[{linear: 8}, relu, {linear: 1}, tanh]", "vectors signs", MSE),
    "gan discriminator": (
        """
        init: {normal: {std: 0.02}}
        layers:
          - conv2d: {out_channels: 32, kernel_size: 4, stride: 2, padding: 1, bias: false}
          - leaky_relu: 0.2
          - conv2d: {out_channels: 64, kernel_size: 4, stride: 2, padding: 1, bias: false}
          - batch_norm
          - leaky_relu: 0.2
          - conv2d: {out_channels: 1, kernel_size: 8, bias: false}
          - sigmoid
          - flatten
        """,
        "pictures binary",
        "loss: bce\noptimizer: {adam: {lr: 2e-4, betas: [0.5, 0.999]}}",
    ),
    "many labels a sample": (
        "[{linear: 32}, relu, {linear: 6}]",
        "vectors tags",
        "loss: bce_with_logits\noptimizer: {adam: {lr: 1e-3}}",
    ),
    "one yes or no for each class": (
        "[{linear: 32}, relu, {linear: 5}]",
        "vectors onehot",
        "loss: bce_with_logits\noptimizer: {adam: {lr: 1e-3}}",
    ),
    "distillation": (
        "[{linear: 32}, relu, {linear: 5}]",
        "vectors shares",
        "loss: cross_entropy\noptimizer: {adam: {lr: 1e-3}}",
    ),
    "distillation by kl": (
        "[{linear: 32}, relu, {linear: 5}, log_softmax]",
        "vectors shares",
        "loss: kl_div\noptimizer: {adam: {lr: 1e-3}}",
    ),
    "log-softmax and nll": ("[{linear: 32}, relu, {linear: 3}, log_softmax]", "vectors classes-3", "loss: nll"),
    "log-softmax and cross-entropy": ("[{linear: 32}, relu, {linear: 3}, log_softmax]", "vectors classes-3", ADAM),
    "brier score": ("[{linear: 32}, relu, {linear: 5}]", "vectors onehot", MSE),
    "keras mlp": (
        """
        init: xavier_uniform
        layers:
          - linear: 64
          - relu
          - dropout: 0.5
          - linear: 64
          - relu
          - dropout: 0.5
          - linear: 5
          - softmax
        """,
        "vectors onehot",
        "loss: {cross_entropy: {from_logits: false}}\noptimizer: {rmsprop: {lr: 1e-3, alpha: 0.9, eps: 1e-7}}",
    ),
    "keras mnist convnet": (
        """
        init: xavier_uniform
        layers:
          - reshape: [1, 28, 28]
          - conv2d: {out_channels: 32, kernel_size: 3}
          - relu
          - max_pool2d: 2
          - conv2d: {out_channels: 64, kernel_size: 3}
          - relu
          - max_pool2d: 2
          - flatten
          - dropout: 0.5
          - linear: 10
          - softmax
        """,
        "grey classes-10",
        "loss: {cross_entropy: {from_logits: false}}\noptimizer: {adadelta: {lr: 1.0}}",
    ),
    "keras imdb lstm": (
        """
        - embedding: {num_embeddings: 50, embedding_dim: 32}
        - lstm: 32
        - linear: 1
        - sigmoid
        """,
        "tokens binary",
        "loss: bce\noptimizer: {adam: {lr: 1e-3}}",
    ),
    "one-cycle super-convergence": (
        "[{linear: 64}, batch_norm, relu, {linear: 64}, batch_norm, relu, {linear: 3}]",
        "vectors classes-3",
        "loss: cross_entropy\noptimizer: {sgd: {lr: 0.1, momentum: 0.9}}\nschedule: {one_cycle: {max_lr: 3.0}}",
    ),
    "classes named in words": ("[{linear: 32}, relu, {linear: 3}]", "vectors words", ADAM),
    "xor in the small": (
        "[{linear: 8}, tanh, {linear: 1}]",
        "vectors binary",
        "loss: bce_with_logits\noptimizer: {adam: {lr: 0.1}}",
    ),
    "signal by 1d convolutions": (
        """
        - conv1d: {out_channels: 16, kernel_size: 7, stride: 2, padding: 3}
        - relu
        - max_pool1d: 2
        - conv1d: {out_channels: 32, kernel_size: 3, dilation: 2, padding: same}
        - relu
        - global_avg_pool
        - linear: 3
        """,
        "signal classes-3",
        ADAM,
    ),
    "summed loss with a rate to match": (
        "[{linear: 32}, relu, {linear: 3}]",
        "vectors classes-3",
        "loss: {cross_entropy: {reduction: sum}}\noptimizer: {sgd: {lr: 1e-3}}",
    ),
}


@pytest.mark.parametrize(("model", "data", "rest"), HEALTHY.values(), ids=HEALTHY.keys())
def test_nothing_is_said_against_a_healthy_design(model, data, rest):
    assert [said for said in told(designed(model, data, rest)) if not said.startswith("info")] == []
