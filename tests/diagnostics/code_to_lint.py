"""Factories with one fault each, named after what the lint of them must say, and healthy ones that look guilty."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Factory = Callable[[], dict[str, Any]]
FAULTY: dict[str, set[str]] = {}
"""By the factory's name, what lint must find."""
HEALTHY: list[str] = []


def faulty(*rules: str) -> Callable[[Factory], Factory]:
    def register(factory: Factory) -> Factory:
        FAULTY[factory.__name__] = set(rules)
        return factory

    return register


def healthy(factory: Factory) -> Factory:
    HEALTHY.append(factory.__name__)
    return factory


def made(model: nn.Module, given: Any, target: Any, loss: Any = None, **more: Any) -> dict[str, Any]:
    """The batches: 64 samples in two."""

    def half(value: Any, part: slice) -> Any:
        return tuple(v[part] for v in value) if isinstance(value, tuple) else value[part]

    batches = [(half(given, slice(i, i + 32)), half(target, slice(i, i + 32))) for i in (0, 32)]
    loss = {} if loss is None else {"loss": loss}
    return {"model": model, "batches": batches, **loss, **more}


def features(width: int = 4) -> Tensor:
    return torch.randn(64, width)


def pictures(channels: int = 1, size: int = 8) -> Tensor:
    return torch.randn(64, channels, size, size)


def labels(classes: int = 3) -> Tensor:
    return torch.arange(64) * 7 % classes


def yes_no() -> Tensor:
    return labels(2).float()


def numbers(width: int = 1) -> Tensor:
    return torch.randn(64, width)


def mlp(*last: nn.Module, into: int = 4, out: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Linear(into, 16), nn.ReLU(), nn.Linear(16, out), *last)


def plain(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9)


