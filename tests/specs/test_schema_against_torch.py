"""Argument names and defaults are torch's own; what differs is listed here, with its reason."""

import inspect

import pytest
import torch
from torch import nn

from dltool.specs.schema.activations import ACTIVATIONS
from dltool.specs.schema.initialisers import INITIALISERS
from dltool.specs.schema.layers import LAYERS
from dltool.specs.schema.losses import PLAIN_LOSSES
from dltool.specs.schema.optimizers import OPTIMIZERS
from dltool.specs.schema.schedules import SCHEDULES

# Layers and losses with no class of their own in torch.
OURS = {"global_avg_pool", "global_max_pool", "reshape", "drop_connect", "gaussian_noise", "residual", "hinge", "log_cosh"}
ODD_CLASSES = {
    "batch_norm": nn.BatchNorm1d, "rms_norm": nn.RMSNorm, "rnn": nn.RNNBase, "lstm": nn.RNNBase, "gru": nn.RNNBase,
    "prelu": nn.PReLU, "rrelu": nn.RReLU, "nll": nn.NLLLoss, "bce": nn.BCELoss, "bce_with_logits": nn.BCEWithLogitsLoss,
    "mse": nn.MSELoss, "kl_div": nn.KLDivLoss, "poisson_nll": nn.PoissonNLLLoss, "gaussian_nll": nn.GaussianNLLLoss,
    "ctc": nn.CTCLoss, "multilabel_margin": nn.MultiLabelMarginLoss, "multilabel_soft_margin": nn.MultiLabelSoftMarginLoss,
}  # fmt: skip
# Sizes that are inferred when absent, and softmax's dimension, which torch guesses with a warning when absent.
INFERRED = {
    "in_features", "in_channels", "num_features", "normalized_shape", "num_channels", "input_size", "embed_dim", "d_model",
}  # fmt: skip
OTHER_DEFAULT = INFERRED | {"nonlinearity"}
EXTRA = {"name", "init", "l2", "frozen", "output", "from_logits", "decay", "warmup"}


def torch_class(kind):
    if kind in ODD_CLASSES:
        return ODD_CLASSES[kind]
    wanted = kind.replace("_", "")
    for name in dir(nn):
        if name.lower() in (wanted, wanted + "loss"):
            return getattr(nn, name)
    raise AssertionError(f"torch has no {kind}")


def signature(function):
    return dict(inspect.signature(function).parameters)


def check(member, parameters, other_default=frozenset()):
    for name, field in member.model_fields.items():
        if name in EXTRA and name not in parameters:
            continue
        assert name in parameters, f"{member.kind}: torch has no argument {name}"
        default = parameters[name].default
        if name in other_default:
            continue
        if field.is_required():
            assert default is inspect.Parameter.empty, f"{member.kind}.{name} is required here and not in torch"
        else:
            assert field.default == default, f"{member.kind}.{name}: {field.default} here, {default} in torch"


@pytest.mark.parametrize("member", [m for m in (*LAYERS, *PLAIN_LOSSES) if m.kind not in OURS], ids=lambda m: m.kind)
def test_layers_and_losses_take_torchs_arguments(member):
    other = OTHER_DEFAULT | ({"dim"} if member.kind in {"softmax", "softmin", "log_softmax"} else set())
    other |= {"activation"} if member.kind == "transformer_encoder_layer" else set()
    other |= {"hidden_size"}
    parameters = signature(torch_class(member.kind))
    if member.kind == "rnn":
        parameters["nonlinearity"] = inspect.Parameter("nonlinearity", inspect.Parameter.KEYWORD_ONLY, default="tanh")
    check(member, parameters, other)


@pytest.mark.parametrize("member", OPTIMIZERS, ids=lambda m: m.kind)
def test_optimizers_take_torchs_arguments(member):
    classes = {name.lower(): getattr(torch.optim, name) for name in dir(torch.optim)}
    check(member, signature(classes[member.kind]))


@pytest.mark.parametrize("member", [m for m in SCHEDULES if m.kind != "constant"], ids=lambda m: m.kind)
def test_schedules_take_torchs_arguments(member):
    scheduler = {
        "step": "StepLR", "exponential": "ExponentialLR", "cosine": "CosineAnnealingLR", "plateau": "ReduceLROnPlateau",
        "one_cycle": "OneCycleLR",
    }  # fmt: skip
    # T_max is the whole run when absent.
    check(member, signature(getattr(torch.optim.lr_scheduler, scheduler[member.kind])), {"T_max"})


@pytest.mark.parametrize("member", INITIALISERS, ids=lambda m: m.kind)
def test_initialisers_take_torchs_arguments(member):
    if member.kind in {"lsuv", "identity", "lecun_normal", "lecun_uniform"}:
        return
    name = "trunc_normal_" if member.kind == "truncated_normal" else f"{member.kind}_"
    check(member, signature(getattr(nn.init, name)))


def test_every_activation_of_torch_has_a_name():
    attention = {"MultiheadAttention"}
    names = set(nn.modules.activation.__all__) - attention
    ours = {torch_class(member.kind).__name__ for member in ACTIVATIONS}
    assert ours == names


def test_every_loss_of_torch_has_a_name():
    """NLLLoss2d is NLLLoss under an old name; the two others take a layer and a function as arguments."""
    left_out = {"NLLLoss2d", "LinearCrossEntropyLoss", "TripletMarginWithDistanceLoss"}
    ours = {torch_class(member.kind).__name__ for member in PLAIN_LOSSES if member.kind not in OURS}
    assert ours == set(nn.modules.loss.__all__) - left_out


def test_first_and_sequence_name_arguments():
    for member in (*LAYERS, *PLAIN_LOSSES, *OPTIMIZERS, *SCHEDULES, *INITIALISERS):
        assert {member.first, member.sequence} - {None} <= member.model_fields.keys()
        assert member.__doc__, f"{member.kind} has no description"
