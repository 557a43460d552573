"""torch packs the padded batches of a TransformerEncoder into nested tensors in eval mode, and only there."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from toys import experiment, same, weights

from dltool.training.evaluate import Evaluator
from dltool.training.forward_work import measure


class PaddedEncoder(nn.Module):
    """Tokens (N, T), 0 where a sequence is over, to scores (N, 2)."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
        self.embedding, self.encoder, self.head = nn.Embedding(10, 16), nn.TransformerEncoder(layer, 2), nn.Linear(16, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        padding = tokens == 0
        encoded = self.encoder(self.embedding(tokens), src_key_padding_mask=padding)
        return self.head(encoded.masked_fill(padding.unsqueeze(-1), 0.0).sum(1))


@pytest.fixture
def toy():
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(1, 10, (64, 12), generator=generator)
    tokens[torch.arange(12).expand(64, 12) >= torch.randint(4, 13, (64, 1), generator=generator)] = 0
    torch.manual_seed(0)
    return experiment(model=PaddedEncoder(), data=(tokens, tokens[:, 0] % 2), batch_size=16)


def test_padded_sequences_are_evaluated_by_the_operators_of_training(toy):
    before = weights(toy)
    evaluation = Evaluator(toy)(toy.train)
    toy.model.train()
    with torch.no_grad():
        (batch,) = toy.train.fixed(batch_size=64)
        expected = F.cross_entropy(toy.model(batch.input), batch.target).item()
    assert evaluation.loss == pytest.approx(expected, rel=1e-6)
    assert torch.backends.mha.get_fastpath_enabled()
    assert same(before, weights(toy))


def test_their_work_is_counted(toy):
    feed_forward = 2 * 2 * 12 * (16 * 32 + 32 * 16)  # two layers, 12 tokens
    assert measure(Evaluator(toy), toy.train).flops_per_sample > feed_forward