class With(nn.Module):
    """A body, and a function of what it returns."""

    def __init__(self, body: nn.Module, then: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.body, self.then = body, then

    def forward(self, x: Tensor) -> Any:
        return self.then(self.body(x))


# Softmax before cross-entropy, in all its spellings --------------------------------------------------------------------


@faulty("softmax-before-cross-entropy")
def softmax_module() -> Any:
    return made(mlp(nn.Softmax(dim=1)), features(), labels(), nn.CrossEntropyLoss())


@faulty("softmax-before-cross-entropy")
def softmax_function() -> Any:
    return made(With(mlp(), lambda x: F.softmax(x, dim=-1)), features(), labels(), F.cross_entropy)


@faulty("softmax-before-cross-entropy")
def softmax_method() -> Any:
    return made(With(mlp(), lambda x: x.softmax(1)), features(), labels(), lambda o, t: F.cross_entropy(o, t) * 1.0)


@faulty("softmax-before-cross-entropy")
def softmax_torch() -> Any:
    return made(With(mlp(), lambda x: torch.softmax(x, 1)), features(), labels(), nn.CrossEntropyLoss())


@faulty("softmax-before-cross-entropy")
def softmax_by_hand() -> Any:
    def shares(x: Tensor) -> Tensor:
        powers = torch.exp(x)
        return powers / powers.sum(1, keepdim=True)

    return made(With(mlp(), shares), features(), labels(), nn.CrossEntropyLoss())


@faulty("softmax-before-cross-entropy")
def softmax_in_the_loss() -> Any:
    return made(mlp(), features(), labels(), lambda o, t: F.cross_entropy(torch.softmax(o, 1), t))


@faulty("softmax-before-cross-entropy")
def softmax_with_a_loss_by_hand() -> Any:
    def loss(output: Tensor, target: Tensor) -> Tensor:
        return (torch.logsumexp(output, 1) - output.gather(1, target[:, None]).squeeze(1)).mean()

    return made(mlp(nn.Softmax(1)), features(), labels(), loss)


@faulty("softmax-before-cross-entropy")
def softmax_in_one_of_two_heads() -> Any:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.kind, self.size = mlp(nn.ReLU(), out=8), nn.Linear(8, 3), nn.Linear(8, 1)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            h = self.body(x)
            return self.kind(h).softmax(-1), self.size(h)

    def loss(output: tuple[Tensor, Tensor], target: tuple[Tensor, Tensor]) -> Tensor:
        return F.cross_entropy(output[0], target[0]) + F.mse_loss(output[1], target[1])

    return made(Two(), features(), (labels(), numbers()), loss)


@healthy
def attention_and_gates_are_no_output() -> Any:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gate, self.first, self.second = nn.Linear(4, 2), mlp(), mlp()

        def forward(self, x: Tensor) -> Tensor:
            share = F.softmax(self.gate(x), dim=1)
            return share[:, :1] * self.first(x) + share[:, 1:] * self.second(x)

    return made(Gated(), features(), labels(), nn.CrossEntropyLoss())


@healthy
def log_softmax_with_nll() -> Any:
    return made(With(mlp(), lambda x: F.log_softmax(x, dim=1)), features(), labels(), F.nll_loss)


@healthy
def log_of_softmax_with_nll() -> Any:
    return made(With(mlp(), lambda x: torch.log(x.softmax(1) + 1e-9)), features(), labels(), nn.NLLLoss())


@healthy
def softmax_with_the_log_in_the_loss() -> Any:
    return made(mlp(nn.Softmax(1)), features(), labels(), lambda o, t: F.nll_loss(torch.log(o.clamp_min(1e-9)), t))


@healthy
def softmax_with_a_loss_of_probabilities_by_hand() -> Any:
    def loss(output: Tensor, target: Tensor) -> Tensor:
        return -torch.log(output.gather(1, target[:, None])).mean()

    return made(mlp(nn.Softmax(1)), features(), labels(), loss)


@healthy
def softmax_for_prediction_alone() -> Any:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = mlp()

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            logits = self.body(x)
            return {"logits": logits, "shares": logits.softmax(1)}

    return made(Both(), features(), labels(), lambda o, t: F.cross_entropy(o["logits"], t))


# One unit, sigmoids, outputs -------------------------------------------------------------------------------------------


@faulty("softmax-over-one-unit")
def softmax_over_one() -> Any:
    return made(mlp(nn.Softmax(dim=1), out=1), features(), yes_no()[:, None], nn.BCELoss())


@faulty("sigmoid-before-bce-with-logits")
def sigmoid_twice() -> Any:
    return made(With(mlp(out=1), torch.sigmoid), features(), yes_no()[:, None], nn.BCEWithLogitsLoss())


@faulty("sigmoid-before-bce-with-logits")
def sigmoid_by_hand_twice() -> Any:
    model = With(mlp(out=1), lambda x: 1.0 / (1.0 + torch.exp(-x)))
    return made(model, features(), yes_no()[:, None], lambda o, t: 2.0 * F.binary_cross_entropy_with_logits(o, t))


@healthy
def sigmoid_once() -> Any:
    return made(With(mlp(out=1), lambda x: x.sigmoid().squeeze(1)), features(), yes_no(), F.binary_cross_entropy)


@faulty("missing-output-activation")
def nll_of_logits() -> Any:
    return made(mlp(), features(), labels(), nn.NLLLoss())


@faulty("bounded-output-regression")
def sigmoid_for_large_numbers() -> Any:
    return made(mlp(nn.Sigmoid(), out=1), features(), 50 + 10 * numbers(), nn.MSELoss())


@faulty("relu-output")
def relu_at_the_end() -> Any:
    return made(With(mlp(), F.relu), features(), labels(), nn.CrossEntropyLoss())


@faulty("relu-output")
def clamp_at_the_end() -> Any:
    return made(With(mlp(out=1), lambda x: x.clamp(min=0)), features(), numbers(), nn.MSELoss())


@faulty("wrong-output-activation")
def log_softmax_among_the_samples() -> Any:
    return made(With(mlp(), lambda x: F.log_softmax(x, dim=0)), features(), labels(), nn.NLLLoss())


@faulty("wrong-output-activation")
def log_softmax_of_a_softmax() -> Any:
    return made(With(mlp(), lambda x: F.log_softmax(x.softmax(1), 1)), features(), labels(), nn.NLLLoss())


@healthy
def logarithm_of_a_softmax() -> Any:
    return made(With(mlp(), lambda x: x.softmax(1).log()), features(), labels(), nn.NLLLoss())


@healthy
def log_softmax_behind_a_gate() -> Any:
    body = With(mlp(), lambda x: F.log_softmax(x * x.softmax(-1), -1))
    return made(body, features(), labels(), nn.NLLLoss())


@healthy
def similarities_within_the_batch() -> Any:
    def info_nce(z: Tensor, pair: Tensor) -> Tensor:
        z = F.normalize(z, dim=1)
        return F.cross_entropy(z @ z.T / 0.1, pair % len(z))

    def given_pairs(z: Tensor, pair: Tensor) -> Tensor:
        return F.cross_entropy(z @ z.T * 10.0, pair)

    return made(mlp(out=8), features(), torch.arange(64) % 32, {"own": info_nce, "given": given_pairs})


@healthy
def relu_then_the_mean_of_a_map() -> Any:
    body = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 3, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return made(body, pictures(), labels(), nn.CrossEntropyLoss())


@healthy
def linear_end_of_a_depthwise_block() -> Any:
    block = (nn.Conv2d(1, 16, 1), nn.ReLU(), nn.Conv2d(16, 16, 3, groups=16), nn.ReLU(), nn.Conv2d(16, 16, 1, bias=False))
    body = nn.Sequential(*block, nn.BatchNorm2d(16), nn.Conv2d(16, 72, 1), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3))
    return made(body, pictures(), labels(), nn.CrossEntropyLoss())


