"""What the documents promise is so: the model table, the two commands."""

import re

import pytest
from conftest import ROOT

from avslowfast.config import load_cfg
from avslowfast.models import build_model
from avslowfast.models.build import input_shapes
from avslowfast.models.complexity import count_gflops, count_parameters

README = (ROOT / "README.md").read_text()
ROWS = re.findall(r"^\| (\w+_R50\w*) \| .*? \| ([\d.]+) \| ([\d.]+) \|", README, re.M)


@pytest.mark.parametrize("name, parameters, gflops", ROWS)
def test_the_table_of_models_is_measured(name, parameters, gflops):
    cfg = load_cfg(ROOT / f"configs/Kinetics/{name}.yaml")
    model = build_model(cfg)
    assert f"{count_parameters(model) / 1e6:.2f}" == parameters
    assert f"{count_gflops(model, input_shapes(cfg, 256)):.2f}" == gflops


def test_two_commands_set_everything_up():
    assert len(ROWS) == 7
    commands = [line for line in README.split("\n") if line.startswith("python3 ")]
    assert len(commands) == 2 and commands[0].endswith("tools/quickstart.py") and "pytest" in commands[1]
    assert re.search(r"<!-- command-main -->\n```bash\npython3 ", README) and re.search(r"<!-- command-tests -->\n```bash\npython3 ", README)


def test_files_that_the_documents_name_exist():
    for page in ("README.md", "GETTING_STARTED.md", "INSTALL.md", "CONTRIBUTING.md"):
        text = (ROOT / page).read_text()
        for path in re.findall(r"(?:configs|tools|tests|avslowfast)/[\w./]+\.(?:py|yaml)", text):
            assert (ROOT / path).exists(), (page, path)
