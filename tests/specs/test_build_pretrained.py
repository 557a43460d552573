"""Weights taken over by name, patterns that freeze, and what does not fit, all at once."""

import pickle
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from dltool.core.errors import SpecError
from dltool.specs.build.model import BuiltModel, build_model
from dltool.specs.load import load_text
from dltool.specs.shapes.incoming import Incoming

LAYERS = """\
  layers:
    - linear: 6
    - batch_norm
    - relu
    - residual: [{linear: 6}, batch_norm, relu]
    - linear: {out_features: %d, name: head}
"""


def build(folder, extra: str = "", *, layers: str = LAYERS, classes: int = 3, seed: int = 0) -> BuiltModel:
    text = "version: 1\ndata: {synthetic: {blobs: {n: 8}}}\nmodel:\n" + layers.replace("%d", str(classes)) + extra
    loaded = load_text(text, str(folder / "spec.yaml"))
    return build_model(loaded, Incoming((4,)), None, seed, ())


@pytest.fixture
def base(tmp_path):
    model = build(tmp_path, seed=7).model
    state = {name: tensor + 1 for name, tensor in model.state_dict().items()}
    save_file(state, tmp_path / "base.safetensors")
    return state


def test_all_but_the_skipped_is_taken_over(tmp_path, base):
    built = build(tmp_path, "  pretrained: {weights: base.safetensors, skip: [head]}\n", classes=5)
    own = build(tmp_path, classes=5)
    for name, tensor in built.model.state_dict().items():
        wanted = own.model.state_dict()[name] if name.startswith("head") else base[name]
        assert torch.equal(tensor, wanted)


def test_patterns_mean_paths_names_and_kinds(tmp_path, base):
    built = build(tmp_path, '  pretrained: {weights: base.safetensors, freeze: ["0", "residual*", "1.bias"]}\n')
    frozen = {name for name, p in built.model.named_parameters() if not p.requires_grad}
    assert frozen == {"0.weight", "0.bias", "1.bias", "3.0.weight", "3.0.bias", "3.1.weight", "3.1.bias"}
    assert built.kept_in_eval == {"3.1"}


def test_frozen_layers_of_the_spec(tmp_path):
    built = build(tmp_path, layers="  layers:\n    - linear: {out_features: 4, frozen: true}\n"
                                   "    - batch_norm: {frozen: true}\n    - linear: 2\n")  # fmt: skip
    assert [n for n, p in built.model.named_parameters() if p.requires_grad] == ["2.weight", "2.bias"]
    assert built.kept_in_eval == {"1"}


def test_every_fault_is_told(tmp_path, base):
    state = dict(base)
    state["headd.weight"] = state.pop("head.weight")
    del state["0.bias"]
    save_file(state, tmp_path / "base.safetensors")
    with pytest.raises(SpecError) as caught:
        build(tmp_path, "  pretrained: {weights: base.safetensors}\n", classes=5)
    text = str(caught.value)
    for part in ("0.bias (6,) is not in the file", "head.weight (5, 6) is not in the file", "did you mean head.weight",
                 "head.bias is (3,) in the file, (5,) in the model", "spec.yaml:10:", "pretrained.weights"):  # fmt: skip
        assert part in text


@pytest.mark.parametrize(
    ("extra", "parts"),
    [
        ("{weights: bse.safetensors}", ["no such file", "base.safetensors"]),
        ("{weights: base.safetensors, freeze: [hed], skip: [nothing]}", ["freeze.0", "head", "skip.0", "nothing"]),
        ("{weights: torn.safetensors}", ["cannot be read"]),
        ("{weights: code.pt}", ["cannot be read", "pickle that would run code"]),
        ("{weights: list.pt}", ["more than named tensors"]),
        ("{weights: bomb.pt}", ["members are compressed"]),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path, base, extra, parts):
    (tmp_path / "torn.safetensors").write_bytes((tmp_path / "base.safetensors").read_bytes()[:50])
    (tmp_path / "code.pt").write_bytes(pickle.dumps(Payload()))
    torch.save([torch.ones(1)], tmp_path / "list.pt")
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.pkl", b"0" * 10_000)
    with pytest.raises(SpecError) as caught:
        build(tmp_path, f"  pretrained: {extra}\n")
    for part in parts:
        assert part in str(caught.value)


class Payload:
    def __reduce__(self):
        return (print, ("run",))


def test_a_torch_state_dict_is_taken_too(tmp_path, base):
    torch.save(base, tmp_path / "base.pt")
    built = build(tmp_path, "  pretrained: {weights: base.pt}\n")
    assert torch.equal(built.model.get_parameter("head.weight"), base["head.weight"])


def test_sources_lead_from_modules_and_parameters_to_lines(tmp_path):
    built = build(tmp_path)
    key, where = built.sources["3.1.weight"]
    assert key == "model.layers.3.residual.1"
    assert (where.line, where.column) == (8, 31)
    assert built.sources["3"][0] == built.sources["3.0"][0].removesuffix(".residual.0")
    names = {name for name, _ in built.model.named_modules() if name} | set(built.model.state_dict())
    assert names <= set(built.sources)


def test_l2_of_a_layer_is_for_its_weights_and_the_inner_wins(tmp_path):
    built = build(tmp_path, layers="  layers:\n    - linear: {out_features: 4, l2: 0.1}\n"
                   "    - residual: {layers: [{linear: 4}, {linear: {out_features: 4, l2: 0.3}}], l2: 0.2}\n")  # fmt: skip
    assert built.layer_l2 == {"0.weight": 0.1, "1.0.weight": 0.2, "1.1.weight": 0.3}
