"""YAML 1.2's scalars, and every way in which a file can be no spec."""

import contextlib
import math
import time

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from dltool.core.errors import SpecError
from dltool.specs.nodes import MAX_DEPTH
from dltool.specs.yaml_nodes import MAX_BYTES, parse, read_text, scalar


def plain(text):
    return parse(text, "spec.yaml").plain()


def problem(text):
    with pytest.raises(SpecError) as caught:
        parse(text, "spec.yaml")
    assert len(caught.value.problems) == 1
    return caught.value.problems[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001), ("1E5", 1e5), ("+1.5e+3", 1500.0), ("1.", 1.0), (".5", 0.5), ("-0", 0), ("010", 10),
        ("1_000", "1_000"),
        ("0x1F", "0x1F"), ("0o17", "0o17"), ("12:30:00", "12:30:00"), ("2024-01-01", "2024-01-01"), ("yes", "yes"),
        ("no", "no"), ("on", "on"), ("off", "off"), ("y", "y"), ("true", True), ("True", True), ("FALSE", False),
        ("null", None), ("~", None), ("Null", None), (".inf", math.inf), ("-.INF", -math.inf), ("1e400", math.inf),
        ("e5", "e5"), ("1e", "1e"), (".", "."), ("1.2.3", "1.2.3"), ("=", "="),
    ],
)  # fmt: skip
def test_scalars_are_those_of_yaml_1_2(text, value):
    assert plain(f"a: {text}") == {"a": value}
    assert scalar(text) == value
    assert type(scalar(text)) is type(value)


def test_nan_is_a_float():
    assert math.isnan(plain("a: .nan")["a"])


def test_quoted_text_stays_text():
    assert plain("a: '1e-3'\nb: \"true\"\nc: !!str 1") == {"a": "1e-3", "b": "true", "c": "1"}


def test_every_value_knows_its_place():
    node = parse("a: 1\nb:\n  - x: 2\n", "spec.yaml")
    x = node.value["b"].value[0].value["x"]
    assert (str(x.key_at), str(x.at)) == ("spec.yaml:3:5", "spec.yaml:3:8")


def test_all_duplicate_keys_are_named_with_both_places():
    with pytest.raises(SpecError) as caught:
        parse("a: 1\nb: {c: 1, c: 2}\na: 2\n", "spec.yaml")
    assert [str(p) for p in caught.value.problems] == [
        "spec.yaml:2:11: c: the key stands twice; it is first at line 2, column 5",
        "spec.yaml:3:1: a: the key stands twice; it is first at line 1, column 1",
    ]


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a:\n\tb: 1\n", "spec.yaml:2:1", "tab"),
        ("a:\n  b: 1\n\tc: 2\n", "spec.yaml:3:1", "tab"),
        ("a: {b: ${vars.x}}\n", "spec.yaml:1:9", "quotes"),
        ("a: [${vars.x}]\n", "spec.yaml:1:6", "quotes"),
        ("a: b: c\n", "spec.yaml:1:5", "colon"),
        ("a: [1, 2\nb: 3\n", "spec.yaml:2:2", ""),
        ("a: 'open\n", "spec.yaml:2:1", "quote"),
        ("a: 1\n b: 2\n", "spec.yaml:2:3", "colon"),
        ("a: {b: 1}}\n", "spec.yaml:1:10", ""),
        ("a: 1\n---\nb: 2\n", "spec.yaml:2:1", "second document"),
        ("a: *nowhere\n", "spec.yaml:1:4", "undefined alias"),
        ("a: !!python/object/apply:os.system [ls]\n", "spec.yaml:1:4", "tag"),
        ("a: !mine 1\n", "spec.yaml:1:4", "tag"),
        ("a: !!set {x}\n", "spec.yaml:1:4", "tag"),
        ("? [1, 2]\n: 3\n", "spec.yaml:1:3", "key"),
        ("? \n: 3\n", "spec.yaml:1:2", "key"),
        ('a: "\\ud800"\n', "spec.yaml:1:4", "surrogate"),
        ("a: \x07\n", "spec.yaml:1:4", "character"),
        ("a: &x [*x]\n", "spec.yaml:1:4", "contains itself"),
        ("a: !!int x\n", "spec.yaml:1:4", "cannot be read as int"),
        ("<<: 3\n", "spec.yaml:1:5", "mapping"),
    ],
)
def test_what_is_no_yaml_or_no_spec_is_named_and_placed(text, place, words):
    found = problem(text)
    assert str(found.location) == place
    assert words in found.message


