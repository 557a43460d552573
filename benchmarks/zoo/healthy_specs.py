"""Healthy runs as specs: each looks suspicious in one way, and a practitioner would leave it alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

Spec = dict[str, Any]

DATA = Path(__file__).parents[2] / "sample_configs" / "data"
ADAM = {"adam": {"lr": 2e-3}}


def digits(layers: list[Any], *, optimizer: Spec = ADAM, epochs: int = 15, data: Spec | None = None, **more: Any) -> Spec:
    """A classifier of the 8x8 digits; ``data`` and ``train`` are merged into what is usual."""
    source = {"npz": {"path": str(DATA / "digits.npz"), "input": "x", "target": "y"}, "split": {"val": 0.2}}
    return {
        "version": 1,
        "data": source | {"batch_size": 64, "normalize": "standard"} | (data or {}),
        "model": {"layers": layers},
        "optimizer": optimizer,
        "train": {"epochs": epochs} | more.pop("train", {}),
        **more,
    }


def iris(layers: list[Any], *, optimizer: Spec = ADAM, epochs: int = 40, data: Spec | None = None, **more: Any) -> Spec:
    """A classifier of the irises."""
    source = {"csv": {"path": str(DATA / "iris.csv"), "target": "species"}, "split": {"val": 0.2}, "normalize": "standard"}
    return digits(layers, optimizer=optimizer, epochs=epochs, **more) | {"data": source | {"batch_size": 16} | (data or {})}


def diabetes(layers: list[Any], *, optimizer: Spec = ADAM, epochs: int = 30, **more: Any) -> Spec:
    """A regression where half of the variance is noise."""
    source = {"csv": {"path": str(DATA / "diabetes.csv"), "target": "progression"}, "split": {"val": 0.2}}
    scaled = {"batch_size": 32, "normalize": "standard", "normalize_target": "standard"}
    return digits(layers, optimizer=optimizer, epochs=epochs, **more) | {"data": source | scaled}


def made(generator: Spec, layers: list[Any], *, optimizer: Spec = ADAM, epochs: int = 30, **more: Any) -> Spec:
    """A run on synthetic data."""
    source = {"synthetic": generator, "split": {"val": 0.2}, "batch_size": 32}
    return digits(layers, optimizer=optimizer, epochs=epochs, **more) | {"data": source}


def mlp(activation: str, width: int = 64, depth: int = 2) -> list[Any]:
    """``depth`` hidden layers before ten outputs."""
    hidden = [part for _ in range(depth) for part in ({"linear": width}, activation)]
    return ["flatten", *hidden, {"linear": 10}]


def residual(inner: list[Any], blocks: int, before_head: list[Any]) -> list[Any]:
    """A stem of 48, ``blocks`` residual blocks and a head."""
    return ["flatten", {"linear": 48}, *[{"residual": inner} for _ in range(blocks)], *before_head, {"linear": 10}]


def transformer(*, norm_first: bool, layers: int = 3) -> list[Any]:
    """Eight rows of a digit as tokens."""
    layer = {"transformer_encoder_layer": {"nhead": 4, "dim_feedforward": 64, "dropout": 0.1, "norm_first": norm_first}}
    return [{"linear": 32}, *[layer] * layers, *(["layer_norm"] if norm_first else []), "flatten", {"linear": 10}]


def convolutions(*, norm: bool = True) -> list[Any]:
    """Two convolutions, pooled."""
    norms = ["batch_norm"] if norm else []
    conv = [{"conv2d": {"out_channels": c, "kernel_size": 3, "padding": 1, "bias": not norm}} for c in (12, 24)]
    first = [conv[0], *norms, "relu", {"max_pool2d": 2}]
    return [{"reshape": [1, 8, 8]}, *first, conv[1], *norms, "relu", "global_avg_pool", {"linear": 10}]


def convolutions_with_dropout() -> list[Any]:
    """Two convolutions and a dropped-out head."""
    conv = {"conv2d": {"out_channels": 16, "kernel_size": 3, "padding": 1}}
    return [
        {"reshape": [1, 8, 8]},
        conv,
        "relu",
        conv,
        "relu",
        {"max_pool2d": 2},
        "flatten",
        {"dropout": 0.5},
        {"linear": 10},
    ]


def transfer(*, freeze: list[str], epochs: int, **data: Any) -> Spec:
    """The digits 5 to 9 on top of what was learnt on 0 to 4."""
    layers: list[Any] = [{"reshape": [1, 8, 8]}]
    for i, channels in ((1, 16), (2, 32)):
        conv = {"out_channels": channels, "kernel_size": 3, "padding": 1, "bias": False, "name": f"conv{i}"}
        layers += [{"conv2d": conv}, {"batch_norm": {"name": f"norm{i}"}}, "relu", *([{"max_pool2d": 2}] if i == 1 else [])]
    spec = digits([*layers, "flatten", {"linear": {"out_features": 5, "name": "head"}}], epochs=epochs)
    spec["data"] |= {"classes": [5, 6, 7, 8, 9], "batch_size": 32} | data
    spec["model"]["pretrained"] = {"weights": str(DATA / "digits_0_to_4.safetensors"), "freeze": freeze, "skip": ["head"]}
    return spec | {"optimizer": {"adamw": {"lr": 1e-2 if "conv*" in freeze else 1e-3}}}


SGD = {"sgd": {"lr": 0.1, "momentum": 0.9, "nesterov": True}}
CONV_BLOCK = [{"linear": 48}, "relu", {"linear": {"out_features": 48, "init": "zeros"}}]
RARE = {"linear": {"out_features": 256, "init": {"weight": "kaiming_normal", "bias": {"constant": -2.0}}}}
AUGMENT = [{"shift": 1}, {"rotate": 15}, {"scale": 0.15}, {"noise": 0.3}]

SPECS: dict[str, Spec] = {
    "relu_mlp": digits(mlp("relu")),
    "gelu_mlp": digits(mlp("gelu", depth=3)),
    "silu_mlp": digits(mlp("silu", depth=3)),
    "tanh_mlp": digits(mlp("tanh", depth=3)),
    "sigmoid_mlp": digits(mlp("sigmoid"), optimizer={"adam": {"lr": 1e-2}}, epochs=25),
    "iris_one_by_one": iris(
        [{"linear": 16}, "relu", {"linear": 3}], optimizer={"sgd": 0.01}, data={"batch_size": 1}, epochs=20
    ),
    "iris_full_batch": iris(
        [{"linear": 16}, "tanh", {"linear": 3}],
        optimizer={"sgd": {"lr": 0.3, "momentum": 0.9}},
        data={"batch_size": "full"},
        epochs=150,
    ),
    "iris_lbfgs": iris(
        [{"linear": 8}, "tanh", {"linear": 3}],
        optimizer={"lbfgs": {"line_search_fn": "strong_wolfe", "max_iter": 5}},
        data={"batch_size": "full"},
        regularize={"l2": 1e-2},
        epochs=20,
    ),
    "iris_small_val": iris([{"linear": 16}, "relu", {"linear": 3}], data={"split": {"val": 20}}, epochs=60),
    "iris_logistic": iris([{"linear": 3}], optimizer={"adam": {"lr": 0.05}}, epochs=60),
    "no_val": digits(mlp("relu"), data={"split": None}),
    "small_val": digits(mlp("relu"), data={"split": {"val": 20}}),
    "tiny_batches": digits(mlp("relu", 32), optimizer={"sgd": 0.02}, data={"batch_size": 4}, epochs=8),
    "full_batch": digits(
        mlp("relu"), optimizer={"sgd": {"lr": 0.2, "momentum": 0.9}}, data={"batch_size": "full"}, epochs=120
    ),
    "deep_residual_no_norm": digits(residual(CONV_BLOCK, 12, [])),
    "deep_residual_norm": digits(residual(["batch_norm", "relu", {"linear": 48}], 14, ["batch_norm", "relu"]), epochs=20),
    "deep_residual_layer_norm": digits(residual(["layer_norm", {"linear": 48}, "gelu"], 14, ["layer_norm"])),
    "pre_ln_transformer": digits(transformer(norm_first=True), schedule={"cosine": {"warmup": 50}}),
    "post_ln_transformer": digits(transformer(norm_first=False), schedule={"cosine": {"warmup": 50}}),
    "lstm": digits([{"lstm": 48}, {"linear": 10}], optimizer={"adam": {"lr": 5e-3}}, train={"clip_norm": 1.0}),
    "gru": digits([{"gru": 48}, {"linear": 10}], optimizer={"adam": {"lr": 5e-3}}),
    "bidirectional_lstm": digits(
        [{"lstm": {"hidden_size": 24, "bidirectional": True}}, {"linear": 10}], optimizer={"adam": {"lr": 5e-3}}
    ),
    "cnn_high_rate": digits(convolutions(), optimizer=SGD, schedule="cosine", epochs=12),
    "cnn_constant_high_rate": digits(convolutions(), optimizer=SGD, epochs=12),
    "cnn_plain": digits(convolutions(norm=False), optimizer={"adam": {"lr": 3e-3}}, epochs=25),
    "adagrad": digits(mlp("relu"), optimizer={"adagrad": 0.02}),
    "rmsprop": digits(mlp("relu"), optimizer={"rmsprop": 1e-3}),
    "nadam": digits(mlp("relu"), optimizer={"nadam": 2e-3}),
    "adadelta": digits(mlp("relu"), optimizer={"adadelta": 1.0}),
    "dropout": digits(
        ["flatten", {"linear": 128}, "relu", {"dropout": 0.5}, {"linear": 128}, "relu", {"dropout": 0.5}, {"linear": 10}]
    ),
    "dropout_cnn": digits(convolutions_with_dropout(), epochs=12),
    "label_smoothing": digits(mlp("relu"), loss={"cross_entropy": {"label_smoothing": 0.1}}),
    "augmentation": digits(convolutions(), data={"augment": AUGMENT}, optimizer={"adam": {"lr": 1e-2}}, epochs=20),
    "weight_decay": digits(mlp("relu"), optimizer={"adamw": {"lr": 5e-3, "weight_decay": 0.5}}),
    "l1_and_max_norm": digits(mlp("relu"), regularize={"l1": 1e-4, "max_norm": 2.0}),
    "frozen_backbone": transfer(freeze=["conv*", "norm*"], epochs=15),
    "frozen_norms": transfer(freeze=["norm*"], epochs=10),
    "short_fine_tuning": transfer(freeze=[], epochs=3, batch_size=16),
    "sparse_relu": digits(["flatten", RARE, "relu", {"linear": 10}]),
    "zero_head": digits([*mlp("relu")[:-1], {"linear": {"out_features": 10, "init": "zeros"}}]),
    "gaussian_nll": made(
        {"sinusoid": {"n": 800, "noise": 0.2}},
        [{"linear": 32}, "tanh", {"linear": 32}, "tanh", {"linear": 2}],
        loss="gaussian_nll",
        epochs=60,
    ),
    "hinge": digits(mlp("relu"), loss="hinge"),
    "squared_hinge": digits(mlp("relu"), loss={"hinge": {"squared": True}}),
    "terms": digits(mlp("relu"), loss={"terms": {"main": "cross_entropy", "margin": {"hinge": {"weight": 0.1}}}}),
    "diabetes_noise": diabetes([{"linear": 16}, "tanh", {"linear": 1}], loss="mse", regularize={"l2": 1e-2}),
    "diabetes_linear": diabetes([{"linear": 1}], optimizer={"sgd": 0.01}, loss="mse"),
    "diabetes_l1": diabetes([{"linear": 1}], optimizer={"adam": {"lr": 1e-2}}, loss="l1"),
    "linear_task": made(
        {"linear": {"n": 600, "features": 8, "noise": 0.5}}, [{"linear": 16}, "relu", {"linear": 1}], loss="mse"
    ),
    "sinusoid_noisy": made(
        {"sinusoid": {"n": 1500, "noise": 0.7}}, [{"linear": 32}, "tanh", {"linear": 32}, "tanh", {"linear": 1}], epochs=40
    ),
    "overlapping_blobs": made(
        {"blobs": {"n": 900, "features": 2, "classes": 3, "spread": 4.0}}, [{"linear": 16}, "relu", {"linear": 3}]
    ),
    "xor": made(
        {"xor": {"n": 600}}, [{"linear": 16}, "tanh", {"linear": 2}], optimizer={"sgd": {"lr": 0.1, "momentum": 0.9}}
    ),
    "spirals": made(
        {"spirals": {"n": 800, "turns": 1.0}},
        [{"linear": 64}, "relu", {"linear": 64}, "relu", {"linear": 2}],
        optimizer={"adam": {"lr": 1e-2}},
        epochs=60,
    ),
    "softmax_from_probabilities": digits([*mlp("relu"), "softmax"], loss={"cross_entropy": {"from_logits": False}}),
    "log_softmax_nll": digits([*mlp("relu"), "log_softmax"], loss="nll"),
    "accumulate": digits(mlp("relu"), data={"batch_size": 16}, train={"accumulate": 4}),
    "clip_bites": digits(mlp("relu"), optimizer={"sgd": {"lr": 0.5}}, train={"clip_norm": 0.2}),
    "bf16": digits(mlp("gelu"), train={"precision": "bf16"}),
    "fp64": digits(mlp("relu"), train={"precision": "fp64"}),
    "one_cycle": digits(
        convolutions(), optimizer={"sgd": {"lr": 0.02, "momentum": 0.9}}, schedule={"one_cycle": 0.5}, epochs=12
    ),
    "plateau_schedule": digits(
        mlp("relu"), optimizer={"sgd": {"lr": 0.1, "momentum": 0.9}}, schedule={"plateau": {"patience": 2}}, epochs=25
    ),
    "early_stopping": digits(mlp("relu"), epochs=60, train={"early_stopping": {"patience": 5}}),
}
