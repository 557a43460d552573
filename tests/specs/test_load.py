"""From text to a validated spec, and every mistake at once with its place."""

import re
import subprocess
import sys

import pytest

from dltool.core.errors import SpecError
from dltool.specs.load import load, load_text
from dltool.specs.schema.base import Target
from dltool.specs.schema.layers import Residual
from dltool.specs.schema.losses import CrossEntropy, Mse, PoissonNll, Term, Terms
from dltool.specs.schema.optimizers import Adam

DATA = "data: {synthetic: blobs}\n"
MODEL = "model: {layers: [{linear: 3}]}\n"


def lines(text, overrides=(), path="spec.yaml"):
    with pytest.raises(SpecError) as caught:
        load_text(text, path, overrides)
    return [str(problem) for problem in caught.value.problems]


def layers(text):
    return load_text(DATA + f"model: {{layers: {text}}}", "spec.yaml").spec.model.layers


FORMS = [
    ("relu", "relu: {}"),
    ("relu", "relu:"),
    ("linear: 64", "linear: {out_features: 64}"),
    ("dropout", "dropout: {p: 0.5}"),
    ("residual: [{linear: 4}, relu]", "residual: {layers: [{linear: 4}, relu]}"),
    ("max_pool2d: [2, 3]", "max_pool2d: {kernel_size: [2, 3]}"),
    ("max_pool2d: 2", "max_pool2d: {kernel_size: 2}"),
    ("layer_norm: [4, 4]", "layer_norm: {normalized_shape: [4, 4]}"),
    ("log_sigmoid", "logsigmoid"),
    ("linear: {out_features: 3, init: zeros}", "linear: {out_features: 3, init: {weight: {zeros: {}}}}"),
    (
        "linear: {out_features: 3, init: {constant: 0.1}}",
        "linear: {out_features: 3, init: {weight: {constant: {val: 0.1}}}}",
    ),
]


@pytest.mark.parametrize(("short", "long"), FORMS)
def test_every_form_of_a_name_means_the_same(short, long):
    assert layers(f"[{{linear: 1}}, {{{short}}}]" if ":" in short else f"[{{linear: 1}}, {short}]") == layers(
        f"[{{linear: 1}}, {{{long}}}]" if ":" in long else f"[{{linear: 1}}, {long}]"
    )


def test_residuals_nest():
    (outer,) = layers("[{residual: [{residual: [{linear: 2}]}]}]")
    assert isinstance(outer, Residual)
    assert isinstance(outer.layers[0], Residual)


def test_the_design_spec_loads(tmp_path):
    text = """\
version: 1
seed: 0
vars: {width: 64}
data:
  csv: {path: data/iris.csv, target: species}
  split: {val: 0.2, stratify: true}
  batch_size: 32
  normalize: standard
  normalize_target: none
  augment: [{shift: 2}, {rotate: 10}, {scale: 0.1}, {brightness: 0.2}, {hflip: 0.5}, {noise: 0.01}]
model:
  input: [4]
  init: {kaiming_normal: {nonlinearity: relu}}
  layers:
    - linear: ${vars.width}
    - relu
    - residual: [{linear: 64}, batch_norm, relu]
    - dropout: 0.5
    - linear: {out_features: 3, name: head, init: {normal: {std: 0.01}}}
  pretrained: {weights: base.safetensors, freeze: ["0", "residual*"], skip: [head]}
loss: cross_entropy
metrics: [accuracy]
optimizer: {adam: {lr: 1e-3}}
schedule: {step: {step_size: 10, gamma: 0.1}}
regularize: {l1: 0.0, l2: 1e-4, max_norm: 3.0}
train: {epochs: 20, clip_norm: 1.0, clip_value: null, early_stopping: {patience: 5, monitor: val_loss}, precision: fp32}
watch: {overhead: 0.05, every: null}
rules:
  {ignore: {class-imbalance: "weights handle it"}, thresholds: {dead-relu.fraction: 0.4}, allow_nonfinite: ["attn.mask*"]}
"""
    path = tmp_path / "spec.yaml"
    path.write_text(text)
    loaded = load(str(path))
    spec = loaded.spec
    assert spec.model.layers[0].out_features == 64
    assert spec.optimizer == Adam(lr=1e-3)
    assert isinstance(spec.loss, CrossEntropy)
    assert spec.data.source.path == "data/iris.csv"
    assert spec.rules.thresholds == {"dead-relu.fraction": 0.4}
    assert "vars" not in loaded.resolved
    assert loaded.directory == tmp_path
    assert str(loaded.locate(("optimizer", "adam", "lr"))) == f"{path}:23:20"
    assert loaded.locate(("model", "layers", 2)).line == 17
    assert loaded.locate(("model", "layers", 0, "linear", "out_features")).line == 15


