"""Whatever stands in a spec, loading ends in a spec or in SpecError, with words of ours."""

from hypothesis import given
from hypothesis import strategies as st

from dltool.core.errors import SpecError
from dltool.specs.load import load_text
from dltool.specs.places import place_at
from dltool.specs.schema.layers import LAYERS
from dltool.specs.schema.spec import Spec
from dltool.specs.show import render

NAMES = ["linear", "relu", "residual", "conv2d", "adam", "sgd", "mse", "cross_entropy", "terms", "blobs", "synthetic", "csv",
         "layers", "init", "weight", "normal", "lr", "_target_", "name", "path", "target", "n", "train", "val", "split",
         "${vars.x}", "${seed}", "full", "a.b", "step", "step_size", "loss"]  # fmt: skip

JARGON = ("Input should", "Field required", "Extra inputs", "valid dictionary", "instance of")

anything = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10**20) | st.floats() | st.text(max_size=5) | st.sampled_from(NAMES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=12,
)
layer = st.one_of(
    anything,
    st.builds(lambda kind, form: {kind: form}, st.sampled_from([member.kind for member in LAYERS]), anything),
)
specs = st.fixed_dictionaries(
    {"data": anything, "model": st.fixed_dictionaries({"layers": st.lists(layer, max_size=3)}) | anything},
    optional={key: anything for key in Spec.model_fields if key not in ("data", "model", "extends")},
)


def as_yaml(value):
    import yaml

    return yaml.safe_dump(value, default_flow_style=None)


@given(specs)
def test_any_document_is_a_spec_or_says_why_not(document):
    loaded = None
    problems = []
    try:
        loaded = load_text(as_yaml(document), "spec.yaml")
    except SpecError as error:
        problems = [str(problem) for problem in error.problems]
    assert all(text.startswith("spec.yaml:") for text in problems)
    assert not any(words in text for text in problems for words in JARGON)
    if loaded is None:
        assert problems
    else:
        assert load_text(render(loaded), "spec.yaml").spec == loaded.spec


@given(st.lists(st.sampled_from(NAMES) | st.integers(0, 3), max_size=8))
def test_any_path_has_a_place(path):
    place_at(tuple(path)).keys()
