"""Values that were bad in the batch as delivered."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset
from zoo_case import OPEN, either, faulty


@faulty(phase="input", step=5, samples=(3,))
def one_nan_feature():
    """A missing cell that pandas read as NaN."""
    batches = [(torch.randn(6, 4), torch.randint(0, 2, (6,))) for _ in range(8)]
    batches[5][0][3, 2] = torch.nan
    return {"model": nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)), "batches": batches, "loss": F.cross_entropy}


@faulty(phase="input", step=2, samples=(0, 4))
def infinite_targets():
    """log(0) among the targets of a regression, in two rows."""
    batches = [(torch.randn(5, 3), torch.randn(5, 1)) for _ in range(4)]
    batches[2][1][0] = -torch.inf
    batches[2][1][4] = -torch.inf
    return {"model": nn.Linear(3, 1), "batches": batches, "loss": F.l1_loss}


@faulty(phase="input", step=1, samples=(2,))
def infinite_feature():
    """-inf decibels of a silent band; a relu afterwards does not help, for a weight of either sign makes ±inf of it."""
    batches = [(torch.randn(4, 3), torch.randint(0, 2, (4,))) for _ in range(3)]
    batches[1][0][2, 0] = -torch.inf
    return {"model": nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), "batches": batches, "loss": F.cross_entropy}


@faulty(phase="input", step=3, samples=(1,))
def nan_in_one_of_several_inputs():
    """A dict of an image and its metadata; the metadata of one sample is NaN."""

    class Fusion(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 3)
            self.meta = nn.Linear(3, 2)
            self.head = nn.Linear(4, 2)

        def forward(self, batch):
            image = torch.relu(self.conv(batch["image"])).mean((2, 3))
            return self.head(torch.cat([image, self.meta(batch["meta"])], dim=1))

    batches = []
    for step in range(5):
        meta = torch.randn(4, 3)
        if step == 3:
            meta[1, 2] = torch.nan
        batches.append(({"image": torch.rand(4, 1, 6, 6), "meta": meta}, torch.randint(0, 2, (4,))))
    return {"model": Fusion(), "batches": batches, "loss": F.cross_entropy}


@faulty(phase="input", step=4, samples=(1,))
def nan_where_the_imputation_does_not_look():
    """Column 1 is full of NaN, which are imputed; one NaN in column 0 is not."""

    class Imputed(nn.Module):
        def __init__(self):
            super().__init__()
            self.fill = nn.Parameter(torch.zeros(()))
            self.linear = nn.Linear(3, 1)

        def forward(self, x):
            age = torch.where(torch.isnan(x[:, 1]), self.fill, x[:, 1])
            return self.linear(torch.stack([x[:, 0], age, x[:, 2]], dim=1))

    batches = []
    for step in range(6):
        x = torch.randn(4, 3)
        x[0, 1] = x[3, 1] = torch.nan
        if step == 4:
            x[1, 0] = torch.nan
        batches.append((x, torch.randn(4, 1)))
    return {"model": Imputed(), "batches": batches, "loss": F.mse_loss}


@faulty(phase="input", step=1, samples=(0, 2))
def missing_target_with_weight_zero():
    """Unknown values of one task get the weight 0: 0 * NaN is NaN."""

    def weighted(output, target):
        values, weights = target
        return (weights * (output - values) ** 2).mean()

    batches = []
    for step in range(3):
        values, weights = torch.randn(4, 2), torch.ones(4, 2)
        if step == 1:
            values[0, 1] = values[2, 0] = torch.nan
            weights[0, 1] = weights[2, 0] = 0.0
        batches.append((torch.randn(4, 3), (values, weights)))
    return {"model": nn.Linear(3, 2), "batches": batches, "loss": weighted}


@faulty(phase=either("input", "backward"), step=2, samples=(1,))
def missing_target_selected_away_too_late():
    """where(isnan(t), 0, (p - t)²): the loss is finite, the slope of the square at NaN is not."""

    def masked(output, target):
        return torch.where(torch.isnan(target), 0.0, (output - target) ** 2).mean()

    batches = [(torch.randn(4, 3), torch.randn(4, 1)) for _ in range(4)]
    batches[2][1][1] = torch.nan
    return {"model": nn.Linear(3, 1), "batches": batches, "loss": masked}


class _Rows(Dataset):
    def __init__(self):
        generator = torch.Generator().manual_seed(4)
        self.x = torch.randn(60, 4, generator=generator)
        self.y = (self.x.sum(1) > 0).long()
        self.x[37, 1] = torch.nan

    def __len__(self):
        return 60

    def __getitem__(self, index):
        return self.x[index], self.y[index]


@faulty(phase="input", step=OPEN, samples=OPEN, steps=8)
def one_bad_row_in_a_shuffled_loader():
    """A DataLoader that shuffles: the row turns up somewhere in the first epoch."""
    return {"model": nn.Linear(4, 2), "batches": DataLoader(_Rows(), batch_size=8, shuffle=True), "loss": F.cross_entropy}


@faulty(phase="input", step=6, samples=(2,))
def generator_of_batches():
    """A one-shot generator of batches, as a streaming data set gives them."""

    def stream():
        generator = torch.Generator().manual_seed(1)
        for step in range(10):
            x = torch.randn(3, 4, generator=generator)
            if step == 6:
                x[2, 3] = torch.nan
            yield x, x.sum(1, keepdim=True).nan_to_num()

    return {"model": nn.Linear(4, 1), "batches": stream(), "loss": F.mse_loss}


@faulty(phase="input", step=4, samples=(1,))
def batches_on_demand():
    """A callable that makes as many batches as it is asked for."""

    def make(n):
        for step in range(n):
            x = torch.full((2, 3), float(step + 1))
            if step % 5 == 4:
                x[1] = torch.nan
            yield x, torch.zeros(2, 1)

    return {"model": nn.Linear(3, 1), "batches": make, "epoch_steps": 5, "loss": F.l1_loss}


@faulty(phase="input", step=2, samples=(3,))
def nan_image_behind_max_pooling():
    """max pooling keeps a NaN, batch norm spreads it over the batch: still one sample is to blame."""
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3))
    batches = [(torch.rand(5, 1, 8, 8), torch.randint(0, 3, (5,))) for _ in range(4)]
    batches[2][0][3, 0, 4, 4] = torch.nan
    return {"model": net, "batches": batches, "loss": F.cross_entropy}
