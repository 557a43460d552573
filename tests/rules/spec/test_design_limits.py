"""The exact boundaries of every limit, NaN and Inf, and what is not known."""

import math
from dataclasses import replace

import pytest
from design_specs import CNN, HEAD, MLP, ONE, asked, designed, init, row

from dltool.core.finding import Severity
from dltool.core.measured.design import Architecture, DesignedLayer, LossTerm, Objective, Plan, Samples
from dltool.core.measured.task import DataFacts, DataProblemRows, Output, Task
from dltool.core.measurements import Measurements
from dltool.rules.catalogue import RULES
from dltool.rules.spec.shapes import broadcasts

NAN, INF = math.nan, math.inf
CLASSES = "vectors classes-3"


def found(name, *sections, **limits):
    findings, checks = asked(Measurements(sections), **limits)
    assert checks[name].outcome != "skipped", checks[name].reason
    return [finding for finding in findings if finding.name == name]


def changed(name, spec, **fields):
    """Findings of a rule after some fields of one section were changed."""
    measured = designed(*spec)
    kinds = {Plan: {}, Samples: {}, Objective: {}}
    for field, value in fields.items():
        kind = next(kind for kind in kinds if field in kind.__dataclass_fields__)
        kinds[kind][field] = value
    sections = [replace(s, **kinds[type(s)]) if type(s) in kinds else s for s in measured]
    return found(name, *sections)


def spec(model, data=CLASSES, rest="loss: cross_entropy"):
    return model, data, rest


def sgd(lr, momentum=0.0, more=""):
    return f"loss: cross_entropy\noptimizer: {{sgd: {{lr: {lr}, momentum: {momentum}}}}}\n{more}"


@pytest.mark.parametrize(
    ("plan", "fires"),
    [
        ({"optimizer": "sgd", "lr": 2.0}, None),
        ({"optimizer": "sgd", "lr": 2.0001}, "warning"),
        ({"optimizer": "sgd", "lr": 1.0, "momentum": 0.5}, None),
        ({"optimizer": "sgd", "lr": 1.001, "momentum": 0.5}, "warning"),
        ({"optimizer": "sgd", "lr": 4.0, "batch_size": 512}, None),
        ({"optimizer": "sgd", "lr": 4.01, "batch_size": 512}, "warning"),
        ({"optimizer": "sgd", "lr": 5.0, "clip_norm": 2.0}, None),
        ({"optimizer": "sgd", "lr": 5.1, "clip_norm": 2.0}, "warning"),
        ({"optimizer": "sgd", "lr": 1e-5}, None),
        ({"optimizer": "sgd", "lr": 0.99e-5}, "warning"),
        ({"optimizer": "sgd", "lr": 1e-7, "pretrained": True}, None),
        ({"optimizer": "adam", "lr": 1e-2}, None),
        ({"optimizer": "adam", "lr": 1.0 / math.sqrt(60.0)}, None),
        ({"optimizer": "adam", "lr": 1.001 / math.sqrt(60.0)}, "warning"),
        ({"optimizer": "rmsprop", "lr": 1e-7}, None),
        ({"optimizer": "adamw", "lr": 0.99e-7}, "warning"),
        ({"optimizer": "adagrad", "lr": 1.0}, None),
        ({"optimizer": "adagrad", "lr": 1.01}, "warning"),
        ({"optimizer": "adadelta", "lr": 10.0}, None),
        ({"optimizer": "adadelta", "lr": 0.0099}, "warning"),
        ({"optimizer": "lbfgs", "lr": 2.0}, None),
        ({"optimizer": "lbfgs", "lr": 2.1}, "warning"),
        ({"optimizer": "lbfgs", "lr": 0.9e-4}, "warning"),
        ({"optimizer": "sgd", "lr": 0.0}, "error"),
        ({"optimizer": "sgd", "lr": -0.1}, "error"),
        ({"optimizer": "adam", "lr": NAN}, "error"),
        ({"optimizer": "adam", "lr": INF}, "error"),
        ({"optimizer": "sgd", "lr": 0.1, "momentum": NAN}, "warning"),
        ({"optimizer": "sgd", "lr": 0.1, "clip_norm": NAN}, "warning"),
    ],
)
def test_rates(plan, fires):
    plan = {"momentum": 0.0, "batch_size": 32} | plan
    findings = changed("learning-rate-out-of-range", spec(MLP, rest=sgd(0.1)), **plan)
    assert [f.severity for f in findings] == ([] if fires is None else [fires])


