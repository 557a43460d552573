"""Healthy runs that a spec cannot say, as factories of models, data and losses of one's own."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

DATA = Path(__file__).parents[2] / "sample_configs" / "data"

Made = dict[str, Any]


class Rows(Dataset[tuple[Any, Any]]):
    """Inputs and targets by row; either may be a dict of tensors."""

    def __init__(self, inputs: Any, targets: Any, rows: Tensor) -> None:
        self._inputs, self._targets, self._rows = inputs, targets, rows.tolist()

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return _row(self._inputs, self._rows[index]), _row(self._targets, self._rows[index])


def _row(value: Any, row: int) -> Any:
    return {key: tensor[row] for key, tensor in value.items()} if isinstance(value, dict) else value[row]


def batches(inputs: Any, targets: Any, size: int = 32) -> Made:
    """A fifth for validation, drawn at random; training batches shuffled anew every epoch."""
    count = len(next(iter(inputs.values())) if isinstance(inputs, dict) else inputs)
    order = torch.randperm(count)
    train, val = Rows(inputs, targets, order[count // 5 :]), Rows(inputs, targets, order[: count // 5])
    return {
        "batches": DataLoader(train, batch_size=size, shuffle=True),
        "val_batches": DataLoader(val, batch_size=size),
        "epoch_steps": math.ceil(len(train) / size),
    }


def digits() -> tuple[Tensor, Tensor]:
    """Images (1797, 8, 8) between 0 and 1, and their labels."""
    stored = np.load(DATA / "digits.npz")
    return torch.from_numpy(stored["x"]).float() / 16.0, torch.from_numpy(stored["y"])


def adam(rate: float) -> Callable[[list[nn.Parameter]], torch.optim.Optimizer]:
    """Adam at ``rate``."""
    return lambda parameters: torch.optim.Adam(parameters, lr=rate)


def mlp(inputs: int, outputs: int, width: int = 64) -> nn.Sequential:
    """Two hidden layers."""
    hidden = [nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()]
    return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(width, outputs))


class CausalLanguageModel(nn.Module):
    """A transformer whose mask is -inf above the diagonal, and whose head shares the embedding's weights."""

    def __init__(self, words: int, width: int, length: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        nn.init.normal_(self.embedding.weight, std=0.1)
        self.position = nn.Parameter(torch.randn(length, width) * 0.1)
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, dropout=0.0, batch_first=True, norm_first=True)
        self.body = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, words, bias=False)
        self.head.weight = self.embedding.weight
        self.register_buffer("mask", torch.full((length, length), -torch.inf).triu(1))

    def forward(self, words: Tensor) -> Tensor:
        """(N, T) to (N, words, T)."""
        hidden = self.body(self.embedding(words) + self.position, mask=self.mask)
        return self.head(self.norm(hidden)).transpose(1, 2)


def causal_language_model() -> Made:
    """The next letter of a Markov chain: one of three followers, so that ln 3 is the least."""
    words, length, count = 20, 16, 600
    followers = torch.stack([torch.randperm(words)[:3] for _ in range(words)])
    text = torch.randint(words, (count, 1))
    for _ in range(length):
        follower = followers[text[:, -1]].gather(1, torch.randint(3, (count, 1)))
        text = torch.cat([text, follower], 1)
    return batches(text[:, :-1], text[:, 1:]) | {
        "model": CausalLanguageModel(words, 32, length),
        "loss": F.cross_entropy,
        "optimizer": adam(3e-3),
    }


class PaddedClassifier(nn.Module):
    """Attention that leaves padding out, and a mean over what is left."""

    def __init__(self, words: int, width: int, classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, width, padding_idx=0)
        self.attention = nn.MultiheadAttention(width, 4, batch_first=True)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, words: Tensor) -> Tensor:
        """(N, T), 0 for padding, to (N, classes)."""
        padding = words == 0
        hidden = self.embedding(words)
        attended, _ = self.attention(hidden, hidden, hidden, key_padding_mask=padding, need_weights=False)
        kept = self.norm(hidden + attended).masked_fill(padding[..., None], 0.0)
        return self.head(kept.sum(1) / (~padding).sum(1, keepdim=True))


