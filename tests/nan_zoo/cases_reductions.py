"""Sums and means over nothing, and divisions by how much there is of it."""

import torch
import torch.nn.functional as F
from torch import nn
from zoo_case import either, faulty


@faulty(phase="loss", op="nll_loss", module=None, step=2, samples=(0, 1, 2, 3))
def every_label_ignored():
    """https://github.com/pytorch/pytorch/issues/70348: a batch of unlabelled samples."""
    batches = [(torch.randn(4, 6), torch.randint(0, 3, (4,))) for _ in range(5)]
    batches[0][1][1] = -100
    batches[2][1][:] = -100
    return {"model": nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)), "batches": batches, "loss": F.cross_entropy}


@faulty(phase="loss", op="nll_loss", module=None, step=3, samples=(0, 1))
def every_token_ignored():
    """Token classification (N, C, T) where truncation cut all labelled tokens off."""

    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(30, 8)
            self.rnn = nn.GRU(8, 8, batch_first=True)
            self.head = nn.Linear(8, 4)

        def forward(self, tokens):
            return self.head(self.rnn(self.embedding(tokens))[0]).transpose(1, 2)

    batches = [(torch.randint(0, 30, (2, 7)), torch.randint(0, 4, (2, 7))) for _ in range(5)]
    for step, (_, labels) in enumerate(batches):
        labels[:, -1] = -1
        if step == 3:
            labels[:] = -1
    return {"model": Tagger(), "batches": batches, "loss": nn.CrossEntropyLoss(ignore_index=-1)}


@faulty(phase="loss", op="mean", module=None, step=4, samples=(0, 1, 2, 3, 4, 5))
def mean_over_an_empty_mask():
    """No sample of the batch counts as clean."""

    def clean_loss(output, target):
        value, clean = target
        return ((output.squeeze(1) - value)[clean] ** 2).mean()  # born

    batches = []
    for step in range(6):
        clean = torch.tensor([True, False, True, True, False, True])
        batches.append((torch.randn(6, 4), (torch.randn(6), clean & (step != 4))))
    return {"model": nn.Linear(4, 1), "batches": batches, "loss": clean_loss}


@faulty(phase="forward", op="div", module="pool", step=1, samples=(4,))
def masked_mean_of_an_empty_sentence():
    """Mean pooling over the tokens that are there, of which one sentence has none."""

    class MaskedMean(nn.Module):
        def forward(self, x, mask):
            mask = mask.unsqueeze(-1).float()
            return (x * mask).sum(1) / mask.sum(1)  # born

    class Sentence(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(20, 8)
            self.pool = MaskedMean()
            self.head = nn.Linear(8, 2)

        def forward(self, batch):
            return self.head(self.pool(self.embedding(batch["input_ids"]), batch["attention_mask"]))

    batches = []
    for step in range(4):
        mask = torch.ones(5, 6, dtype=torch.long)
        mask[0, 3:] = 0
        mask[4] = int(step != 1)
        batches.append(({"input_ids": torch.randint(0, 20, (5, 6)), "attention_mask": mask}, torch.randint(0, 2, (5,))))
    return {"model": Sentence(), "batches": batches, "loss": F.cross_entropy}


@faulty(phase="loss", op="div", module=None, step=3, samples=(2,))
def contrastive_anchor_without_a_positive():
    """https://github.com/HobbitLong/SupContrast/issues/141: a label that only one sample of the batch has."""

    def supervised_contrastive(features, labels):
        features = F.normalize(features, dim=1)
        logits = features @ features.T / 0.5
        others = ~torch.eye(len(labels), dtype=torch.bool)
        positive = ((labels[:, None] == labels[None, :]) & others).float()
        log_prob = logits - torch.log((torch.exp(logits) * others).sum(1, keepdim=True))
        mean_log_prob = (positive * log_prob).sum(1) / positive.sum(1)  # born
        return -mean_log_prob.mean()

    batches = [(torch.randn(6, 5), torch.tensor([0, 0, 1, 1, 0, 1])) for _ in range(5)]
    batches[3][1][2] = 7
    return {"model": nn.Linear(5, 8), "batches": batches, "loss": supervised_contrastive}


@faulty(phase="loss", op="div", module=None, step=2, samples=either((0, 1, 2, 3), None))
def positive_weight_of_a_batch_without_positives():
    """pos_weight = negatives / positives, computed for every batch; inf, and then inf * 0."""

    def weighted_bce(output, target):
        weight = (1 - target).sum() / target.sum()  # born
        return F.binary_cross_entropy_with_logits(output.squeeze(1), target, pos_weight=weight)

    batches = [(torch.randn(4, 5), torch.tensor([1.0, 0.0, 0.0, 1.0])) for _ in range(4)]
    batches[2][1][:] = 0.0
    return {"model": nn.Linear(5, 1), "batches": batches, "loss": weighted_bce}


@faulty(phase="loss", op="div", module=None, step=2, samples=(1,))
def dice_of_an_empty_mask():
    """Blank image, empty mask, relu output: 2 * 0 / (0 + 0)."""

    def dice(output, mask):
        overlap = (output * mask).sum((1, 2, 3))
        return 1 - (2 * overlap / (output.sum((1, 2, 3)) + mask.sum((1, 2, 3)))).mean()  # born

    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.ReLU(), nn.Conv2d(4, 1, 1, bias=False), nn.ReLU())
    nn.init.constant_(net[2].weight, 0.2)
    batches = [(torch.rand(3, 1, 8, 8), (torch.rand(3, 1, 8, 8) > 0.5).float()) for _ in range(4)]
    batches[2][0][1] = 0.0
    batches[2][1][1] = 0.0
    return {"model": net, "batches": batches, "loss": dice}


