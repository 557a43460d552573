"""Every model of the zoo is seen as what it is: layers, operations, edges, outputs and loss."""

from __future__ import annotations

from collections.abc import Callable

import code_zoo as zoo
import pytest
import torch
import torch.nn.functional as F
from code_zoo import LABELS, Case, images, rows, steps, tokens
from designs import sketch, traced
from torch import nn

from dltool.core.codec import decode, encode
from dltool.core.measured.design import Architecture

LOGITS = "cross_entropy:logits:mean"
ZOO: dict[str, tuple[Callable[[], Case], str, str]] = {
    "cnn": (
        lambda: Case(zoo.FunctionalCnn(), images(3, 8), LABELS),
        "conv2d relu max_pool2d conv2d relu flatten linear",
        LOGITS,
    ),
    "resnet": (
        lambda: Case(zoo.ResNet(), images(), LABELS),
        (
            "conv2d batch_norm relu conv2d batch_norm relu conv2d batch_norm residual-add:7,2 relu conv2d "
            "batch_norm relu conv2d batch_norm conv2d:9 batch_norm residual-add:14,16 relu adaptive_avg_pool2d "
            "flatten linear"
        ),
        LOGITS,
    ),
    "dense": (
        lambda: Case(zoo.DenseBlock(), images(), LABELS),
        "cat conv2d relu cat:x,2 conv2d relu cat:x,2,5 conv2d relu cat:x,2,5,8 global_avg_pool linear",
        LOGITS,
    ),
    "unet": (
        lambda: Case(zoo.UNet(), images(), torch.zeros(2, 8, 8).long()),
        "conv2d relu max_pool2d conv2d relu conv_transpose2d cat:1,5 conv2d relu conv2d",
        LOGITS,
    ),
    "gpt": (
        lambda: Case(zoo.Gpt(), tokens(), tokens()),
        (
            "embedding add layer_norm linear reshape permute select permute matmul:6,7 scale masked_fill softmax "
            "matmul:11,6 permute reshape linear residual-add:1,15 layer_norm linear gelu linear dropout "
            "residual-add:16,21 layer_norm linear reshape permute select permute matmul:27,28 scale masked_fill "
            "softmax matmul:32,27 permute reshape linear residual-add:22,36 layer_norm linear gelu linear dropout "
            "residual-add:37,42 layer_norm linear permute"
        ),
        LOGITS,
    ),
    "gpt sdpa": (
        lambda: Case(zoo.Gpt(zoo.SdpaAttention), tokens(), tokens()),
        (
            "embedding add layer_norm linear reshape permute linear:2 reshape permute linear:2 reshape permute "
            "scaled_dot_product_attention:5,8,11 permute flatten linear residual-add:1,15 layer_norm linear gelu "
            "linear dropout residual-add:16,21 layer_norm linear reshape permute linear:23 reshape permute "
            "linear:23 reshape permute scaled_dot_product_attention:26,29,32 permute flatten linear "
            "residual-add:22,36 layer_norm linear gelu linear dropout residual-add:37,42 layer_norm linear "
            "permute"
        ),
        LOGITS,
    ),
    "lstm": (
        lambda: Case(zoo.LastStep(nn.LSTM), steps(), LABELS),
        "lstm select linear",
        LOGITS,
    ),
    "cell in a loop": (
        lambda: Case(zoo.CellLoop(), steps(), LABELS),
        "select rnn_cell rnn_cell:0,1 rnn_cell:0,2 rnn_cell:0,3 rnn_cell:0,4 linear",
        LOGITS,
    ),
    "rnn by hand": (
        lambda: Case(zoo.HandRnn(), steps(3), LABELS),
        ("select linear add tanh select:x linear linear:3 add:5,6 tanh select:x linear linear:8 add:10,11 tanh linear"),
        LOGITS,
    ),
    "vae": (
        lambda: Case(zoo.Vae(), rows(), torch.rand(2, 4), zoo.vae_loss),
        "linear relu linear linear:1 scale exp mul add:2,6 linear relu linear sigmoid",
        "bce:probabilities:sum custom:unknown:unknown",
    ),
    "gan": (
        lambda: Case(
            zoo.Gan(),
            {"real": rows(), "noise": rows()},
            LABELS,
            lambda o, t: (
                F.binary_cross_entropy_with_logits(o["real"], torch.ones(2, 1))
                + F.binary_cross_entropy_with_logits(o["fake"], torch.zeros(2, 1))
            ),
        ),
        "linear leaky_relu linear linear:x leaky_relu linear tanh linear leaky_relu linear",
        "bce_with_logits:logits:mean bce_with_logits:logits:mean",
    ),
    "siamese": (
        lambda: Case(zoo.Siamese(), (rows(), rows()), torch.rand(2), nn.BCEWithLogitsLoss()),
        "linear relu linear linear:x relu linear sub:2,5 abs linear reshape",
        "bce_with_logits:logits:mean",
    ),
    "tied autoencoder": (
        lambda: Case(zoo.TiedAutoencoder(), rows(), rows(), nn.MSELoss()),
        "linear relu linear",
        "mse:values:mean",
    ),
    "experts": (
        lambda: Case(zoo.Experts(), rows(), LABELS),
        "linear softmax linear:x relu linear linear:x relu linear stack:4,7 reshape:1 mul:9,8 sum",
        LOGITS,
    ),
    "squeeze-excite": (
        lambda: Case(zoo.SqueezeExcite(), images(), LABELS),
        ("conv2d relu global_avg_pool linear relu linear sigmoid select mul:1,7 adaptive_avg_pool2d reshape reshape linear"),
        LOGITS,
    ),
    "layer norm by hand": (
        lambda: Case(zoo.HandLayerNorm(), rows(), LABELS),
        "linear mean sub:0,1 pow mean shift sqrt div:2,6 mul add relu linear",
        LOGITS,
    ),
    "two heads": (
        lambda: Case(
            zoo.TwoHeads(),
            rows(),
            {"a": LABELS, "b": torch.rand(2)},
            lambda o, t: F.cross_entropy(o.kind, t["a"]) + 0.5 * F.mse_loss(o.size, t["b"]),
        ),
        "linear elu linear linear:1 reshape",
        "cross_entropy:logits:mean mse:values:mean",
    ),
    "branches": (
        lambda: Case(zoo.Branches(), rows(), LABELS),
        "linear relu linear",
        LOGITS,
    ),
    "inplace": (
        lambda: Case(zoo.InPlace(), rows(), LABELS),
        "linear scale reshape relu linear select tanh assign:4,6 assign shift linear",
        LOGITS,
    ),
    "checkpoint": (
        lambda: Case(zoo.Checkpointed(reentrant=False), rows(), LABELS),
        "linear relu linear relu linear",
        LOGITS,
    ),
    "reentrant checkpoint": (
        lambda: Case(zoo.Checkpointed(reentrant=True), rows(), LABELS),
        "linear relu linear relu linear",
        LOGITS,
    ),
    "needs gradient": (
        lambda: Case(zoo.NeedsGradient(), rows(), rows(), nn.MSELoss()),
        "linear silu linear sum unknown:3,x scale",
        "mse:values:mean",
    ),
    "own autograd function": (
        lambda: Case(zoo.OwnFunction(), rows(), LABELS),
        "linear sin linear",
        LOGITS,
    ),
    "numpy": (
        lambda: Case(zoo.ThroughNumpy(), rows(), LABELS),
        "linear unknown linear",
        LOGITS,
    ),
    "wavenet": (
        lambda: Case(zoo.Wavenet(), torch.randn(2, 2, 6), LABELS),
        (
            "conv1d conv1d select tanh sigmoid:2 mul:3,4 conv1d shift residual-add:0,6 conv1d select tanh "
            "sigmoid:10 mul:11,12 conv1d residual-add:7,14 relu conv1d global_avg_pool"
        ),
        LOGITS,
    ),
    "swiglu": (
        lambda: Case(zoo.SwiGlu(), rows(), rows(), nn.MSELoss()),
        "pow mean shift rsqrt mul:x,3 mul linear silu linear:5 mul:7,8 linear residual-add:x,10",
        "mse:values:mean",
    ),
    "lora": (
        lambda: Case(zoo.Lora(), rows(), LABELS),
        "linear linear:x linear scale add:0,3 relu linear",
        LOGITS,
    ),
    "pointnet": (
        lambda: Case(zoo.PointNet(), steps(), LABELS),
        "linear relu linear global_max_pool linear",
        LOGITS,
    ),
    "vit": (
        lambda: Case(zoo.Vit(), images(), LABELS),
        "conv2d flatten permute cat add transformer_encoder_layer transformer_encoder_layer select linear",
        LOGITS,
    ),
    "crelu": (
        lambda: Case(zoo.ConcatRelu(), rows(), LABELS),
        "linear relu scale:0 relu cat:1,3 linear",
        LOGITS,
    ),
    "softmax by hand": (
        lambda: Case(zoo.HandSoftmax(), rows(), LABELS),
        "linear relu linear softmax",
        LOGITS,
    ),
    "sigmoid by hand": (
        lambda: Case(zoo.HandSigmoid(), rows(), torch.tensor([0.0, 1.0]), F.binary_cross_entropy),
        "linear sigmoid reshape",
        "bce:probabilities:mean",
    ),
    "swish by hand": (
        lambda: Case(zoo.HandSwish(), rows(), LABELS),
        "linear silu linear",
        LOGITS,
    ),
    "seq2seq": (
        lambda: Case(zoo.Seq2Seq(), tokens(), tokens()),
        "embedding gru select:x embedding gru:3,1 linear permute",
        LOGITS,
    ),
    "packed": (
        lambda: Case(zoo.Packed(), steps(), LABELS),
        "lstm select select:0 cat:1,2 linear",
        LOGITS,
    ),
    "timefirst": (
        lambda: Case(zoo.TimeFirst(), steps(), LABELS),
        "permute lstm select linear",
        LOGITS,
    ),
    "graphs": (
        lambda: Case(zoo.Graphs(), steps(), LABELS),
        "linear matmul relu global_avg_pool linear",
        LOGITS,
    ),
    "factorisation": (
        lambda: Case(zoo.Factorised(), tokens(2), torch.rand(2), F.mse_loss),
        "select embedding select:x embedding mul:1,3 sum",
        "mse:values:mean",
    ),
    "linear by hand": (
        lambda: Case(zoo.HandLinear(), rows(), LABELS),
        "linear add tanh einsum",
        LOGITS,
    ),
    "mixer": (
        lambda: Case(zoo.Mixer(), steps(), LABELS),
        (
            "layer_norm permute linear gelu linear permute residual-add:x,5 layer_norm linear gelu linear "
            "residual-add:6,10 global_avg_pool linear"
        ),
        LOGITS,
    ),
    "cross-attention": (
        lambda: Case(zoo.CrossAttention(), {"query": steps(3), "memory": steps()}, LABELS),
        "multihead_attention select linear",
        LOGITS,
    ),
    "parametrised": (
        lambda: Case(zoo.Parametrised(), rows(), LABELS),
        "linear relu linear relu linear",
        LOGITS,
    ),
    "noise": (
        lambda: Case(zoo.Masked(), rows(), LABELS),
        "gaussian_noise linear relu dropout linear",
        LOGITS,
    ),
    "diffusion": (
        lambda: Case(zoo.Diffusion(), (images(), torch.rand(2, 1)), images(), F.mse_loss),
        "silu linear select select conv2d:x group_norm shift:3 mul:5,6 add:7,3 silu conv2d",
        "mse:values:mean",
    ),
    "other weights": (
        lambda: Case(zoo.FastWeights(), rows(), LABELS),
        "linear tanh linear",
        LOGITS,
    ),
    "vmap": (
        lambda: Case(zoo.Vmapped(), rows(), LABELS),
        "linear unknown: linear",
        LOGITS,
    ),
    "data parallel": (
        lambda: Case(zoo.ParallelTowers(), rows(), LABELS),
        "linear relu linear linear:x residual-add:2,3",
        LOGITS,
    ),
}
INCOMPLETE = {"vmap", "numpy"}