def padded_attention() -> Made:
    """Sentences of 3 to 20 words; which topic's words are in the majority."""
    count, length, topics, words = 1000, 20, 4, 80
    topic = torch.randint(topics, (count,))
    own = torch.rand(count, length) < 0.5
    text = torch.where(own, topic[:, None] * 20 + torch.randint(20, (count, length)), torch.randint(words, (count, length)))
    ends = torch.randint(6, length + 1, (count, 1))
    text = (text + 1).masked_fill(torch.arange(length) >= ends, 0)
    return batches(text, topic) | {"model": PaddedClassifier(words + 1, 32, topics), "optimizer": adam(3e-3)}


class BagOfWords(nn.Module):
    """An embedding far larger than what occurs."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5000, 16)
        self.head = nn.Linear(16, 3)

    def forward(self, words: Tensor) -> Tensor:
        """(N, T) to (N, 3)."""
        return self.head(self.embedding(words).mean(1))


def rare_words() -> Made:
    """Of 5000 words 150 occur."""
    count = 900
    topic = torch.randint(3, (count,))
    own = torch.rand(count, 12) < 0.5
    words = torch.where(own, topic[:, None] * 50 + torch.randint(50, (count, 12)), torch.randint(150, (count, 12)))
    return batches(words * 33, topic) | {"model": BagOfWords(), "optimizer": adam(1e-2)}


class Autoencoder(nn.Module):
    """Digits through a bottleneck of 12."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 12))
        self.decoder = nn.Sequential(nn.Linear(12, 48), nn.ReLU(), nn.Linear(48, 64), nn.Sigmoid())

    def forward(self, image: Tensor) -> Tensor:
        """(N, 64) to (N, 64)."""
        return self.decoder(self.encoder(image))


def autoencoder() -> Made:
    """Grey values as targets: the entropy of the greys is a floor far above 0."""
    images = digits()[0].flatten(1)
    return batches(images, images) | {"model": Autoencoder(), "loss": F.binary_cross_entropy, "optimizer": adam(2e-3)}


class Vae(nn.Module):
    """Returns reconstruction, mean and log variance."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 16))
        self.decoder = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, 64) to three."""
        mean, log_variance = self.encoder(image).chunk(2, -1)
        noise = torch.randn_like(mean) if self.training else torch.zeros_like(mean)
        return self.decoder(mean + noise * (0.5 * log_variance).exp()), mean, log_variance


def negative_elbo(output: tuple[Tensor, Tensor, Tensor], target: Tensor) -> Tensor:
    """Kingma & Welling 2014, with a Gaussian decoder of standard deviation 0.2: negative once it fits."""
    image, mean, log_variance = output
    fit = F.gaussian_nll_loss(image, target, torch.full_like(image, 0.04), reduction="none", full=True).sum(1)
    divergence = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum(1)
    return (fit + divergence).mean()


def vae() -> Made:
    """A variational autoencoder of the digits."""
    images = digits()[0].flatten(1)
    return batches(images, images) | {"model": Vae(), "loss": negative_elbo, "optimizer": adam(2e-3)}


def negative_cosine(output: Tensor, target: Tensor) -> Tensor:
    """Between -1 and 1; -1 is best."""
    return -F.cosine_similarity(output, target).mean()


def cosine() -> Made:
    """Directions in eight dimensions, from noisy mixtures of them."""
    target = torch.randn(1000, 8)
    inputs = target @ torch.randn(8, 12) + 0.5 * torch.randn(1000, 12)
    return batches(inputs, target) | {"model": mlp(12, 8), "loss": negative_cosine, "optimizer": adam(2e-3)}


def focal(output: Tensor, target: Tensor) -> Tensor:
    """Lin et al. 2017, gamma 2."""
    log_p = F.log_softmax(output, -1).gather(1, target[:, None]).squeeze(1)
    return (-((1 - log_p.exp()) ** 2) * log_p).mean()


def focal_loss() -> Made:
    """Digits by the focal loss."""
    return batches(*digits()) | {"model": mlp(64, 10), "loss": focal, "optimizer": adam(2e-3)}


class TripletNet(nn.Module):
    """Three inputs through one encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = mlp(64, 8)

    def forward(self, images: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Anchor, positive, negative."""
        return self.encoder(images["anchor"]), self.encoder(images["positive"]), self.encoder(images["negative"])


def triplet_loss(output: tuple[Tensor, Tensor, Tensor], _: Tensor) -> Tensor:
    """Schroff et al. 2015."""
    return F.triplet_margin_loss(*output)