def test_terms_take_their_weights_out():
    terms = (
        "{a: mse, b: {mse: {weight: 0.1}}, c: {cross_entropy: {weight: [1, 2]}}, "
        "d: {cross_entropy: {weight: [1, 2]}, weight: 3}}"
    )
    loss = load_text(f"{DATA}{MODEL}loss: {{terms: {terms}}}", "spec.yaml").spec.loss
    assert loss == Terms(
        terms={
            "a": Term(loss=Mse()),
            "b": Term(loss=Mse(), weight=0.1),
            "c": Term(loss=CrossEntropy(weight=(1, 2))),
            "d": Term(loss=CrossEntropy(weight=(1, 2)), weight=3),
        }
    )


def test_poisson_is_poisson_nll():
    assert load_text(DATA + MODEL + "loss: poisson", "spec.yaml").spec.loss == PoissonNll()


def test_targets_keep_their_arguments_and_run_nothing():
    text = DATA + "model: {_target_: os.abort, width: 3}\noptimizer: {_target_: my.Adam, lr: 0.1}\nloss: {_target_: my.loss}"
    spec = load_text(text, "spec.yaml").spec
    assert spec.model == Target(_target_="os.abort", width=3)
    assert spec.model.arguments == {"width": 3}
    assert isinstance(spec.optimizer, Target)
    assert isinstance(spec.loss, Target)