def test_normalisation_bears_higher_rates_and_data_in_large_units_want_lower_ones():
    normed = "[{linear: 16}, batch_norm, relu, {linear: 3}]"
    for lr, fires in ((5.0, 0), (5.01, 1)):
        assert len(changed("learning-rate-out-of-range", spec(normed, rest=sgd(0.1)), lr=lr)) == fires
    for lr, fires in ((5.0 / math.sqrt(60.0), 0), (5.01 / math.sqrt(60.0), 1)):
        adam = "loss: cross_entropy\noptimizer: {adam: {lr: 0.001}}"
        assert len(changed("learning-rate-out-of-range", spec(normed, rest=adam), lr=lr)) == fires
    for std, fires in ((10.0, 1), (10.1, 0), (NAN, 0), (None, 1)):
        assert len(changed("learning-rate-out-of-range", spec(MLP, rest=sgd(0.1)), lr=1e-6, input_std=std)) == fires
    assert not changed(
        "learning-rate-out-of-range", spec(ONE, "vectors normal", "loss: mse"), optimizer="sgd", lr=1e-6, target_std=None
    )


def test_a_rate_without_model_is_judged_by_what_is_known():
    plan = Plan(optimizer="adam", lr=0.2, keys={"lr": "optimizer.adam.lr"})
    assert found("learning-rate-out-of-range", plan)[0].where.key == "optimizer.adam.lr"
    assert not found("learning-rate-out-of-range", replace(plan, lr=0.05))
    _, checks = asked(Measurements([replace(plan, optimizer="lion")]))
    assert checks["learning-rate-out-of-range"].reason == "no limits are known for the optimizer lion"


@pytest.mark.parametrize(
    ("plan", "fires"),
    [
        ({"l2": 0.05}, 0),
        ({"l2": 0.0501}, 1),
        ({"l1": 0.005}, 0),
        ({"l1": 0.00501}, 1),
        ({"l1": 0.0025, "l2": 0.025}, 0),
        ({"l1": 0.0026, "l2": 0.025}, 1),
        ({"optimizer": "adam", "weight_decay": 0.05}, 0),
        ({"optimizer": "adam", "weight_decay": 0.06}, 1),
        ({"optimizer": "adamw", "lr": 0.01, "weight_decay": 1.0}, 0),
        ({"optimizer": "adamw", "lr": 0.01, "weight_decay": 1.01}, 1),
        ({"optimizer": "adamw", "lr": 0.01, "weight_decay": 1.01, "epochs": 1, "steps_per_epoch": 50}, 0),
        ({"max_norm": 0.5}, 0),
        ({"max_norm": 0.49}, 1),
        ({"max_norm": NAN}, 1),
        ({"l2": NAN}, 1),
        ({"l1": INF}, 1),
        ({"optimizer": "adamw", "lr": 0.01, "weight_decay": NAN}, 1),
    ],
)
def test_penalties(plan, fires):
    assert len(changed("excessive-regularisation", spec(MLP, rest=sgd(0.1)), **plan)) == fires


@pytest.mark.parametrize(
    ("lr", "fires"), [(1.0 / 32, 0), (1.001 / 32, 1), (NAN, 1), (INF, 1)], ids=["boundary", "above", "nan", "inf"]
)
def test_summed_losses(lr, fires):
    summed = "loss: {cross_entropy: {reduction: sum}}\noptimizer: {sgd: {lr: 0.001}}"
    assert len(changed("sum-reduction", spec(MLP, rest=summed), lr=lr)) == fires


