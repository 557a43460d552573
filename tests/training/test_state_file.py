import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from dltool.core.errors import OutputError
from dltool.training import state_file

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner, max_size=3)
    ),
    max_leaves=10,
)


@settings(max_examples=50)
@given(PLAIN)
def test_plain_data_comes_back_as_it_went(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("state") / "state.safetensors"
    state_file.write(path, {"value": value, "some": torch.zeros(1)})
    back = state_file.read(path)["value"]
    assert back == value
    assert repr(back) == repr(value)  # tuples are tuples, ints are ints, -0.0 is -0.0


@pytest.mark.parametrize(
    "tensor",
    [
        torch.tensor(3.5),
        torch.zeros(0, 3),
        torch.tensor([math.nan, math.inf, -0.0]),
        torch.randn(4, 3).t(),
        torch.arange(5),
        torch.tensor([True, False]),
        torch.randn(3).bfloat16(),
        torch.randn(3).double(),
        torch.randint(0, 255, (7,), dtype=torch.uint8),
        torch.randn(6)[::2],
    ],
)
def test_tensors_come_back_bit_for_bit(tmp_path, tensor):
    path = tmp_path / "state.safetensors"
    state_file.write(path, {"a": {1: [tensor, (tensor,)]}})
    back = state_file.read(path)["a"][1]
    for copy in (back[0], back[1][0]):
        assert copy.dtype == tensor.dtype
        assert copy.shape == tensor.shape
        assert torch.equal(copy.contiguous().view(-1), tensor.contiguous().view(-1)) or torch.isnan(tensor).any()


def test_nan_and_infinity_in_numbers(tmp_path):
    path = tmp_path / "state.safetensors"
    state_file.write(path, {"best": math.inf, "loss": math.nan, "t": torch.zeros(1)})
    back = state_file.read(path)
    assert back["best"] == math.inf
    assert math.isnan(back["loss"])


def test_tied_tensors_are_written_for_each_name(tmp_path):
    weight = torch.randn(3, 3)
    path = tmp_path / "last.safetensors"
    state_file.save_tensors(path, {"a": weight, "b": weight, "c": weight[1:]}, {"format": "pt"})
    loaded = load_file(path)
    assert torch.equal(loaded["a"], weight)
    assert torch.equal(loaded["b"], weight)
    assert torch.equal(loaded["c"], weight[1:])


@pytest.mark.parametrize("value", [lambda: None, object(), {1, 2}, 1j])
def test_what_cannot_be_saved_is_said_with_its_place(tmp_path, value):
    with pytest.raises(state_file.CannotBeSavedError, match="state/schedule/lambdas"):
        state_file.write(tmp_path / "s", {"schedule": {"lambdas": value}})
    assert not state_file.savable(value)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff" * 100, (10).to_bytes(8, "little") + b"{}        "])
def test_a_damaged_file_is_told(tmp_path, content):
    path = tmp_path / "state.safetensors"
    path.write_bytes(content)
    with pytest.raises(OutputError, match="start a new"):
        state_file.read(path)


def test_a_truncated_file_is_told(tmp_path):
    path = tmp_path / "state.safetensors"
    state_file.write(path, {"a": torch.randn(100)})
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(OutputError, match="damaged"):
        state_file.read(path)


def test_parameters_themselves_are_found():
    weight = torch.nn.Parameter(torch.zeros(1))
    assert state_file.holds_parameter({"a": [1, (weight,)]})
    assert not state_file.holds_parameter({"a": [1, (weight.detach(),)]})


def test_a_sparse_tensor_cannot_be_resumed_but_its_weights_can_be_kept(tmp_path):
    sparse = torch.eye(3).to_sparse()
    with pytest.raises(state_file.CannotBeSavedError, match="sparse"):
        state_file.write(tmp_path / "state.safetensors", {"buffer": sparse})
    state_file.save_tensors(tmp_path / "last.safetensors", {"buffer": sparse}, {})
    assert load_file(tmp_path / "last.safetensors")["buffer"].equal(torch.eye(3))
