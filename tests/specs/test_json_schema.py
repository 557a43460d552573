"""The JSON Schema for editors agrees with the loader."""

import json
from pathlib import Path

import jsonschema
import pytest

from dltool.specs.json_schema import spec_schema
from dltool.specs.merge import read_document
from dltool.specs.schema.layers import LAYERS
from dltool.specs.starter import TASKS, starter

ROOT = Path(__file__).parents[2]
SAMPLES = sorted((ROOT / "sample_configs").glob("*/*.yaml"))
GOOD = "data: {synthetic: blobs}\nmodel: {layers: [{linear: 3}]}\n"


@pytest.fixture(scope="module")
def validator():
    schema = spec_schema()
    jsonschema.Draft7Validator.check_schema(schema)
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    return jsonschema.Draft7Validator(schema)


def document(text):
    return read_document("spec.yaml", text).plain()


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_samples_are_valid(validator, path):
    validator.validate(read_document(str(path)).plain())


@pytest.mark.parametrize("task", TASKS)
def test_starters_are_valid(validator, task):
    validator.validate(document(starter(task)))


@pytest.mark.parametrize(
    "line",
    [
        "optimizer: adam",
        "optimizer: {adam: 1e-3}",
        "optimizer: {adam: {lr: 1e-3, betas: [0.9, 0.99]}}",
        "optimizer: {adam: }",
        "optimizer: ${vars.optimizer}",
        "optimizer: {adam: {lr: '${vars.lr}'}}",
        "optimizer: {_target_: my.Adam, lr: 1}",
        "loss: {terms: {main: cross_entropy, aux: {mse: {weight: 0.1}}, c: {l1: {}, weight: 2}}}",
        "loss: poisson",
        "schedule: {cosine: {warmup: 10}}",
        "schedule: constant",
        "train:",
        "train: {early_stopping: 5, clip_value: null}",
        "metrics: [accuracy, {top_k: 3}]",
        "extends: [a.yaml, b.yaml]",
        "seed: ${env:SEED,0}",
        "rules: {thresholds: {dead-relu.fraction: 0.4}}",
    ],
)
def test_what_the_loader_takes_is_valid(validator, line):
    validator.validate(document(GOOD + line))


@pytest.mark.parametrize(
    "layer",
    [
        "relu",
        "linear: 3",
        "linear: {out_features: '${vars.width}'}",
        "linear: '${vars.width}'",
        "residual: [relu, {linear: 3}]",
        "conv2d: {out_channels: 3, kernel_size: [3, 3], padding: same}",
        "conv2d: {out_channels: 3, kernel_size: 3, padding: 1}",
        "max_pool2d: [2, 2]",
        "batch_norm:",
        "linear: {out_features: 3, init: zeros}",
        "dropout: 0.5",
        "linear: {out_features: 3, init: {weight: {normal: {std: 0.1}}, bias: ones}}",
        "_target_: my.Layer",
        "adaptive_avg_pool2d: [null, 1]",
    ],
)
def test_layers_that_the_loader_takes_are_valid(validator, layer):
    entry = f"{{{layer}}}" if ":" in layer else layer
    validator.validate(document(f"data: {{synthetic: blobs}}\nmodel: {{layers: [{entry}]}}"))


@pytest.mark.parametrize(
    "line",
    [
        "optimizer: adma",
        "optimizer: {adam: {lr: -1}}",
        "optimizer: {adam: {learning_rate: 1}}",
        "optimizer: {adam: {}, sgd: {}}",
        "loss: {cross_entropy: {reduction: none}}",
        "loss: {terms: {a: mze}}",
        "schedule: exponential",
        "train: {epochs: 0}",
        "train: {epochs: ten}",
        "train: {epoch: 3}",
        "epochs: 3",
        "seed: -1",
        "metrics: [acuracy]",
        "version: 2",
        "watch: {overhead: 2}",
        "regularize: {l2: true}",
    ],
)
def test_what_the_loader_refuses_is_invalid(validator, line):
    assert not validator.is_valid(document(GOOD + line))


@pytest.mark.parametrize(
    "layer",
    ["linear", "rleu", "linear: -1", "linear: [3]", "dropout: 1.0", "relu: 3", "relu: {inplace: true}", "residual: []"],
)
def test_layers_that_the_loader_refuses_are_invalid(validator, layer):
    entry = f"{{{layer}}}" if ":" in layer else layer
    assert not validator.is_valid(document(f"data: {{synthetic: blobs}}\nmodel: {{layers: [{entry}]}}"))


def test_every_name_completes_with_its_description():
    family = spec_schema()["definitions"]["layer"]["anyOf"]
    with_arguments = next(form for form in family if form.get("type") == "object")
    for member in LAYERS:
        assert with_arguments["properties"][member.kind]["description"]
    assert "relu" in {form.get("const") for form in family}
    assert "linear" not in {form.get("const") for form in family}


def test_only_keywords_of_draft_7_are_used():
    text = json.dumps(spec_schema())
    assert not any(f'"{word}"' in text for word in ("$defs", "prefixItems", "unevaluatedProperties", "discriminator"))


def test_the_shipped_schema_is_the_current_one():
    shipped = json.loads((ROOT / "docs" / "spec.schema.json").read_text(encoding="utf-8"))
    assert shipped == spec_schema(), "run: dltool schema --output docs/spec.schema.json"