def test_all_mistakes_come_at_once_in_order():
    text = """\
version: 1
data:
  csv: {path: 3, target: species}
  batch_size: ful
  normalise: standard
model:
  layers:
    - linear: -3
    - linear: {out_feature: 3}
    - rleu
    - conv2d: {out_channels: 3, kernel_size: [3, a]}
    - {relu: , dropout: 2}
    - residual: [{linear: x}]
    - linear: {out_features: 3, init: normla}
    - dropout: 1.0
    - relu: 3
    - conv2d: [3, 3]
loss: {terms: {a: mse, c: {mze: {}}}}
optimizer: {adam: {lr: -1}}
train: {epochs: 0, clip_norm: .nan, precision: fp23, early_stopping: 0}
"""
    found = [re.sub("; expected .*?(?=; did you|$)", "", line) for line in lines(text)]
    assert found == [
        "spec.yaml:3:15: data.csv.path: wrong kind of value (found 3)",
        "spec.yaml:4:15: data.batch_size: not one of the choices (found 'ful'); did you mean 'full'?",
        "spec.yaml:5:3: data.normalise: unknown key; did you mean 'normalize'?",
        "spec.yaml:8:15: model.layers.0.linear: out of range (found -3)",
        "spec.yaml:9:7: model.layers.1.linear: out_features is missing",
        "spec.yaml:9:16: model.layers.1.linear.out_feature: unknown key; did you mean 'out_features'?",
        "spec.yaml:10:7: model.layers.2: 'rleu' is not a layer that dltool knows; did you mean 'relu'?",
        "spec.yaml:11:50: model.layers.3.conv2d.kernel_size.1: wrong kind of value (found 'a')",
        (
            "spec.yaml:12:7: model.layers.4: a layer is one name with its arguments; here are several"
            " (found {relu: null, dropout: 2})"
        ),
        "spec.yaml:13:27: model.layers.5.residual.0.linear: wrong kind of value (found 'x')",
        (
            "spec.yaml:14:39: model.layers.6.linear.init: 'normla' is not an initialiser that dltool knows;"
            " did you mean 'normal'?"
        ),
        "spec.yaml:15:16: model.layers.7.dropout: out of range (found 1.0)",
        "spec.yaml:16:13: model.layers.8.relu: relu does not take a single value; give its arguments by name",
        "spec.yaml:17:15: model.layers.9.conv2d: conv2d does not take a list; give its arguments by name",
        "spec.yaml:18:28: loss.terms.c: 'mze' is not a loss that dltool knows; did you mean 'mse'?",
        "spec.yaml:19:24: optimizer.adam.lr: out of range (found -1)",
        "spec.yaml:20:17: train.epochs: out of range (found 0)",
        "spec.yaml:20:31: train.clip_norm: not a finite number (found nan)",
        "spec.yaml:20:48: train.precision: not one of the choices (found 'fp23'); did you mean 'fp32'?",
        "spec.yaml:20:70: train.early_stopping: out of range (found 0)",
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("optimizer: {adam: {lr: -1}}", "expected a number above 0"),
        ("optimizer: {adam: {lr: '1e-3'}}", "(found '1e-3'); expected a number above 0"),
        ("optimizer: {adam: {lr: true}}", "(found true)"),
        ("optimizer: {adam: {lr: 1e999}}", "not a finite number"),
        (f"optimizer: {{adam: {{lr: {'9' * 400}}}}}", "optimizer.adam.lr"),
        ("optimizer: {adam: {betas: [0.9]}}", "a list of 2"),
        ("optimizer: {adam: {betas: [0.9, 1.0]}}", "optimizer.adam.betas.1: out of range"),
        ("optimizer: {sgd: {nesterov: true}}", "nesterov needs a momentum above 0"),
        ("train: {epochs: 2.5}", "a whole number of at least 1"),
        ("train: {epochs: true}", "a whole number of at least 1"),
        ("train: 3", "a mapping of epochs, "),
        ("regularize: {l2: -1}", "a number of at least 0"),
        ("watch: {overhead: 0}", "above 0"),
        ("seed: -1", "at least 0"),
        ("seed: 1.0", "a whole number"),
        ("version: 2", "expected 1"),
        ("metrics: accuracy", "a list"),
        ("metrics: [acuracy]", "did you mean 'accuracy'"),
        ("schedule: {cosin: 3}", "did you mean 'cosine'"),
        ("schedule: exponential", "gamma is missing"),
        ("loss: {terms: {}}", "too few entries"),
        ("loss: {cross_entropy: {reduction: none}}", "mean or sum"),
        ("loss: [mse, l1]", "a loss is missing here"),
        ("rules: {ignore: [a]}", "a mapping of names to values"),
        ("epochs: 3", "unknown key"),
        ("extends:", "data is missing"),
    ],
)
def test_values_have_to_make_sense(line, message):
    text = (DATA + MODEL if not line.startswith("extends") else MODEL) + line
    found = lines(text)
    assert len(found) == 1
    assert message in found[0]
    assert "Input should" not in found[0]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("{}", "a data source is missing"),
        ("{csv: a.csv}", "target is missing"),
        ("{csv: {path: a.csv, target: y}, npz: {path: a.npz}}", "one name with its arguments; here are several"),
        ("{npz: a.npz, train: {npz: a.npz}}", "not both"),
        ("{train: {npz: a.npz}, split: 0.2}", "split already"),
        ("{npz: a.npz, split: {val: 0}}", "data.split.val: out of range"),
        ("{npz: a.npz, split: 1.5}", "data.split"),
        ("{npz: a.npz, classes: [1]}", "too few"),
        ("{npz: a.npz, batch_size: 0}", "a whole number of at least 1 or full"),
        ("{cvs: {path: a.csv}}", "did you mean 'csv'"),
        ("{synthetic: {blobs: {classes: 1}}}", "data.synthetic.blobs.classes"),
        ("{synthetic: moon}", "did you mean 'moons'"),
    ],
)
def test_data_has_to_make_sense(data, message):
    assert any(message in line for line in lines(f"data: {data}\n" + MODEL))