def triplet() -> Made:
    """Digits of one class nearer than those of another."""
    images, labels = digits()
    rows = {int(label): (labels == label).nonzero().squeeze(1) for label in labels.unique()}
    positive = torch.stack([rows[int(y)][torch.randint(len(rows[int(y)]), ())] for y in labels])
    other = (labels + torch.randint(1, 10, labels.shape)) % 10
    negative = torch.stack([rows[int(y)][torch.randint(len(rows[int(y)]), ())] for y in other])
    inputs = {"anchor": images, "positive": images[positive], "negative": images[negative]}
    return batches(inputs, labels) | {"model": TripletNet(), "loss": triplet_loss, "optimizer": adam(1e-3)}


class TwoViews(nn.Module):
    """Both views through one encoder, as directions."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = mlp(64, 16)

    def forward(self, views: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Two (N, 16) of length 1."""
        return F.normalize(self.encoder(views["a"]), dim=-1), F.normalize(self.encoder(views["b"]), dim=-1)


def info_nce(output: tuple[Tensor, Tensor], _: Tensor) -> Tensor:
    """Van den Oord et al. 2018: each view finds its partner among the batch."""
    similarity = output[0] @ output[1].T / 0.2
    return F.cross_entropy(similarity, torch.arange(len(similarity), device=similarity.device))


def contrastive() -> Made:
    """Two noisy views of a digit."""
    images, labels = digits()
    views = {key: images + 0.2 * torch.randn_like(images) for key in ("a", "b")}
    return batches(views, labels, 64) | {"model": TwoViews(), "loss": info_nce, "optimizer": adam(1e-3)}


def multi_label() -> Made:
    """Six yes-or-no questions, each answered by one direction of the input; 5 % of the answers are wrong."""
    inputs = torch.randn(1200, 16)
    labels = (inputs @ torch.randn(16, 6) > 1.0).float()
    labels = torch.where(torch.rand_like(labels) < 0.05, 1.0 - labels, labels)
    return batches(inputs, labels) | {"model": mlp(16, 6, 16), "loss": nn.BCEWithLogitsLoss(), "optimizer": adam(2e-3)}


def imbalanced() -> Made:
    """One in twenty is a positive, and counts twenty times."""
    count = 2000
    labels = (torch.rand(count) < 0.05).long()
    inputs = torch.randn(count, 6) + 2.0 * labels[:, None] * torch.randn(6).sign()
    weight = torch.tensor([1.0, 20.0])
    return batches(inputs, labels, 64) | {
        "model": mlp(6, 2, 16),
        "loss": nn.CrossEntropyLoss(weight=weight),
        "optimizer": adam(1e-3),
    }


def imbalanced_unweighted() -> Made:
    """One in twenty, without weights: the trivial loss is already small."""
    count = 2000
    labels = (torch.rand(count) < 0.05).long()
    inputs = torch.randn(count, 6) + 2.0 * labels[:, None] * torch.randn(6).sign()
    return batches(inputs, labels, 64) | {"model": mlp(6, 2, 16), "optimizer": adam(2e-3)}


def weak_regression() -> Made:
    """A tenth to a fifth of the variance can be explained, and is."""
    inputs = torch.randn(1500, 8)
    signal = inputs @ F.normalize(torch.randn(8), dim=0)
    target = (0.45 * signal + 0.9 * torch.randn(1500))[:, None]
    model = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 1))
    return batches(inputs, target) | {"model": model, "optimizer": adam(3e-3)}


def click_through() -> Made:
    """Clicks are mostly chance: the best possible model takes a tenth off the log loss."""
    inputs = torch.randn(3000, 6)
    clicks = (torch.rand(3000) < torch.sigmoid(inputs @ F.normalize(torch.randn(6), dim=0) - 1.5)).float()[:, None]
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1))
    return batches(inputs, clicks, 64) | {"model": model, "loss": nn.BCEWithLogitsLoss(), "optimizer": adam(3e-3)}


def noisy_labels() -> Made:
    """A tenth of the digits' labels is drawn at random; dropout and weight decay keep those from being learnt by heart."""
    images, labels = digits()
    labels = torch.where(torch.rand(len(labels)) < 0.1, torch.randint(10, labels.shape), labels)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, 10))
    return batches(images, labels) | {
        "model": model,
        "optimizer": lambda parameters: torch.optim.AdamW(parameters, lr=3e-3, weight_decay=0.1),
    }


