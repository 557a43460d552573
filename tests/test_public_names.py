import subprocess
import sys

import pytest

import dltool


@pytest.mark.parametrize("name", dltool.__all__)
def test_every_public_name_is_there_and_listed(name):
    assert getattr(dltool, name) is not None
    assert name in dir(dltool)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        dltool.trian  # noqa: B018


def test_importing_the_package_imports_nothing_heavy():
    check = "import sys, dltool; sys.exit('torch' in sys.modules or 'dltool.core.report' in sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)