def test_a_number_of_five_thousand_digits_is_refused_not_raised():
    assert "cannot be read as int" in problem(f"a: {'9' * 5000}").message


@pytest.mark.parametrize(
    "text", ["[" * 50_000, "{a: " * 50_000, "- " * 20_000, "a:\n" + "".join(" " * i + "- \n" for i in range(1, 200))]
)
def test_deep_nesting_is_refused(text):
    started = time.process_time()
    try:
        found = problem(text)
    except AssertionError:  # a list of empty entries is not deep
        pytest.fail("accepted")
    assert str(MAX_DEPTH) in found.message or "indentation" in found.message
    assert time.process_time() - started < 5


def test_sixty_four_levels_are_fine_and_one_more_is_not():
    deep = "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)
    assert plain(f"a: {deep}")
    assert "deeper" in problem(f"a: [{deep}]").message


def test_aliases_are_written_out():
    assert plain("a: &x {b: 1}\nc: *x\n") == {"a": {"b": 1}, "c": {"b": 1}}


def test_merge_keys_give_way_to_own_keys_and_to_earlier_ones():
    text = "x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz: {<<: [*x, *y], a: 0}\n"
    assert plain(text)["z"] == {"a": 0, "b": 1, "c": 2}
    assert plain(text)["z"] == yaml.safe_load(text)["z"]


def test_billion_laughs_are_stopped():
    levels = ["a0: &a0 [lol, lol]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    assert "grows beyond" in problem("\n".join(levels)).message


def test_many_values_are_stopped_before_they_are_all_read():
    assert "at most" in problem("a: [" + "1," * 30_000 + "]").message


def test_nothing_but_comments_is_nothing():
    assert parse("", "f") is None
    assert parse("# a comment\n\n", "f") is None


def test_a_byte_order_mark_is_passed_over(tmp_path):
    path = tmp_path / "bom.yaml"
    path.write_bytes("a: ü\n".encode("utf-8-sig"))
    assert plain(read_text(path, "bom.yaml")) == {"a": "ü"}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"a: 1\nb: caf\xe9\n", "spec.yaml:2:7: is not UTF-8 here (found byte 0xe9)"),
        ("a: 1\n".encode("utf-16"), "spec.yaml: is UTF-16; save it as UTF-8"),
        (b"a: " + b"x" * MAX_BYTES, f"spec.yaml: is larger than {MAX_BYTES} bytes, too large for a spec"),
    ],
)
def test_files_that_are_no_text_are_named(tmp_path, data, words):
    path = tmp_path / "spec.yaml"
    path.write_bytes(data)
    with pytest.raises(SpecError) as caught:
        read_text(path, "spec.yaml")
    assert str(caught.value) == words


def test_missing_files_and_folders_are_named(tmp_path):
    with pytest.raises(SpecError, match="no such file"):
        read_text(tmp_path / "nothing.yaml", "nothing.yaml")
    with pytest.raises(SpecError, match="is a folder"):
        read_text(tmp_path, "folder")
    with pytest.raises(SpecError, match="cannot be read"):
        read_text("nul\0byte", "nul")


@given(st.text())
def test_any_text_is_parsed_or_refused(text):
    with contextlib.suppress(SpecError):
        parse(text, "spec.yaml")


YAML_WORDS = [
    "a", ": ", "- ", "\\n", "  ", "[", "]", "{", "}", ",", "&x ", "*x", "!!int ", "!t ", "'", '"', "|", ">", "#", "?", "<<",
    "1e3", "---", "\\t", "%YAML 1.1\\n", "~", "...",
]  # fmt: skip


@given(st.lists(st.sampled_from(YAML_WORDS), max_size=60).map("".join))
def test_any_jumble_of_yaml_is_parsed_or_refused(text):
    with contextlib.suppress(SpecError):
        parse(text, "spec.yaml")


texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=10)
names = st.from_regex(r"[a-z]{1,5}", fullmatch=True)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=15,
)


@given(values)
def test_json_is_read_as_it_is(value):
    import json

    assume("Infinity" not in str(value))  # as a word, which the next line would change
    text = json.dumps({"a": value}, ensure_ascii=False).replace("Infinity", ".inf")
    assert plain(text) == {"a": value}