@faulty(phase="loss", op="div", module=None, step=1, samples=(0,), term="box")
def iou_of_two_empty_boxes():
    """A padding box of no area against a prediction that relu cut to no area: 0 / 0 in one of two terms."""

    class Detector(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Linear(6, 8, bias=False)
            self.size = nn.Linear(8, 2, bias=False)
            self.label = nn.Linear(8, 3)

        def forward(self, x):
            h = torch.tanh(self.body(x))
            return {"size": torch.relu(self.size(h)), "label": self.label(h)}

    def box_term(output, target):
        smaller = torch.minimum(output["size"], target["size"]).prod(1)
        union = output["size"].prod(1) + target["size"].prod(1) - smaller
        return (1 - smaller / union).mean()  # born

    def label_term(output, target):
        return F.cross_entropy(output["label"], target["label"])

    batches = []
    for step in range(4):
        x, size = torch.randn(4, 6), torch.rand(4, 2) + 0.5
        if step == 1:
            x[0], size[0] = 0.0, 0.0
        batches.append((x, {"size": size, "label": torch.randint(0, 3, (4,))}))
    return {"model": Detector(), "batches": batches, "loss": {"box": box_term, "class": label_term}}


@faulty(phase="forward", op="std", module="discriminator", step=3, samples=None)
def standard_deviation_over_a_batch_of_one():
    """The last, ragged batch of an epoch has a single sample: std divides by n - 1 = 0."""

    class MinibatchStd(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(5, 1)

        def forward(self, x):
            spread = x.std(dim=0).mean().expand(len(x), 1)  # born
            return self.linear(torch.cat([x, spread], dim=1))

    class Critic(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = nn.Linear(6, 4)
            self.discriminator = MinibatchStd()

        def forward(self, x):
            return self.discriminator(torch.tanh(self.features(x)))

    x, y = torch.randn(13, 6), torch.rand(13, 1).round()
    return {
        "model": Critic(),
        "batches": list(zip(x.split(4), y.split(4), strict=True)),
        "loss": F.binary_cross_entropy_with_logits,
    }


@faulty(phase="forward", op="pow", module="conv", step=2, samples=(1,))
def isolated_node_of_a_graph():
    """Degree to the power of -1/2 in a graph convolution: inf for a node without neighbours, and inf * 0 after it."""

    class GraphConv(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def forward(self, x, adjacency):
            scale = adjacency.sum(-1).pow(-0.5)  # born
            adjacency = scale[:, :, None] * adjacency * scale[:, None, :]
            return adjacency @ self.linear(x)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = GraphConv()
            self.head = nn.Linear(4, 1)

        def forward(self, inputs):
            return self.head(torch.relu(self.conv(*inputs)).mean(1)).squeeze(1)

    batches = []
    for step in range(4):
        adjacency = torch.ones(3, 5, 5) - torch.eye(5)
        if step == 2:
            adjacency[1, 3] = 0.0
            adjacency[1, :, 3] = 0.0
        batches.append(((torch.randn(3, 5, 4), adjacency), torch.randn(3)))
    return {"model": Net(), "batches": batches, "loss": F.mse_loss}
