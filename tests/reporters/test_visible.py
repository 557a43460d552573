import unicodedata

import pytest
from ci_report import ANY_TEXT
from hypothesis import given

from dltool.reporters.visible import shortened, visible, well_formed


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ‖w‖ 日本語 𝕏", "plain ‖w‖ 日本語 𝕏"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x00\x7f\x9b", r"\x00\x7f\x9b"),
        ("\udcff\ud800", r"\udcff\ud800"),
        ("\u202eabc\u2028", r"\u202eabc\u2028"),
        ("\ufffe\ufdd0", r"\ufffe\ufdd0"),
        ("back\\slash", "back\\slash"),
    ],
)
def test_what_cannot_be_seen_is_spelt_out(text, shown):
    assert visible(text) == shown


@given(ANY_TEXT)
def test_the_result_is_one_printable_line_of_well_formed_text(text):
    shown = visible(text)
    assert len(shown.splitlines()) <= 1
    assert shown.encode().decode() == shown
    assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cs"}
    assert visible(shown) == shown


def test_data_keeps_its_shape_and_loses_half_characters_only():
    data = {"a\udcff": ["\ud800", 1, None, True, 0.5, {"b": "\n\x1b"}]}
    assert well_formed(data) == {"a\\udcff": ["\\ud800", 1, None, True, 0.5, {"b": "\n\x1b"}]}


def test_long_text_is_cut_with_a_mark():
    assert shortened("abcdef", 6) == "abcdef"
    assert shortened("abcdefg", 6) == "abcde…"
