"""A padded batch gives each sequence what it gives it alone."""

import pytest
import torch
from test_build_layers import build

from dltool.specs.build.modules import SequenceBatchNorm

LENGTHS = torch.tensor([5, 2, 1, 4])

STACKS = [
    "{lstm: 4}",
    "{gru: {hidden_size: 4, bidirectional: true}}",
    "{rnn: {hidden_size: 4, num_layers: 2, bidirectional: true}}",
    "{lstm: {hidden_size: 6, output: sequence}}\nglobal_avg_pool",
    "{linear: 4}\nrelu\nglobal_max_pool",
    "{multihead_attention: 3}\nlayer_norm\nglobal_avg_pool",
    "{transformer_encoder_layer: {nhead: 2, dim_feedforward: 8}}\n{gru: 3}\n{linear: 2}",
    "{residual: [{gru: {hidden_size: 6, output: sequence}}, tanh]}\nglobal_avg_pool",
    "batch_norm\nglobal_max_pool",
    "global_avg_pool\n{linear: 3}",
]


@pytest.mark.parametrize("layers", STACKS)
@pytest.mark.parametrize("padding", [0.0, 1e3])
def test_as_if_alone(layers, padding):
    torch.manual_seed(0)
    model, leaving, _ = build(layers, (5, 6), sequence=True, padded=True)
    assert not leaving.padded
    x = torch.randn(4, 5, 6)
    for row, length in enumerate(LENGTHS.tolist()):
        x[row, length:] = padding
    model.eval()
    output = model({"values": x, "lengths": LENGTHS})
    assert output.shape == (4, *leaving.shape)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = model(x[row : row + 1, :length])
        assert torch.allclose(output[row : row + 1], alone, atol=1e-5)


def test_tokens_too():
    torch.manual_seed(0)
    model, _, _ = build(
        "{embedding: {num_embeddings: 9, embedding_dim: 4}}\n{transformer_encoder_layer: {nhead: 2, dropout: 0}}\nglobal_avg_pool",  # noqa: E501
        (5,), sequence=True, padded=True, integers=True,
    )  # fmt: skip
    x = torch.randint(9, (4, 5))
    output = model({"values": x, "lengths": LENGTHS})
    assert torch.allclose(output[1:2], model(x[1:2, :2]), atol=1e-5)


def test_padding_gets_no_gradient():
    model, _, _ = build(
        "{transformer_encoder_layer: {nhead: 2, dropout: 0}}\nglobal_avg_pool", (5, 6), sequence=True, padded=True
    )
    x = torch.randn(4, 5, 6, requires_grad=True)
    model({"values": x, "lengths": LENGTHS}).square().sum().backward()
    assert x.grad is not None
    assert not x.grad[1, 2:].any()
    assert x.grad[1, :2].any()


def test_per_step_output_keeps_the_steps():
    model, leaving, _ = build("{gru: {hidden_size: 4, output: sequence}}\n{linear: 3}", (5, 6), sequence=True, padded=True)
    assert leaving.shape == (5, 3)
    assert leaving.sequence
    assert model({"values": torch.randn(4, 5, 6), "lengths": LENGTHS}).shape == (4, 5, 3)


def test_sequence_batch_norm_counts_real_steps_alone():
    norm = SequenceBatchNorm(2)
    x = torch.randn(2, 3, 2)
    norm(x, torch.tensor([3, 1]))
    real = torch.cat((x[0], x[1, :1]))
    assert torch.allclose(norm.running_mean, 0.1 * real.mean(0))