@healthy
def projector_mean_classifier() -> Any:
    body = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16))
    head = nn.Linear(16, 3)
    return made(Both(body, head), torch.randn(64, 12, 8), labels(), nn.CrossEntropyLoss())


class Both(nn.Module):
    """A projection of every step, and a classifier of its mean."""

    def __init__(self, body: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.body, self.head = body, head

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).mean(1))


# Losses that raise -----------------------------------------------------------------------------------------------------


@faulty("missing-output-activation")
def bce_of_scores_raises() -> Any:
    return made(With(mlp(out=1), lambda x: x.squeeze(1)), features(), yes_no(), nn.BCELoss())


@faulty("target-encoding-mismatch")
def labels_from_one_raise() -> Any:
    return made(mlp(), features(), labels() + 1, nn.CrossEntropyLoss())


@faulty("output-size-mismatch")
def too_few_outputs_raise() -> Any:
    return made(mlp(), features(), labels(5), nn.CrossEntropyLoss())


# Loss and targets ------------------------------------------------------------------------------------------------------


@faulty("broadcast-loss")
def column_against_row() -> Any:
    return made(mlp(out=1), features(), numbers().squeeze(1), lambda o, t: ((o - t) ** 2).mean())


@healthy
def column_squeezed() -> Any:
    return made(mlp(out=1), features(), numbers().squeeze(1), lambda o, t: ((o.squeeze(1) - t) ** 2).mean())


@healthy
def row_unsqueezed_in_the_loss() -> Any:
    return made(mlp(out=1), features(), numbers().squeeze(1), lambda o, t: F.mse_loss(o, t.unsqueeze(1)))


@faulty("output-size-mismatch")
def too_few_outputs() -> Any:
    loss = nn.CrossEntropyLoss(ignore_index=9)
    return made(mlp(out=9), features(), torch.where(labels(10) == 9, 8, labels(10)) + 1, lambda o, t: loss(o, t) + 0.0)


@healthy
def one_hot_made_in_the_loss() -> Any:
    def loss(output: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(output, F.one_hot(target, 3).float())

    return made(mlp(), features(), labels(), loss)


@healthy
def float_labels_cast_in_the_loss() -> Any:
    return made(mlp(), features(), labels().float(), lambda o, t: F.cross_entropy(o, t.long()))


@healthy
def ratings_as_whole_numbers() -> Any:
    return made(mlp(out=1), features(), labels(5) + 1, lambda o, t: F.mse_loss(o.squeeze(1), t.float()))


@faulty("sum-reduction")
def sum_over_the_batch() -> Any:
    return made(mlp(), features(), labels(), nn.CrossEntropyLoss(reduction="sum"), optimizer=plain)


@faulty("sum-reduction")
def sum_by_hand() -> Any:
    return made(mlp(out=1), features(), numbers(), lambda o, t: F.mse_loss(o, t, reduction="none").sum(), optimizer=plain)


@healthy
def sum_divided_by_the_batch() -> Any:
    return made(mlp(), features(), labels(), lambda o, t: F.cross_entropy(o, t, reduction="sum") / len(t), optimizer=plain)


# Layers ----------------------------------------------------------------------------------------------------------------


@faulty("missing-nonlinearity")
def two_linear_layers() -> Any:
    return made(nn.Sequential(nn.Linear(4, 16), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 3)), features(), labels())


