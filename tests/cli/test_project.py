import pytest

from dltool.cli.project import allowed_imports
from dltool.core.errors import UserError


def test_the_nearest_pyproject_above_the_working_folder_decides(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.dltool]\nallow-import = ["ours", "theirs"]\n')
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert allowed_imports(below) == ("ours", "theirs")
    (tmp_path / "a" / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert allowed_imports(below) == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[tool.dltool\n", "cannot be read"),
        ('[tool.dltool]\nallow-import = "ours"\n', "not a list of packages"),
        ("[tool.dltool]\nallow-import = [1]\n", "not a list of packages"),
        ("[tool.dltool]\nallow-imports = []\n", "did you mean 'allow-import'"),
    ],
)
def test_what_cannot_be_understood_is_told(tmp_path, text, said):
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(UserError, match=said):
        allowed_imports(tmp_path)