@pytest.mark.parametrize(("p", "fires"), [(0.7, 0), (0.71, 1), (0.99, 1)])
def test_dropout(p, fires):
    model = f"[{{linear: 16}}, relu, {{dropout: {p}}}, {{linear: 3}}]"
    assert len(found("excessive-dropout", *designed(*spec(model)))) == fires
    assert len(found("excessive-dropout", *designed(*spec(model)), **{"excessive-dropout__share": 0.3})) == 1


@pytest.mark.parametrize(("p", "fires"), [(0.49, 0), (0.5, 1)])
def test_dropout_before_batch_norm(p, fires):
    model = f"[{{linear: 16}}, relu, {{dropout: {p}}}, batch_norm, {{linear: 3}}]"
    assert len(found("excessive-dropout", *designed(*spec(model)))) == fires


def _with_argument(measured, kind, **arguments):
    """The sections with some arguments of the layers of one kind changed."""
    architecture = measured[Architecture]
    layers = tuple(
        replace(layer, arguments=dict(layer.arguments) | arguments) if layer.kind == kind else layer
        for layer in architecture.layers
    )
    return [replace(architecture, layers=layers), *(s for s in measured if not isinstance(s, Architecture))]


def test_a_dropout_of_nan_fires_and_one_in_eval_mode_does_not():
    measured = designed(*spec("[{linear: 16}, relu, {dropout: 0.5}, {linear: 3}]"))
    assert found("excessive-dropout", *_with_argument(measured, "dropout", p=NAN))
    assert not found("excessive-dropout", *_with_argument(measured, "dropout", p=0.9, training=False))


@pytest.mark.parametrize(
    ("momentum", "severity"),
    [(0.0, "error"), (1e-9, None), (0.89, None), (0.9, "warning"), (1.0, "warning"), (NAN, "warning")],
)
def test_momentum_of_batch_norm(momentum, severity):
    measured = designed(*spec("[{linear: 16}, batch_norm, relu, {linear: 3}]"))
    told = found("global-stats-in-training", *_with_argument(measured, "batch_norm", momentum=momentum))
    assert [f.severity for f in told] == ([] if severity is None else [severity])


def test_norms_in_eval_mode_are_right_in_a_pretrained_net_alone():
    measured = designed(*spec("[{linear: 16}, batch_norm, relu, {linear: 3}]"))
    frozen = _with_argument(measured, "batch_norm", training=False)
    assert found("global-stats-in-training", *frozen)
    pretrained = [replace(s, pretrained=True) if isinstance(s, Plan) else s for s in frozen]
    assert not found("global-stats-in-training", *pretrained)


@pytest.mark.parametrize(
    ("samples", "fires"),
    [
        ({"target_min": 0.0, "target_max": 1.0, "target_mean": 0.5, "target_std": 0.5}, 0),
        ({"target_min": -0.25, "target_max": 1.25, "target_mean": 0.5, "target_std": 0.5}, 0),
        ({"target_min": -0.26, "target_max": 1.25, "target_mean": 0.5, "target_std": 0.5}, 1),
        ({"target_min": -5.0, "target_max": 6.0, "target_mean": 0.5, "target_std": 0.1}, 0),  # a rare few
        ({"target_min": 0.0, "target_max": 9.0, "target_mean": 4.5, "target_std": 2.6}, 1),
        ({"target_min": 7.0, "target_max": 7.0, "target_mean": 7.0, "target_std": 0.0}, 1),
    ],
)
def test_targets_out_of_a_sigmoids_reach(samples, fires):
    assert (
        len(changed("bounded-output-regression", spec(ONE[:-1] + ", sigmoid]", "vectors unit", "loss: mse"), **samples))
        == fires
    )


