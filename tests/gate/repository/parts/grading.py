"""Grades a part by how far it lies from a few reference parts."""

import csv
from pathlib import Path

import torch
from torch import nn

DATA = Path(__file__).parents[1] / "data" / "measurements.csv"


class Grader(nn.Module):
    """Scores of every grade, from the distances to reference parts in units that are learnt."""

    def __init__(self, references: torch.Tensor, grades: int) -> None:
        super().__init__()
        self.register_buffer("references", references)
        self.units = nn.Parameter(torch.ones(references.shape[1]))
        self.head = nn.Sequential(nn.Linear(len(references), 16), nn.ReLU(), nn.Linear(16, grades))

    def forward(self, measurements: torch.Tensor) -> torch.Tensor:
        apart = (measurements[:, None] - self.references) * self.units
        distances = torch.sqrt(apart.pow(2).sum(-1) + 1e-6)
        return self.head(distances)


def read() -> tuple[torch.Tensor, torch.Tensor]:
    """Measurements, standardised, and the grade of every part."""
    with DATA.open() as file:
        rows = list(csv.reader(file))[1:]
    values = torch.tensor([[float(cell) for cell in row[:-1]] for row in rows])
    return (values - values.mean(0)) / values.std(0), torch.tensor([int(row[-1]) for row in rows])


def make() -> dict[str, object]:
    """Model, data, loss and optimizer, as dltool takes them."""
    torch.manual_seed(0)
    measurements, grades = read()
    batches = list(zip(measurements.split(16), grades.split(16), strict=True))
    return {
        "model": Grader(measurements[20:28], 3),
        "batches": batches[:12],
        "val_batches": batches[12:],
        "loss": nn.CrossEntropyLoss(),
        "optimizer": lambda parameters: torch.optim.Adam(parameters, lr=3e-2),
    }
