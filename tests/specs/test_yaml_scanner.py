"""The scanner gives PyYAML's own tokens, marks and errors."""

from pathlib import Path

import hypothesis.strategies as st
import pytest
import yaml
from hypothesis import example, given, settings

from dltool.specs.yaml_scanner import FastScanner

ROOT = Path(__file__).parents[2]
FILES = sorted(ROOT.glob("**/*.y*ml"))
CHARACTERS = "ab1 .:-,?#[]{}&*!|>'\"%@\\\n\r\t\x85\u2028\ufeff~<"


def tokens(loader, text):
    found = []
    try:
        reader = loader(text)
        while reader.check_token():
            token = reader.get_token()
            marks = [(m.index, m.line, m.column) for m in (token.start_mark, token.end_mark)]
            found.append((type(token).__name__, getattr(token, "value", None), getattr(token, "plain", None), marks))
    except yaml.YAMLError as error:
        found.append(str(error))
    except IndexError:  # PyYAML's own, past the end of some broken text
        found.append("IndexError")
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_files_of_this_repository(file):
    text = file.read_text(encoding="utf-8")
    assert tokens(FastScanner, text) == tokens(yaml.SafeLoader, text)


@settings(max_examples=500, deadline=None)
@given(st.text(alphabet=CHARACTERS, max_size=40))
@example("a: b # c\n  d: e")
@example("{a: b, c?d: [e:f, g: h]}")
@example("a\n b\n  c: d")
@example("- - a\n  - b\n- ? c\n  : d")
def test_any_text(text):
    assert tokens(FastScanner, text) == tokens(yaml.SafeLoader, text)


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8)),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
        max_leaves=12,
    ),
    st.sampled_from([True, False, None]),
)
def test_whatever_is_dumped(value, flow):
    text = yaml.safe_dump(value, default_flow_style=flow, allow_unicode=True)
    assert tokens(FastScanner, text) == tokens(yaml.SafeLoader, text)