@pytest.mark.parametrize(
    ("samples", "fires"),
    [
        ({"target_min": 0.0, "target_max": 5.0, "target_mean": 1.0, "target_std": 1.0}, 0),
        ({"target_min": -0.5, "target_max": 5.0, "target_mean": 1.0, "target_std": 1.0}, 0),
        ({"target_min": -0.51, "target_max": 5.0, "target_mean": 1.0, "target_std": 1.0}, 1),
        ({"target_min": -9.0, "target_max": 50.0, "target_mean": 20.0, "target_std": 5.0}, 0),
    ],
)
def test_targets_below_a_relu(samples, fires):
    assert len(changed("relu-output", spec(ONE[:-1] + ", relu]", "vectors positive", "loss: mse"), **samples)) == fires


@pytest.mark.parametrize(
    ("bound", "classes", "severity"),
    [
        (math.log(9.0 * 2) / 2 + 1e-9, 3, None),  # p = 1 / (1 + 2 e^(-2 b)) is 0.9
        (math.log(9.0 * 2) / 2 - 1e-3, 3, "warning"),
        (1.0, 3, "warning"),
        (1.0, 10, "error"),  # 0.45
        (math.log(9.0) / 2 + 1e-3, 10, "warning"),
        (math.log(9.0) / 2 - 1e-9, 10, "error"),  # just one half
    ],
)
def test_how_sure_bounded_logits_can_be(bound, classes, severity):
    model = f"[{{linear: 16}}, relu, {{linear: {classes}}}, {{hardtanh: {{min_val: {-bound}, max_val: {bound}}}}}]"
    told = found("wrong-output-activation", *designed(model, f"vectors classes-{classes}", "loss: cross_entropy"))
    assert [f.severity for f in told] == ([] if severity is None else [severity])


def test_smoothed_labels_ask_for_less():
    model = f"{HEAD}, tanh]"
    assert found("wrong-output-activation", *designed(model, CLASSES, "loss: {cross_entropy: {label_smoothing: 0.2}}"))
    assert not found("wrong-output-activation", *designed(model, CLASSES, "loss: {cross_entropy: {label_smoothing: 0.22}}"))


@pytest.mark.parametrize(("steps", "fires"), [(99, 1), (100, 0), (0, 1)])
def test_steps(steps, fires):
    assert len(changed("too-few-epochs", spec(MLP), epochs=1, steps_per_epoch=steps)) == fires


@pytest.mark.parametrize(("train", "fires"), [(120, 0), (128, 1)])
def test_runs_of_one_class(train, fires):
    sorted_ = ("[{linear: 4}]", "vectors sorted ; shuffle: false", "loss: cross_entropy")
    assert len(changed("unshuffled-data", sorted_, train_samples=train, batch_size=32)) == fires


@pytest.mark.parametrize(
    ("depth", "fires"), [(20, 0), (21, 1)], ids=["0.5^19 = 1.9e-6 in variance", "0.5^20 = 9.5e-7 in variance"]
)
def test_xavier_before_relu_matters_from_a_thousandth_on(depth, fires):
    layers = "\n".join(["- linear: 20\n- relu"] * depth) + "\n- linear: 3"
    assert (
        len(found("init-activation-mismatch", *designed(init("xavier_normal", layers), CLASSES, "loss: cross_entropy")))
        == fires
    )


@pytest.mark.parametrize(("depth", "fires"), [(3, 0), (4, 1)])
def test_growth_matters_from_a_hundredfold_on(depth, fires):
    layers = "\n".join(["- linear: 50\n- relu"] * depth) + "\n- linear: 3"  # five times a layer
    model = init("{normal: {std: 1.0}}", layers)
    assert len(found("init-activation-mismatch", *designed(model, CLASSES, "loss: cross_entropy"))) == fires


@pytest.mark.parametrize(
    ("output", "target", "expected"),
    [
        ((1,), (), True),
        ((), (1,), True),
        ((1,), (1,), False),
        ((1,), (5,), True),
        ((5,), (5,), False),
        ((4, 1), (4,), False),  # (N, 4, 1) and (N, 4): N and 4 do not go together
        ((2,), (3,), False),
    ],
)
def test_what_torch_broadcasts(output, target, expected):
    assert broadcasts(output, target) is expected


