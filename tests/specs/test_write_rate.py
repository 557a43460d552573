"""The rate goes into the file, and nothing else changes: not a byte of the rest, not a meaning of the rest."""

import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dltool.core.errors import OutputError, SpecError, TargetError
from dltool.specs.load import load, load_text
from dltool.specs.write_rate import edited, open_for_rate, rate_key

HEAD = "version: 1\ndata: {synthetic: {blobs: {n: 60}}}\nmodel: {layers: [{linear: 3}]}\n"

PLACES = {
    "flow": ("optimizer: {adam: {lr: 1e-3}}  # why\n", "optimizer: {adam: {lr: 0.05}}  # why\n"),
    "block": (
        "optimizer:  # one\n  sgd:\n    momentum: 0.9  # two\n    lr:   0.1   # three\n",
        "optimizer:  # one\n  sgd:\n    momentum: 0.9  # two\n    lr:   0.05   # three\n",
    ),
    "short": ("optimizer: {sgd: 0.1}\n", "optimizer: {sgd: 0.05}\n"),
    "bare": ("optimizer: adam # why\n", "optimizer: {adam: {lr: 0.05}} # why\n"),
    "empty": ("optimizer:\n  adam:   # why\n", "optimizer:\n  adam: {lr: 0.05}   # why\n"),
    "absent in braces": ("optimizer: {adam: {eps: 1e-7}}\n", "optimizer: {adam: {lr: 0.05, eps: 1e-7}}\n"),
    "empty braces": ("optimizer: {adam: {}}\n", "optimizer: {adam: {lr: 0.05}}\n"),
    "absent in a block": (
        "optimizer:\n  adam:\n    # small\n    eps: 1e-7\n",
        "optimizer:\n  adam:\n    # small\n    lr: 0.05\n    eps: 1e-7\n",
    ),
    "variable": (
        "vars: {rate: 0.1, width: 3}\noptimizer: {sgd: {lr: '${vars.rate}'}}\n",
        "vars: {rate: 0.05, width: 3}\noptimizer: {sgd: {lr: '${vars.rate}'}}\n",
    ),
    "anchor": ("optimizer: {sgd: {lr: &rate 0.1}}\n", "optimizer: {sgd: {lr: &rate 0.05}}\n"),
    "one cycle": (
        "optimizer: adam\nschedule: {one_cycle: {max_lr: 0.1}}\n",
        "optimizer: adam\nschedule: {one_cycle: {max_lr: 0.05}}\n",
    ),
    "one cycle, short": ("optimizer: adam\nschedule: {one_cycle: 0.1}\n", "optimizer: adam\nschedule: {one_cycle: 0.05}\n"),
    "none": ("# no optimizer", "# no optimizer\noptimizer: {adamw: {lr: 0.05}}\n"),
    "windows": ("optimizer:\r\n  adam:\r\n    eps: 1e-7\r\n", "optimizer:\r\n  adam:\r\n    lr: 0.05\r\n    eps: 1e-7\r\n"),
    "before the rest": (
        "optimizer: {adam: {lr: 0.1}}\n# ümläut 💡\nloss: cross_entropy\n",
        "optimizer: {adam: {lr: 0.05}}\n# ümläut 💡\nloss: cross_entropy\n",
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_only_the_number_changes(place, tmp_path):
    before, after = PLACES[place]
    file = tmp_path / "spec.yaml"
    file.write_bytes((HEAD + before).encode())
    said = open_for_rate(str(file)).write(0.05)
    assert file.read_bytes() == (HEAD + after).encode()
    assert "0.05" in said
    assert list(tmp_path.iterdir()) == [file]


@given(st.floats(1e-12, 1e3))
def test_any_rate_is_read_back(lr):
    rounded = float(f"{lr:.1e}")
    text = edited("spec.yaml", HEAD + "optimizer: {adam: {lr: 1e-3, eps: 1e-7}} # c\n", ("optimizer", "adam", "lr"), rounded)
    assert load_text(text, "spec.yaml").spec.optimizer.lr == rounded


def test_a_byte_order_mark_and_the_mode_of_the_file_stay(tmp_path):
    file = tmp_path / "spec.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + (HEAD + "optimizer: {sgd: 0.1}\n").encode())
    file.chmod(0o640)
    open_for_rate(str(file)).write(0.05)
    assert file.read_bytes() == b"\xef\xbb\xbf" + (HEAD + "optimizer: {sgd: 0.05}\n").encode()
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_a_link_stays_a_link(tmp_path):
    file, link = tmp_path / "real.yaml", tmp_path / "spec.yaml"
    file.write_text(HEAD + "optimizer: {sgd: 0.1}\n")
    link.symlink_to(file)
    open_for_rate(str(link)).write(0.05)
    assert link.is_symlink()
    assert "0.05" in file.read_text()


def test_what_is_inherited_is_overruled_in_the_spec_itself(tmp_path):
    base, file = tmp_path / "base.yaml", tmp_path / "spec.yaml"
    base.write_text(HEAD + "optimizer: {sgd: {lr: 0.1, momentum: 0.9}}\n")
    file.write_text("extends: base.yaml\n")
    untouched = base.read_bytes()
    open_for_rate(str(file)).write(0.05)
    assert base.read_bytes() == untouched
    assert file.read_text() == "extends: base.yaml\noptimizer: {sgd: {lr: 0.05}}\n"
    found = load(str(file)).spec.optimizer
    assert (found.lr, found.momentum) == (0.05, 0.9)


@pytest.mark.parametrize(
    "text",
    [
        "optimizer: {sgd: {lr: '${env:RATE,0.1}'}}\n",
        "optimizer: {sgd: {lr: &a 0.1, weight_decay: *a}}\n",
        "vars: {a: 0.1}\noptimizer: {sgd: {lr: '${vars.a}', weight_decay: '${vars.a}'}}\n",
    ],
)
def test_a_rate_that_is_not_alone_is_refused_before_the_search(text, tmp_path):
    file = tmp_path / "spec.yaml"
    file.write_text(HEAD + text)
    with pytest.raises(SpecError, match=r"optimizer\.sgd\.lr"):
        open_for_rate(str(file))
    assert file.read_text() == HEAD + text


def test_another_optimizer_on_the_command_line_is_refused(tmp_path):
    file = tmp_path / "spec.yaml"
    file.write_text(HEAD + "optimizer: {sgd: 0.1}\n")
    with pytest.raises(SpecError, match="command line"):
        open_for_rate(str(file), ["optimizer=adam"])
    open_for_rate(str(file), ["optimizer.sgd.lr=3"])


@pytest.mark.parametrize("target", ["net.py:make", "package.module:make"])
def test_a_factory_has_no_file_to_write_to(target):
    with pytest.raises(TargetError, match="--write"):
        open_for_rate(target)


def test_a_file_that_changed_meanwhile_is_left_alone(tmp_path):
    file = tmp_path / "spec.yaml"
    file.write_text(HEAD + "optimizer: {sgd: 0.1}\n")
    opened = open_for_rate(str(file))
    file.write_text(HEAD + "optimizer: {sgd: 0.2}\n")
    with pytest.raises(OutputError, match="changed"):
        opened.write(0.05)
    assert "0.2" in file.read_text()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_to_is_the_users_side(tmp_path):
    file = tmp_path / "spec.yaml"
    file.write_text(HEAD + "optimizer: {sgd: 0.1}\n")
    opened = open_for_rate(str(file))
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="cannot write"):
            opened.write(0.05)
    finally:
        tmp_path.chmod(0o700)


def test_an_optimizer_of_ones_own_has_its_rate_among_its_arguments():
    assert rate_key({"optimizer": {"_target_": "a.B", "lr": 0.1}}) == ("optimizer", "lr")
