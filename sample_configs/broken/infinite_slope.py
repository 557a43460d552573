# dltool nan-hunt sample_configs/broken/infinite_slope.py:make
# Expect: non-finite-backward
# A distance without an epsilon: two equal points make its square root 0, where the slope is infinite.
import torch
from torch import nn


class Distance(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(4, 8)

    def forward(self, pair: torch.Tensor) -> torch.Tensor:
        left, right = self.embed(pair[:, 0]), self.embed(pair[:, 1])
        return torch.sqrt((left - right).pow(2).sum(1))


def make() -> dict[str, object]:
    pairs = torch.randn(256, 2, 4)
    pairs[77, 1] = pairs[77, 0]  # row 13 of the third batch
    apart = (pairs[:, 0] - pairs[:, 1]).norm(dim=1)
    return {
        "model": Distance(),
        "batches": list(zip(pairs.split(32), apart.split(32), strict=True)),
        "loss": nn.MSELoss(),
        "optimizer": lambda parameters: torch.optim.Adam(parameters, lr=1e-3),
    }