@faulty("missing-nonlinearity")
def activation_whose_result_is_dropped() -> Any:
    class Forgot(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.head = nn.Linear(4, 16), nn.Linear(16, 16), nn.Linear(16, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = self.first(x)
            F.relu(x)
            return self.head(torch.tanh(self.second(x)))

    return made(Forgot(), features(), labels())


@healthy
def low_rank_pair() -> Any:
    return made(nn.Sequential(nn.Linear(16, 2), nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 3)), features(16), labels())


@healthy
def activation_in_place() -> Any:
    class InPlace(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.head = nn.Linear(4, 16), nn.Linear(16, 16), nn.Linear(16, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = self.first(x)
            F.relu(x, inplace=True)
            x = self.second(x)
            torch.tanh_(x)
            return self.head(x)

    return made(InPlace(), features(), labels())


@healthy
def projections_of_attention() -> Any:
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.qkv, self.out, self.head = nn.Linear(4, 8), nn.Linear(8, 24), nn.Linear(8, 8), nn.Linear(8, 3)
            self.norm = nn.LayerNorm(8)

        def forward(self, x: Tensor) -> Tensor:
            h = self.embed(x)
            q, k, v = self.qkv(self.norm(h)).chunk(3, -1)
            h = h + self.out(F.scaled_dot_product_attention(q, k, v))
            return self.head(F.gelu(h).mean(1))

    return made(Attention(), torch.randn(64, 5, 4), labels())


@healthy
def kinks_of_their_own() -> Any:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(4, 16), *(nn.Linear(16, 16) for _ in range(5))])
            self.head = nn.Linear(16, 3)

        def forward(self, x: Tensor) -> Tensor:
            bends = (
                lambda h: torch.where(h > 0, h, 0.1 * h),
                lambda h: h * (h > 0),
                lambda h: torch.maximum(h, torch.zeros(())),
                lambda h: h * torch.sigmoid(h),
                lambda h: h.abs().sqrt(),
                lambda h: h**3,
            )
            for layer, bend in zip(self.layers, bends, strict=True):
                x = bend(layer(x))
            return self.head(x)

    return made(Own(), features(), labels())


@faulty("bias-before-norm")
def bias_before_batch_norm() -> Any:
    class Biased(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm, self.head = nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(F.relu(self.norm(self.conv(x))).mean((2, 3)))

    return made(Biased(), pictures(), labels())


@faulty("excessive-dropout")
def dropout_by_function() -> Any:
    class Dropped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.head = nn.Linear(4, 16), nn.Linear(16, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(F.dropout(F.relu(self.first(x)), 0.95, self.training))

    return made(Dropped(), features(), labels())


@faulty("pool-stride-exceeds-kernel")
def pool_with_gaps() -> Any:
    body = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU())
    model = With(body, lambda x: F.max_pool2d(x, 2, stride=3).flatten(1))
    return made(nn.Sequential(model, nn.Linear(32, 3)), pictures(), labels())


@faulty("constant-init")
def zeros_everywhere() -> Any:
    model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 3))
    for layer in (model[0], model[2], model[4]):
        nn.init.constant_(layer.weight, 0.1)
    return made(model, features(), labels())


@healthy
def zeros_in_the_head() -> Any:
    model = mlp()
    nn.init.zeros_(model[2].weight)
    return made(model, features(), labels())


@faulty("learning-rate-out-of-range")
def rate_of_ten() -> Any:
    return made(mlp(), features(), labels(), optimizer=lambda p: torch.optim.Adam(p, lr=10.0))


@healthy
def weight_decay_of_some_groups() -> Any:
    model = mlp()
    groups = [
        {"params": [model[0].weight], "weight_decay": 0.01},
        {"params": [model[0].bias, *model[2].parameters()], "lr": 1e-4},
    ]
    return made(model, features(), labels(), optimizer=torch.optim.AdamW(groups, lr=1e-3))