@pytest.mark.parametrize("name", ZOO)
def test_a_model_is_seen_as_what_it_is(name: str) -> None:
    torch.manual_seed(0)
    make, expected, terms = ZOO[name]
    case = make()
    found = traced(case.model, case.input, case.target, case.loss)
    assert sketch(found) == expected
    assert " ".join(f"{term.name}:{term.expects}:{term.reduction}" for term in found.terms) == terms
    assert found.architecture.complete == (name not in INCOMPLETE)


@pytest.mark.parametrize("name", ZOO)
def test_shapes_follow_on_each_other_and_parameters_add_up(name: str) -> None:
    torch.manual_seed(0)
    case = ZOO[name][0]()
    architecture = traced(case.model, case.input, case.target, case.loss).architecture
    for index, layer in enumerate(architecture.layers):
        assert all(number < index for number in layer.follows)
        first = layer.follows[0] if layer.follows else -1
        if first >= 0 and layer.arrives is not None and layer.kind not in {"cat", "stack", "select", "lstm", "gru"}:
            before = architecture.layers[first]
            shapes = {architecture.layers[number].leaves for number in layer.follows if number >= 0}
            assert layer.arrives in shapes | {None} or before.kind in {"select", "lstm", "gru", "unknown"}
        assert layer.parameters is not None
    seen = {layer.module: layer.parameters for layer in architecture.layers if layer.module is not None and layer.parameters}
    for path, count in seen.items():
        module = case.model.get_submodule(path)
        if isinstance(module, nn.Linear | nn.Conv2d | nn.LSTM | nn.LayerNorm):
            assert count == sum(p.numel() for p in module.parameters())
    assert decode(Architecture, encode(architecture)) == architecture