@pytest.mark.parametrize(("target", "fires"), [((), 1), ((1,), 0), (None, 0)])
def test_code_broadcasts_where_a_spec_does_not(target, fires):
    measured = designed(*spec(ONE, "vectors normal", "loss: mse"))
    code = LossTerm(name="mse", expects="values", target_shape=target)
    sections = [replace(s, terms=(code,)) if isinstance(s, Objective) else s for s in measured]
    findings, _ = asked(Measurements(sections))
    assert len([f for f in findings if f.name == "broadcast-loss"]) == fires


def test_each_term_is_judged_by_what_it_is_given():
    measured = designed(*spec(f"{HEAD}, softmax]"))
    last = len(measured[Architecture].layers) - 1
    for takes, fires in (((last,), 1), ((last - 1,), 0), (None, 1), ((last, 0), 0)):
        term = LossTerm(name="cross_entropy", expects="logits", takes=takes)
        sections = [replace(s, terms=(term,)) if isinstance(s, Objective) else s for s in measured]
        findings, _ = asked(Measurements(sections))
        assert len([f for f in findings if f.name == "softmax-before-cross-entropy"]) == fires


def test_an_ignored_label_is_no_class_and_labels_are_told_once():
    masked = "loss: {cross_entropy: {ignore_index: 4}}"
    assert not found("target-encoding-mismatch", *designed("[{linear: 4}]", "vectors from1", masked))
    measured = designed("[{linear: 4}]", "vectors from1", "loss: cross_entropy")
    facts = DataFacts(
        non_finite_inputs=(), non_finite_targets=(), label_min=1, label_max=4, labels_present=4, outputs=4, out_of_range=(),
        input_mean=None, input_std=None, input_min=None, input_max=None, constant_features=(),
    )  # fmt: skip
    assert not found("target-encoding-mismatch", *measured, facts)


@pytest.mark.parametrize(("count", "fires"), [(1, 0), (2, 0), (3, 1), (40, 1), (0, 1)])
def test_a_few_stray_labels_are_no_class_that_the_model_lacks(count, fires):
    measured = designed(*spec("[{linear: 2}]"))
    sections = [replace(s, train_samples=20, classes=3) if isinstance(s, Samples) else s for s in measured]
    strays = (DataProblemRows(split="train", column=None, count=count, rows=(0,)),) if count else ()
    facts = DataFacts(
        non_finite_inputs=(), non_finite_targets=(), label_min=0, label_max=7, labels_present=3, outputs=2,
        out_of_range=strays, input_mean=None, input_std=None, input_min=None, input_max=None, constant_features=(),
    )  # fmt: skip
    assert len(found("output-size-mismatch", *sections, facts)) == fires


def test_several_labels_a_sample_are_not_for_cross_entropy():
    measured = designed("[{linear: 6}]", "vectors tags", "loss: bce_with_logits")
    term = LossTerm(name="cross_entropy", expects="logits", key="loss")
    sections = [replace(s, terms=(term,)) if isinstance(s, Objective) else s for s in measured]
    assert [f.severity for f in found("loss-task-mismatch", *sections)] == [Severity.WARNING]


def test_more_outputs_than_classes_are_information_where_all_labels_were_read():
    spare = spec("[{linear: 7}]")
    assert [f.severity for f in changed("output-size-mismatch", spare)] == [Severity.INFO]
    assert not changed("output-size-mismatch", spare, all_read=False)


