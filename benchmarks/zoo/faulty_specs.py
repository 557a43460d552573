"""Faults that a spec can have: a healthy sample with one thing changed, and the findings that may rightly come first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

DIGITS, CNN, LSTM = "digits_mlp", "digits_cnn", "digits_lstm"
TRANSFORMER, IRIS, DIABETES = "digits_transformer", "iris_mlp", "diabetes_regression"


@dataclass(frozen=True, slots=True)
class SpecFault:
    """``base`` is a file of sample_configs/healthy; in ``overrides`` @FILE stands for one that ``faulty_data`` writes.

    ``causes`` are names of rules, any of which may come first; "refused" stands for a clear message and no run.
    """

    name: str
    causes: tuple[str, ...]
    base: str
    overrides: tuple[str, ...]


def _net(hidden: Sequence[str], outputs: int = 10, init: str | None = None) -> tuple[str, ...]:
    layers = f"model.layers=[flatten, {', '.join(hidden)}, {{linear: {outputs}}}]"
    return (layers,) if init is None else (layers, f"model.init={init}")


def _deep(width: int, depth: int, activation: str, init: str, rate: str = "{sgd: {lr: 0.01}}") -> tuple[str, ...]:
    layer = (f"{{linear: {width}}}",) if activation == "linear" else (f"{{linear: {width}}}", activation)
    return (*_net(layer * depth, init=init), f"optimizer={rate}", "train={epochs: 10}")


def _rate(optimizer: str, rate: str, *more: str) -> tuple[str, ...]:
    return (f"optimizer={{{optimizer}: {{lr: {rate}}}}}", *more)


def _file(name: str, *more: str) -> tuple[str, ...]:
    return (f"data.npz={{path: '@{name}.npz', input: x, target: y}}", *more)


PLAIN = ("{linear: 64}", "relu", "{linear: 32}", "relu")
STARVED = "{linear: {out_features: 64, init: {weight: kaiming_normal, bias: {constant: -30}}}}"
HIGH, LOW = ("learning-rate-too-high",), ("learning-rate-too-low",)
VANISHING, EXPLODING = ("vanishing-gradient",), ("exploding-gradient",)
FLAT = ("saturated-activation",)

SPEC_FAULTS = (
    SpecFault("sigmoid 20x16, N(0,1)", VANISHING, DIGITS, _deep(16, 20, "sigmoid", "{normal: {std: 1.0}}")),
    SpecFault("sigmoid 20x32, N(0,0.01)", VANISHING, DIGITS, _deep(32, 20, "sigmoid", "{normal: {std: 0.01}}")),
    SpecFault(
        "sigmoid 20x64, N(0,1)",
        (*VANISHING, *FLAT, "surprising-initial-loss"),
        DIGITS,
        _deep(64, 20, "sigmoid", "{normal: {std: 1.0}}"),
    ),
    SpecFault("sigmoid 10x10, Xavier", VANISHING, DIGITS, _deep(10, 10, "sigmoid", "xavier_normal")),
    SpecFault(
        "sigmoid 8x32, Xavier, adam", VANISHING, DIGITS, _deep(32, 8, "sigmoid", "xavier_normal", "{adam: {lr: 1e-4}}")
    ),
    SpecFault("tanh 12x32, N(0,0.01)", VANISHING, DIGITS, _deep(32, 12, "tanh", "{normal: {std: 0.01}}")),
    SpecFault("relu 15x64, N(0,0.01)", VANISHING, DIGITS, _deep(64, 15, "relu", "{normal: {std: 0.01}}")),
    SpecFault("linear 10 x 0.5 I", VANISHING, DIGITS, _deep(64, 10, "linear", "{identity: {gain: 0.5}}")),
    SpecFault("linear 20 x 0.5 I", VANISHING, DIGITS, _deep(64, 20, "linear", "{identity: {gain: 0.5}}")),
    SpecFault("linear 50 x 0.5 I", VANISHING, DIGITS, _deep(64, 50, "linear", "{identity: {gain: 0.5}}")),
    SpecFault("linear 10 x 1.5 I", EXPLODING, DIGITS, _deep(64, 10, "linear", "{identity: {gain: 1.5}}")),
    SpecFault("linear 20 x 1.5 I", EXPLODING, DIGITS, _deep(64, 20, "linear", "{identity: {gain: 1.5}}")),
    SpecFault("linear 50 x 1.5 I", EXPLODING, DIGITS, _deep(64, 50, "linear", "{identity: {gain: 1.5}}")),
    SpecFault("relu 10x64, N(0,1)", EXPLODING, DIGITS, _deep(64, 10, "relu", "{normal: {std: 1.0}}")),
    SpecFault("dead by sgd 5", (*HIGH, "dead-relu"), DIGITS, ("optimizer={sgd: {lr: 5, momentum: 0.9}}",)),
    SpecFault("dead by adam 1", (*HIGH, "dead-relu"), DIGITS, _rate("adam", "1.0")),
    SpecFault("dead by bias -30", ("dead-relu",), DIGITS, _net((STARVED, "relu", "{linear: 32}", "relu"))),
    SpecFault(
        "tanh, N(0,3)",
        FLAT,
        DIGITS,
        (*_net(("{linear: 64}", "tanh") * 2, init="{normal: {std: 3.0}}"), *_rate("sgd", "0.01")),
    ),
    SpecFault(
        "sigmoid on 0..255",
        ("unnormalised-input", *FLAT),
        DIGITS,
        _file(
            "pixels",
            *_net(("{linear: 64}", "sigmoid") * 2, init="xavier_normal"),
            "data.normalize=none",
            *_rate("sgd", "0.01"),
        ),
    ),
    SpecFault("lstm gates, N(0,5)", FLAT, LSTM, ("model.init={normal: {std: 5.0}}", *_rate("sgd", "0.01"))),
    SpecFault("digits, sgd 10", HIGH, DIGITS, _rate("sgd", "10")),
    SpecFault("digits, sgd 100", HIGH, DIGITS, _rate("sgd", "100")),
    SpecFault("iris, sgd 30", HIGH, IRIS, _rate("sgd", "30")),
    SpecFault("diabetes, sgd 3", HIGH, DIABETES, _rate("sgd", "3")),
    SpecFault("lstm, adam 1", (*HIGH, *FLAT), LSTM, _rate("adam", "1.0")),
    SpecFault("transformer, adam 0.3", HIGH, TRANSFORMER, (*_rate("adam", "0.3"), "schedule=constant")),
    SpecFault("digits, sgd 1e-5", LOW, DIGITS, _rate("sgd", "1e-5")),
    SpecFault("digits, adam 1e-6", LOW, DIGITS, _rate("adam", "1e-6")),
    SpecFault("diabetes, sgd 1e-7", LOW, DIABETES, _rate("sgd", "1e-7")),
    SpecFault("cnn, sgd 1e-6", LOW, CNN, _rate("sgd", "1e-6")),
    SpecFault("all zeros", ("symmetric-units",), DIGITS, (*_net(PLAIN, init="zeros"), *_rate("sgd", "0.05"))),
    SpecFault("constant 0.1", ("symmetric-units",), DIGITS, (*_net(PLAIN, init="{constant: 0.1}"), *_rate("sgd", "0.05"))),
    SpecFault(
        "constant, noisy bias",
        ("symmetric-units", "not-converged", "underfitting"),
        DIGITS,
        (
            *_net(("{linear: 64}", "tanh") * 2),
            "model.init={weight: {constant: 0.05}, bias: {normal: {std: 0.01}}}",
            *_rate("sgd", "0.05"),
        ),
    ),
    SpecFault("diabetes, raw target", ("unnormalised-target",), DIABETES, ("data.normalize_target=none",)),
    SpecFault("raw target, sgd", ("unnormalised-target",), DIABETES, ("data.normalize_target=none", *_rate("sgd", "0.05"))),
    SpecFault(
        "digits 0..255, relu", ("unnormalised-input",), DIGITS, _file("pixels", "data.normalize=none", *_rate("sgd", "0.1"))
    ),
    SpecFault(
        "digits x 1e-4", ("unnormalised-input",), DIGITS, _file("faint", "data.normalize=none", *_rate("sgd", "0.05"))
    ),
    SpecFault(
        "bottleneck of one",
        ("underfitting",),
        DIGITS,
        (*_net(("{linear: 1}", "tanh")), *_rate("adam", "1e-2"), "train={epochs: 60}"),
    ),
    SpecFault(
        "circles, linear",
        ("underfitting", "no-better-than-trivial"),
        IRIS,
        (
            "data={synthetic: {circles: {n: 600, noise: 0.1}}, split: {val: 0.2}, batch_size: 32, normalize: standard}",
            *_net(("{linear: 16}", "{linear: 16}"), 2),
        ),
    ),
    SpecFault(
        "xor, linear",
        ("underfitting", "no-better-than-trivial"),
        IRIS,
        (
            "data={synthetic: {xor: {n: 600, noise: 0.1}}, split: {val: 0.2}, batch_size: 32, normalize: standard}",
            *_net(("{linear: 16}",), 2),
        ),
    ),
    SpecFault(
        "spirals, 2 units",
        ("underfitting",),
        IRIS,
        (
            "data={synthetic: {spirals: {n: 900, classes: 3, noise: 0.05}}, split: {val: 0.2}, normalize: standard}",
            "data.batch_size=32",
            *_net(("{linear: 2}", "relu"), 3),
        ),
    ),
    SpecFault(
        "60 patients by heart",
        ("overfitting",),
        DIABETES,
        (
            "data.limit=120",
            "data.split={val: 0.5}",
            *_net(("{linear: 128}", "relu") * 2, 1),
            "train={epochs: 100}",
            "~regularize",
        ),
    ),
    SpecFault(
        "half the labels wrong",
        ("overfitting",),
        DIGITS,
        _file("noisy", *_net(("{linear: 256}", "relu") * 2), "train={epochs: 30}"),
    ),
    SpecFault(
        "diabetes by heart",
        ("overfitting",),
        DIABETES,
        (*_net(("{linear: 256}", "relu") * 3, 1), "train={epochs: 60}", "~regularize"),
    ),
    SpecFault(
        "shuffled digits",
        ("shuffled-labels",),
        DIGITS,
        _file("shuffled", *_net(("{linear: 256}", "relu") * 2), "train={epochs: 30}"),
    ),
    SpecFault(
        "digits off by one row",
        ("shuffled-labels",),
        DIGITS,
        _file("misaligned", *_net(("{linear: 256}", "relu") * 2), "train={epochs: 30}"),
    ),
    SpecFault(
        "shuffled diabetes",
        ("shuffled-labels",),
        DIABETES,
        _file("diabetes_shuffled", *_net(("{linear: 256}", "relu") * 3, 1), "train={epochs: 60}", "~regularize"),
    ),
    SpecFault(
        "softmax in the spec",
        ("softmax-before-cross-entropy",),
        DIGITS,
        ("model.layers=[flatten, {linear: 64}, relu, {linear: 10}, softmax]", *_rate("sgd", "0.05")),
    ),
    SpecFault(
        "everything frozen",
        ("parameter-not-updated",),
        DIGITS,
        (
            "model.layers=[flatten, {linear: {out_features: 64}}, relu, {linear: {out_features: 10}}]",
            "model.layers.1.linear.frozen=true",
            "model.layers.3.linear.frozen=true",
            "train={epochs: 5}",
        ),
    ),
    SpecFault("three epochs, slow", ("not-converged", *LOW), DIGITS, (*_rate("sgd", "1e-3"), "train={epochs: 4}")),
    SpecFault("dead by sgd 0.5, momentum", (*HIGH, "dead-relu"), DIGITS, ("optimizer={sgd: {lr: 0.5, momentum: 0.9}}",)),
    SpecFault("dead by sgd 2", (*HIGH, "dead-relu"), DIGITS, _rate("sgd", "2.0")),
    SpecFault(
        "transformer, sgd 1",
        ("plateau", *HIGH, "oscillating-loss"),
        TRANSFORMER,
        (*_rate("sgd", "1.0", "train.clip_norm=null"), "schedule=constant"),
    ),
    SpecFault("one sample a step, sgd 1", (*HIGH, "oscillating-loss"), IRIS, ("data.batch_size=1", *_rate("sgd", "1"))),
    SpecFault(
        "full batch at the edge",
        ("oscillating-loss", *HIGH),
        DIABETES,
        ("data.batch_size=full", "model.layers=[{linear: 1}]", *_rate("sgd", "0.6"), "~regularize"),
    ),
    SpecFault(
        "weight decay 1",
        ("underfitting", "no-better-than-trivial", "ignores-input", "collapsed-representation"),
        DIGITS,
        ("optimizer={sgd: {lr: 0.05, weight_decay: 1.0}}",),
    ),
    SpecFault(
        "dropout 0.95",
        ("underfitting", "no-better-than-trivial", "not-converged"),
        DIGITS,
        _net(("{linear: 64}", "relu", "{dropout: 0.95}", "{linear: 32}", "relu", "{dropout: 0.95}")),
    ),
    SpecFault("NaN in one row", ("non-finite-value",), DIABETES, _file("one_nan")),
    SpecFault(
        "classes 1 to 100",
        ("class-imbalance",),
        DIGITS,
        _file("imbalanced", *_rate("sgd", "1e-3"), "train={epochs: 6}", "data.split={val: 0.3, stratify: true}"),
    ),
    SpecFault("a class is missing", ("missing-class",), DIGITS, _file("nine_classes")),
    SpecFault("labels from 1", ("labels-not-zero-based",), DIGITS, _file("from_one")),
    SpecFault("a label too many", ("label-out-of-range",), DIGITS, _file("eleventh")),
    SpecFault("floats as classes", ("refused",), DIGITS, _file("float_labels")),
)
