"""The names that `import avslowfast` offers."""

import subprocess
import sys

import pytest

import avslowfast


@pytest.mark.parametrize("name", avslowfast.__all__)
def test_a_public_name_is_there_and_explains_itself(name):
    value = getattr(avslowfast, name)
    assert name == "__version__" or value.__doc__


def test_dir_shows_the_public_names():
    assert set(avslowfast.__all__) <= set(dir(avslowfast))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        avslowfast.nothing  # noqa: B018


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, avslowfast; print(*sorted({'torch', 'numpy', 'av', 'yaml'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_the_warning_of_torch_is_not_shown():
    code = "import avslowfast, torch; torch.jit.script(torch.nn.Identity())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "torch.jit.script" not in done.stderr