def test_nothing_is_concluded_across_what_is_not_known():
    unknown = DesignedLayer(kind="unknown", module="own", follows=(0,))
    linear = DesignedLayer(
        kind="linear", module="0", follows=(-1,), arguments={"in_features": 8, "out_features": 8, "bias": True}
    )
    after = replace(linear, module="2", follows=(1,))
    softmax = DesignedLayer(kind="softmax", module="1", follows=(0,), arguments={"dim": 1})
    objective = Objective(terms=(LossTerm(name="cross_entropy", expects="logits", key="loss"),), task=None)
    hidden = Architecture(layers=(linear, unknown, after), outputs=(2,), input_shape=None, complete=False)
    findings, _ = asked(Measurements([hidden, objective]))
    assert findings == []
    ended = Architecture(layers=(softmax, replace(unknown, follows=(0,))), outputs=(1,), input_shape=None, complete=False)
    findings, checks = asked(Measurements([ended, objective]))
    assert findings == []
    assert checks["softmax-before-cross-entropy"].outcome == "skipped"


def test_without_a_design_every_rule_says_what_is_missing():
    _, checks = asked(Measurements([]))
    assert all(check.outcome == "skipped" and check.reason for check in checks.values())
    nothing = [
        Architecture(
            layers=(DesignedLayer(kind="unknown", module="", follows=(-1,)),), outputs=(0,), input_shape=None, complete=False
        ),
        Objective(terms=(), task=None),
        Samples(),
        Plan(),
    ]
    findings, checks = asked(Measurements(nothing))
    assert findings == []
    passed = {name for name, check in checks.items() if check.outcome != "skipped"}
    assert passed == set()
    assert len(checks) == len([rule for rule in RULES if rule.id.startswith("SPC")])


def test_a_sigmoid_that_training_saw_is_told_too():
    output = Output(
        final_module="2", final_activation="sigmoid", loss_expects="logits", rows_sum_to_one=None, non_negative=True,
        within_unit_interval=True, spread_ratio=None, initial_loss=None, expected_initial_loss=None,
    )  # fmt: skip
    binary = Task(
        kind="binary", loss="bce_with_logits", loss_terms=("bce_with_logits",), outputs=1, train_samples=64,
        val_samples=None, batch_size=8, full_batch=False, steps_per_epoch=8,
    )  # fmt: skip
    for seen, fires in (
        (output, 1),
        (replace(output, within_unit_interval=False), 0),
        (replace(output, final_activation="relu"), 0),
    ):
        findings, _ = asked(Measurements([seen, binary]))
        assert len([f for f in findings if f.name == "sigmoid-before-bce-with-logits"]) == fires


def test_the_loss_that_training_would_take_is_judged_where_none_is_named():
    assert found("softmax-before-cross-entropy", *designed(f"{HEAD}, softmax]", CLASSES, ""))
    assert found("bounded-output-regression", *designed(ONE[:-1] + ", sigmoid]", "vectors normal", ""))
    assert found("sigmoid-before-bce-with-logits", *designed(ONE[:-1] + ", sigmoid]", "vectors binary", ""))


def test_pools_without_shapes_and_windows_that_do_not_fit():
    measured = designed(row("max_pool2d: {kernel_size: 2, stride: 3}", "flatten", "linear: 4"), "maps classes-4")
    architecture = measured[Architecture]
    blind = tuple(replace(layer, arrives=None, leaves=None) for layer in architecture.layers)
    assert found("pool-stride-exceeds-kernel", replace(architecture, layers=blind))
    first, *rest = designed(CNN, "maps classes-4")[Architecture].layers
    bare = replace(first, arrives=(8, 1, 1), leaves=None, arguments=dict(first.arguments) | {"padding": 0})
    told = found("spatial-collapse", replace(architecture, layers=(bare, *rest)))
    assert [f.severity for f in told] == [Severity.ERROR]


@pytest.mark.parametrize("fact", [NAN, INF, None])
def test_targets_that_are_not_finite_are_for_rules_on_the_data(fact):
    for name, last in (("bounded-output-regression", "sigmoid"), ("relu-output", "relu")):
        measured = designed(f"{ONE[:-1]}, {last}]", "vectors normal", "loss: mse")
        sections = [replace(s, target_std=fact) if isinstance(s, Samples) else s for s in measured]
        _, checks = asked(Measurements(sections))
        assert checks[name].reason == "the range of the targets is not known, or not finite"
