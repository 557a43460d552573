"""``${...}``: types are kept, circles and blanks are named, and nothing blows up."""

import pytest

from dltool.core.errors import SpecError
from dltool.specs.references import resolve
from dltool.specs.yaml_nodes import parse


def resolved(text, **environment):
    node, problems = resolve(parse(text, "spec.yaml"), environment)
    assert not problems
    return node.plain()


def problems(text, **environment):
    return [str(problem) for problem in resolve(parse(text, "spec.yaml"), environment)[1]]


@pytest.mark.parametrize("value", ["64", "1e-3", "true", "null", "[1, 2]", "{a: 1}", "text"])
def test_a_reference_alone_keeps_the_type(value):
    plain = resolved(f"vars: {{x: {value}}}\nuse: ${{vars.x}}\n")
    assert plain["use"] == plain["vars"]["x"]
    assert type(plain["use"]) is type(plain["vars"]["x"])


def test_within_text_it_is_text():
    assert resolved("vars: {x: 1e-3, y: true}\nuse: a-${vars.x}-${vars.y}-${env:E}\n", E="q")["use"] == "a-0.001-true-q"


def test_references_may_lead_to_references_and_into_lists():
    assert resolved("vars: {a: '${vars.b.1}', b: [1, '${vars.c}'], c: 3}\nuse: ${vars.a}\n")["use"] == 3
    assert resolved("a: {b: ${c}}\nc: {d: 5}\nuse: ${a.b.d}\n".replace("{b: ${c}}", "{b: '${c}'}"))["use"] == 5


def test_the_environment_is_read_as_yaml_scalars():
    text = "a: ${env:LR,1e-3}\nb: ${env:NAME,default}\nc: ${env:EMPTY,}\nd: x${env:EMPTY,}y\n"
    assert resolved(text) == {"a": 0.001, "b": "default", "c": None, "d": "xnully"}
    assert resolved(text, LR="0.5", NAME="true", EMPTY="z") == {"a": 0.5, "b": True, "c": "z", "d": "xzy"}
    assert resolved("a: ${env:BIG}\n", BIG="9" * 5000)["a"] == "9" * 5000


def test_two_dollars_write_the_sign_itself():
    assert resolved("a: $${x}\nb: a$b\nc: $5\n") == {"a": "${x}", "b": "a$b", "c": "$5"}


def test_a_value_keeps_the_place_where_it_was_written():
    node, _ = resolve(parse("vars: {x: 3}\nuse: ${vars.x}\n", "spec.yaml"))
    use = node.value["use"]
    assert (str(use.key_at), str(use.at)) == ("spec.yaml:2:1", "spec.yaml:1:11")


def test_all_that_leads_nowhere_is_named():
    assert problems(
        "vars: {width: 3}\na: ${vars.widht}\nb: [x, '${nothing}']\nc: ${env:NOT_SET}\nd: ${open\ne: x${vars}\nf: ${}\n"
    ) == [
        "spec.yaml:2:4: a: ${vars.widht} names nothing in this spec; did you mean 'vars.width'?",
        "spec.yaml:3:8: b.1: ${nothing} names nothing in this spec",
        "spec.yaml:4:4: c: the environment variable NOT_SET is not set, and ${env:NOT_SET} has no default",
        "spec.yaml:5:4: d: a reference is opened by ${ and not closed",
        "spec.yaml:6:4: e: ${vars} is no single value, so it cannot stand within text",
        "spec.yaml:7:4: f: ${} names nothing in this spec",
    ]


@pytest.mark.parametrize(
    "text", ["a: ${a}\n", "a: ${b}\nb: x${a}\n", "vars: {x: ['${vars}']}\n", "vars: {x: {y: '${vars.x}'}}\n", "a: ${a.b}\n"]
)
def test_circles_are_named(text):
    found = problems(text)
    assert found
    assert all("circle" in line for line in found)


def test_references_that_multiply_are_stopped():
    levels = [
        f"v{i}: [{', '.join(['${vars.v' + str(i + 1) + '}'] * 10)}]".replace("${", "'${").replace("}", "}'")
        for i in range(12)
    ]
    with pytest.raises(SpecError, match="grows beyond"):
        resolve(parse("vars:\n  " + "\n  ".join(levels) + "\n  v12: 1\n", "spec.yaml"))


def test_references_that_deepen_are_stopped():
    levels = [f"v{i}: ['${{vars.v{i + 1}}}']" for i in range(200)]
    with pytest.raises(SpecError, match="deeper than 64"):
        resolve(parse("vars:\n  " + "\n  ".join(levels) + "\n  v200: 1\n", "spec.yaml"))


def test_a_long_chain_of_references_is_no_crash():
    levels = [f"v{i}: ${{vars.v{i + 1}}}" for i in range(200)]
    found = problems("vars:\n  " + "\n  ".join(levels) + "\n  v200: 1\n")
    assert len(found) == 200 - 64
    assert all("more than 64" in line for line in found)
