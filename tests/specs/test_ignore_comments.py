"""Comments ``# dltool: ignore[...]`` in specs and in Python source: what they hold for, and mistakes in them."""

import textwrap

import pytest

from dltool.core.errors import SpecError
from dltool.core.finding import Where
from dltool.specs.comments.in_python import orders_in
from dltool.specs.load import load, load_text

SPEC = """\
version: 1
data:  # dltool: ignore[class-imbalance] the weights handle it
  synthetic: {blobs: {n: 60, features: 2, classes: 3, spread: 1.0}}
model:
  layers:
    - linear: 8
    - relu  # dltool: ignore[dead-relu, ACT102]
    # dltool: ignore[SPC]   on its own line
    # and a word more

    - residual:
        - linear: 8
        - softmax
    - linear: 3
loss: cross_entropy
optimizer: {sgd: {lr: 0.1}}
rules: {ignore: {overfitting: "a # dltool: ignore[dead-relu] in a string", underfitting: a#dltool:b}}
"""


def orders(text=SPEC):
    return load_text(text, "s.yaml").orders


def test_comments_are_read_with_their_rules_reasons_and_keys():
    read = [(o.rules, o.suppression.reason, o.suppression.line, sorted(o.keys, key=len)[:1]) for o in orders()]
    assert read == [
        (("class-imbalance",), "the weights handle it", 2, ["data"]),
        (("dead-relu", "ACT102"), None, 7, ["model.layers.1"]),
        (("SPC",), "on its own line", 8, ["model.layers.2"]),
    ]


@pytest.mark.parametrize(
    ("at", "where", "covered"),
    [
        (0, Where(key="data.normalize"), True),
        (0, Where(key="data", file="s.yaml", line=2), True),
        (0, Where(key="database"), False),
        (0, Where(key="data.csv", file="data/data.csv", line=9), False),
        (1, Where(file="s.yaml", line=7), True),
        (1, Where(file="s.yaml", line=8), False),
        (1, Where(file="other.yaml", line=7), False),
        (1, Where(key="model.layers.1"), True),
        (1, Where(key="model.layers.10"), False),
        (2, Where(key="model.layers.2.residual.1", file="s.yaml", line=13), True),
        (2, Where(key="model.layers.3", file="s.yaml", line=14), False),
        (2, Where(), False),
    ],
)
def test_an_order_holds_for_its_line_and_all_below_its_keys(at, where, covered):
    assert orders()[at].covers(where) is covered


def test_a_flow_mapping_is_covered_line_by_line():
    text = SPEC.replace("{sgd: {lr: 0.1}}", "{\n  sgd: {  # dltool: ignore[OPT]\n    lr: 0.1}}")
    assert orders(text)[-1].keys == {"optimizer.sgd"}


@pytest.mark.parametrize(
    ("comment", "said"),
    [
        ("# dltool: ignore[dead-rellu]", "did you mean 'dead-relu'?"),
        ("# dltool: ignore[dead-relu, nope]", "no rule has this id, name or prefix (found 'nope')"),
        ("# dltool: ignore", "is no order to dltool"),
        ("# dltool: ignore[]", "names no rule"),
        ("#dltool: ingore[dead-relu]", "did you mean 'ignore'?"),
        ("# dltool:", "is no order to dltool"),
    ],
)
def test_mistakes_in_comments_are_told_with_all_others(comment, said):
    with pytest.raises(SpecError) as caught:
        load_text(SPEC.replace("loss: cross_entropy", f"loss: cross_entropi  {comment}"), "s.yaml")
    assert len(caught.value.problems) == 2
    assert f"s.yaml:15:{7 + 15}: " in str(caught.value)
    assert said in str(caught.value)
    assert "cross_entropy" in str(caught.value)


@pytest.mark.parametrize("comment", ["# see dltool: it helps", "# pydltool: ignore", "# about ignore[dead-relu]"])
def test_other_comments_are_left_alone(comment):
    assert len(orders(SPEC + comment + "\n")) == 3


def test_comments_of_a_base_hold_for_what_is_left_of_it(tmp_path):
    (tmp_path / "base.yaml").write_text(SPEC)
    (tmp_path / "s.yaml").write_text("extends: base.yaml\nmodel:\n  layers: [{linear: 3}]  # dltool: ignore[SPC108]\n")
    loaded = load(str(tmp_path / "s.yaml"))
    by_line = {(order.suppression.file.rpartition("/")[2], order.suppression.line): order for order in loaded.orders}
    assert "data" in by_line["base.yaml", 2].keys
    assert by_line["base.yaml", 7].keys == frozenset(), "these layers were replaced"
    assert "model.layers" in by_line["s.yaml", 3].keys


def test_the_hash_of_a_spec_does_not_see_comments():
    assert (
        load_text(SPEC, "s.yaml").sha256
        == load_text(SPEC.replace("# dltool: ignore[class-imbalance]", "#"), "s.yaml").sha256
    )


PYTHON = '''\
import torch
text = "# dltool: ignore[dead-relu] in a string"
def forward(x):  # dltool: ignore[ACT101] the header alone
    y = torch.sqrt(
        x  # dltool: ignore[non-finite-backward] the whole statement
    )
    """
    # dltool: ignore[dead-relu]
    """
    # dltool: ignore[NAN]
    return y.log()
# dltool: ignore[ded-relu, dead-relu]
z = 1  # dltool: please
'''


def test_python_comments_hold_for_their_statement(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(PYTHON)
    found, wrong = orders_in(str(path))
    assert [(o.rules, o.first_line, o.last_line, o.suppression.line) for o in found] == [
        (("ACT101",), 3, 3, 3),
        (("non-finite-backward",), 4, 6, 5),
        (("NAN",), 11, 11, 10),
        (("dead-relu",), 13, 13, 12),
    ]
    assert [(each.suppression.line, each.rule, each.message) for each in wrong] == [
        (12, "ded-relu", "in a comment: no rule has this id, name or prefix; did you mean 'dead-relu'?"),
        (13, "please", "in a comment: is no order to dltool; expected # dltool: ignore[rule-a, rule-b] reason"),
    ]


@pytest.mark.parametrize(
    "text", ["x = (  # dltool: ignore[NAN]\n", "  if:\n x # dltool: ignore[NAN]", "\0# dltool: ignore[NAN]"]
)
def test_what_is_no_python_has_no_orders_and_does_no_harm(text, tmp_path):
    path = tmp_path / "net.py"
    path.write_text(textwrap.dedent(text))
    assert orders_in(str(path))[1] == []
    assert orders_in(str(tmp_path / "gone.py")) == ([], [])
    assert orders_in(str(tmp_path)) == ([], [])
