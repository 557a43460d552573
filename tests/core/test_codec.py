"""Reports survive JSON: every section, with NaN and infinities, comes back as it was."""

import dataclasses
import enum
import importlib
import json
import math
import pkgutil
import subprocess
import sys
import types
import typing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dltool.core import measurements as m
from dltool.core.codec import decode, dumps, encode
from dltool.core.measured.training import Layers

SECTIONS = m.every_section()
COMMANDS = ["train", *sorted({kind.only_in for kind in SECTIONS if kind.only_in is not None})]


def strategy_for(kind: typing.Any) -> st.SearchStrategy[typing.Any]:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return st.sampled_from(args)
    if origin in (typing.Union, types.UnionType):
        return st.one_of([st.none() if a is type(None) else strategy_for(a) for a in args])
    if origin is tuple:
        return st.lists(strategy_for(args[0]), max_size=3).map(tuple)
    if origin is not None:
        return st.dictionaries(st.text(max_size=3), strategy_for(args[1]), max_size=2)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return st.sampled_from(list(kind))
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return st.builds(kind, **{f.name: strategy_for(hints[f.name]) for f in dataclasses.fields(kind)})
    return {
        float: st.floats(),
        int: st.integers(-(2**40), 2**40),
        str: st.text(max_size=5),
        bool: st.booleans(),
        typing.Any: st.integers() | st.text(max_size=5),
        object: st.integers() | st.text(max_size=5),
    }[kind]


def same(a: object, b: object) -> bool:
    return repr(a) == repr(b)


@pytest.mark.parametrize("kind", SECTIONS, ids=lambda kind: kind.key)
def test_every_section_survives_json(kind: type[m.Section]) -> None:
    @settings(max_examples=25)
    @given(strategy_for(kind))
    def check(section: m.Section) -> None:
        text = json.dumps(m.Measurements([section]).to_dict(), allow_nan=False)
        back = m.Measurements.from_dict(json.loads(text), kind.only_in or "train")
        assert same(back[kind], section)

    check()


def test_every_section_has_its_place() -> None:
    package = importlib.import_module("dltool.core.measured")
    modules = [found.name for found in pkgutil.iter_modules(package.__path__)]
    for module in modules:
        importlib.import_module(f"dltool.core.measured.{module}")
    made = [kind for kind in m.Section.__subclasses__() if kind.__module__.startswith("dltool.core.")]
    assert set(SECTIONS) == set(made)
    keys = {module: [kind.key for kind in made if kind.__module__.endswith(f".{module}")] for module in modules}
    assert keys == {module: list(m.PLACES[module]) for module in m.PLACES}


@pytest.mark.parametrize("command", COMMANDS)
def test_section_keys_are_unique(command: str) -> None:
    shared = {kind.key for kind in SECTIONS if kind.only_in == command}
    keys = [kind.key for kind in SECTIONS if kind.only_in == command or (kind.only_in is None and kind.key not in shared)]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize(("number", "spelling"), [(math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity")])
def test_non_finite_numbers_are_spelt_out(number: float, spelling: str) -> None:
    assert encode({"x": (number,)}) == {"x": [spelling]}
    assert dumps(number) == f'"{spelling}"'
    assert repr(decode(float, spelling)) == repr(number)


def test_what_is_no_plain_data_is_refused() -> None:
    with pytest.raises(TypeError, match="not complex"):
        encode({"x": 1j})


def test_a_section_of_one_field_is_that_field() -> None:
    assert m.Measurements([Layers(layers=())]).to_dict() == {"layers": []}


def test_a_saved_report_is_read_without_the_command_that_wrote_it() -> None:
    code = (
        "from dltool.core.measurements import Measurements\n"
        "read = Measurements.from_dict({'parameters': {}, 'suggested_lr': 0.1}, 'gradcheck')\n"
        "print(*(type(section).__name__ for section in read))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["CheckedParameters", "SuggestedLr"]


def test_unknown_keys_are_passed_over() -> None:
    assert list(m.Measurements.from_dict({"fit_status": "good-fit", "layers": []})) == [Layers(layers=())]