@faulty("unshuffled-data")
def sorted_labels() -> Any:
    given, target = torch.randn(640, 4), torch.arange(640) // 214
    batches = [(given[i : i + 16], target[i : i + 16]) for i in range(0, 640, 16)]
    return {"model": mlp(), "batches": batches, "loss": nn.CrossEntropyLoss()}


@faulty("global-stats-in-training")
def batch_norm_that_stays_in_eval() -> Any:
    class Frozen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.norm, self.head = nn.Linear(4, 16, bias=False), nn.BatchNorm1d(16), nn.Linear(16, 3)

        def train(self, mode: bool = True) -> Frozen:
            super().train(mode)
            self.norm.eval()
            return self

        def forward(self, x: Tensor) -> Tensor:
            return self.head(F.relu(self.norm(self.first(x))))

    return made(Frozen(), features(), labels())


# Healthy models of many kinds --------------------------------------------------------------------------------------------


@healthy
def small_cnn() -> Any:
    body = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.Flatten()
    )
    return made(nn.Sequential(body, nn.Linear(256, 3)), pictures(), labels(), nn.CrossEntropyLoss())


@healthy
def squeeze_excite() -> Any:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.down, self.up, self.head = nn.Conv2d(1, 8, 3), nn.Linear(8, 4), nn.Linear(4, 8), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = F.relu(self.conv(x))
            gate = torch.sigmoid(self.up(F.relu(self.down(x.mean((2, 3))))))
            return self.head((x * gate[:, :, None, None]).amax((2, 3)))

    return made(Block(), pictures(), labels())


@healthy
def lstm_tagger() -> Any:
    class Tagger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.rnn, self.head = nn.Embedding(20, 8), nn.LSTM(8, 8, batch_first=True), nn.Linear(8, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.rnn(self.embed(x))[0]).transpose(1, 2)

    words = torch.randint(20, (64, 7))
    return made(Tagger(), words, words % 5, nn.CrossEntropyLoss())


@healthy
def segmentation() -> Any:
    model = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 2, 1))
    given = pictures()
    return made(model, given, (given[:, 0] > 0).long(), nn.CrossEntropyLoss())


@healthy
def autoencoder_of_pictures() -> Any:
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 64), nn.Sigmoid(), nn.Unflatten(1, (1, 8, 8))
    )
    given = torch.rand(64, 1, 8, 8)
    return made(model, given, given, nn.BCELoss())


@healthy
def several_labels_a_sample() -> Any:
    target = (torch.rand(64, 5) > 0.5).float()
    return made(mlp(out=5), features(), target, nn.BCEWithLogitsLoss())


@healthy
def transformer() -> Any:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(20, 8)
            self.place = nn.Parameter(torch.randn(7, 8))
            self.body = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)
            self.head = nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.body(self.embed(x) + self.place).mean(1))

    return made(Net(), torch.randint(20, (64, 7)), labels())


@healthy
def linear_regression() -> Any:
    return made(nn.Linear(4, 1), features(), numbers(), nn.MSELoss(), optimizer=lambda p: torch.optim.SGD(p, lr=0.1))


@healthy
def no_loss_and_no_optimizer() -> Any:
    return made(mlp(), features(), labels())


@healthy
def tanh_policy_for_actions() -> Any:
    return made(mlp(nn.Tanh(), out=2), features(), torch.rand(64, 2) * 1.8 - 0.9, nn.SmoothL1Loss())


@healthy
def contrastive_pairs() -> Any:
    def loss(output: Tensor, target: Tensor) -> Tensor:
        a, b = F.normalize(output, dim=1).chunk(2)
        return F.cross_entropy(a @ b.T / 0.1, torch.arange(len(a)))

    return made(mlp(out=8), features(), labels(), loss)


@healthy
def focal_loss() -> Any:
    def loss(output: Tensor, target: Tensor) -> Tensor:
        ce = F.cross_entropy(output, target, reduction="none")
        return ((1 - torch.exp(-ce)) ** 2 * ce).mean()

    return made(mlp(), features(), labels(), loss)


@healthy
def distillation() -> Any:
    def loss(output: Tensor, target: Tensor) -> Tensor:
        soft = F.kl_div(F.log_softmax(output / 2, 1), torch.full_like(output, 1 / 3), reduction="batchmean")
        return F.cross_entropy(output, target) + 4 * soft

    return made(mlp(), features(), labels(), loss)