def wide_images() -> Made:
    """Images of 6 by 20: which of four stripe patterns."""
    count = 600
    labels = torch.randint(4, (count,))
    across = torch.arange(20.0)
    stripes = torch.sin(across * (0.5 + 0.4 * labels[:, None]) + 6.28 * torch.rand(count, 1))
    images = stripes[:, None, None, :] + 0.7 * torch.randn(count, 1, 6, 20)
    body = [nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d((1, 2)), nn.Conv2d(12, 24, 3, padding=1), nn.ReLU()]
    model = nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 4))
    return batches(images, labels) | {"model": model, "optimizer": adam(5e-3)}


def segmentation() -> Made:
    """Each pixel: in the bright disc or not."""
    count, size = 300, 16
    grid = torch.stack(torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")).float()
    centre = 4 + 8 * torch.rand(count, 2, 1, 1)
    inside = ((grid - centre) ** 2).sum(1) < 12.0
    images = (inside.float() + 0.6 * torch.randn(count, size, size))[:, None]
    model = nn.Sequential(
        nn.Conv2d(1, 12, 5, padding=2), nn.ReLU(), nn.Conv2d(12, 12, 5, padding=2), nn.ReLU(), nn.Conv2d(12, 2, 1)
    )
    return batches(images, inside.long(), 16) | {"model": model, "optimizer": adam(3e-3)}


class TwoHeads(nn.Module):
    """A trunk with a head for the class and one for the ink."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU())
        self.label = nn.Linear(64, 10)
        self.ink = nn.Linear(64, 1)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Both answers."""
        hidden = self.trunk(image)
        return {"label": self.label(hidden), "ink": self.ink(hidden).squeeze(1)}


def two_heads() -> Made:
    """Two named terms over a dict of outputs and one of targets."""
    images, labels = digits()
    ink = images.mean((1, 2))
    targets = {"label": labels, "ink": (ink - ink.mean()) / ink.std()}
    return batches(images, targets) | {
        "model": TwoHeads(),
        "loss": {
            "label": lambda output, target: F.cross_entropy(output["label"], target["label"]),
            "ink": lambda output, target: 0.3 * F.mse_loss(output["ink"], target["ink"]),
        },
        "optimizer": adam(2e-3),
    }


def late_jump() -> Made:
    """Parity of three of ten bits: nothing for long, then all at once (Barak et al. 2022)."""
    bits = torch.randint(2, (3000, 10)).float() * 2.0 - 1.0
    labels = (bits[:, :3].prod(1) > 0).long()
    model = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 2))
    return batches(bits, labels) | {
        "model": model,
        "optimizer": lambda parameters: torch.optim.SGD(parameters, lr=0.1, weight_decay=1e-3),
    }


class KSparse(nn.Module):
    """Of 64 units only the 16 largest pass (Makhzani & Frey 2014)."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64))
        self.relu = nn.ReLU()
        self.head = nn.Linear(64, 10)

    def forward(self, image: Tensor) -> Tensor:
        """(N, 8, 8) to (N, 10)."""
        hidden = self.inner(image.flatten(1))
        limit = hidden.topk(16, dim=-1).values[:, -1:]
        return self.head(self.relu(hidden.masked_fill(hidden < limit, -1.0)))


def k_sparse() -> Made:
    """Sparse, but alive."""
    return batches(*digits()) | {"model": KSparse(), "optimizer": adam(1e-3)}


class RowReader(nn.Module):
    """A plain recurrent net whose input scale is a frozen parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(8.0), requires_grad=False)
        self.body = nn.RNN(8, 48, batch_first=True)
        self.head = nn.Linear(48, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Rows of a digit as steps of a plain recurrent net."""
        hidden, _ = self.body(image * self.scale / 8.0)
        return self.head(hidden[:, -1])


def plain_rnn() -> Made:
    """A tanh recurrent net over eight steps, with a frozen scale."""
    return batches(*digits()) | {"model": RowReader(), "optimizer": adam(2e-3)}


FACTORIES: dict[str, int] = {
    "causal_language_model": 10,
    "padded_attention": 15,
    "rare_words": 20,
    "autoencoder": 40,
    "vae": 20,
    "cosine": 20,
    "focal_loss": 15,
    "triplet": 20,
    "contrastive": 20,
    "multi_label": 20,
    "imbalanced": 15,
    "imbalanced_unweighted": 15,
    "weak_regression": 20,
    "click_through": 20,
    "noisy_labels": 15,
    "wide_images": 20,
    "segmentation": 12,
    "two_heads": 25,
    "late_jump": 40,
    "k_sparse": 15,
    "plain_rnn": 15,
}
"""The factories and how many epochs each takes."""