def test_rules_that_are_named_have_to_exist():
    text = "rules:\n  ignore: {class-imbalanse: known, GRD: known}\n  thresholds: {dead-relu.fractoin: 0.4}\n"
    ignored, limit = lines(DATA + MODEL + text)
    assert ignored.startswith("spec.yaml:4:12: rules.ignore.class-imbalanse: no rule has this id, name or prefix")
    assert ignored.endswith("did you mean 'class-imbalance'?")
    assert limit.startswith("spec.yaml:5:16: rules.thresholds.dead-relu.fractoin: no rule has this threshold")
    assert limit.endswith("did you mean 'dead-relu.fraction'?")


def test_short_forms_of_data():
    data = load_text(f"data: {{npz: a.npz, split: 10, pad: true}}\n{MODEL}", "a.yaml").spec.data
    assert (data.source.path, data.split.val, data.pad.value) == ("a.npz", 10, 0.0)
    assert load_text(f"data: {{npz: a.npz, pad: false}}\n{MODEL}", "a.yaml").spec.data.pad is None
    assert load_text(f"data: {{npz: a.npz, pad: -1}}\n{MODEL}", "a.yaml").spec.data.pad.value == -1


def test_an_emptied_section_is_none():
    assert load_text(DATA + MODEL + "train:\n  # epochs: 3\n", "a.yaml").spec.train.epochs == 20


@pytest.mark.parametrize(
    ("text", "message"), [("", "empty"), ("# only this\n", "empty"), ("- a\n", "mapping"), ("hello", "mapping")]
)
def test_what_is_no_mapping_is_no_spec(text, message):
    (line,) = lines(text)
    assert message in line


def test_the_hash_follows_the_meaning_not_the_writing():
    one = load_text(DATA + MODEL, "a.yaml")
    other = load_text(MODEL + "# a comment\n" + DATA, "b.yaml")
    assert one.sha256 == other.sha256
    assert one.sha256 != load_text(DATA + MODEL + "seed: 1", "a.yaml").sha256


def test_nothing_here_imports_torch():
    modules = "dltool.specs.show, dltool.specs.json_schema, dltool.specs.starter, dltool.specs.reference"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"


def test_a_class_is_not_chosen_twice(tmp_path):
    spec = tmp_path / "spec.yaml"
    spec.write_text("data: {npz: digits.npz, classes: [0, 1, 0]}\nmodel: {layers: [{linear: 2}]}\n")
    with pytest.raises(SpecError, match="names a class twice"):
        load(str(spec))


KERAS = [
    ("    - dense: 3", "", "did you mean 'linear'"),
    ("    - Conv2D: 3", "", "did you mean 'conv2d'"),
    ("    - {linear: 3}", "loss: sparse_categorical_crossentropy", "cross_entropy: {from_logits: false}"),
    ("    - {linear: 3}", "loss: binary_crossentropy", "did you mean 'bce'"),
    ("    - {linear: 3}", "loss: mean_squared_error", "did you mean 'mse'"),
    ("    - {linear: {out_features: 3, init: RandomNormal}}", "", "did you mean 'normal'"),
]


@pytest.mark.parametrize(("layer", "loss", "hint"), KERAS)
def test_names_of_keras_are_told_what_they_are_called_here(layer, loss, hint):
    with pytest.raises(SpecError) as caught:
        load_text(f"version: 1\ndata: {{synthetic: xor}}\nmodel:\n  layers:\n{layer}\n{loss}\n", "spec.yaml")
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    ("name", "kind"), [("glorot_uniform", "xavier_uniform"), ("glorot_normal", "xavier_normal"),
                       ("he_uniform", "kaiming_uniform"), ("he_normal", "kaiming_normal")]
)  # fmt: skip
def test_initialisers_have_their_names_of_keras_too(name, kind):
    loaded = load_text(
        f"version: 1\ndata: {{synthetic: xor}}\nmodel: {{init: {name}, layers: [{{linear: 3}}]}}\n", "spec.yaml"
    )
    assert loaded.spec.model.init.weight.kind == kind
