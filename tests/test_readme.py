"""What the documents state: the model table, the commands, the files that they name."""

import re

import pytest
from helpers import ROOT

README = (ROOT / "README.md").read_text()
RESULTS = (ROOT / "docs/RESULTS.md").read_text()
ROWS = re.findall(r"^\| (\w+_R\d+\w*) \| .*? \| ([\d.]+) \| ([\d.]+) \|", RESULTS, re.M)


@pytest.mark.parametrize("name, parameters, gflops", ROWS)
def test_the_table_of_models_is_that_of_the_zoo(name, parameters, gflops):
    # MODEL_ZOO.md itself is measured by test_model_zoo.py.
    assert f"(configs/Kinetics/{name}.yaml) | {parameters} | {gflops} |" in (ROOT / "MODEL_ZOO.md").read_text()


def test_two_commands_set_everything_up():
    assert len(ROWS) == 6
    commands = [line for line in README.split("\n") if line.startswith("python3 ")]
    assert len(commands) == 2 and commands[0].endswith("tools/quickstart.py") and "pytest" in commands[1]
    assert re.search(r"<!-- command-main -->\n```bash\npython3 ", README) and re.search(
        r"<!-- command-tests -->\n```bash\npython3 ", README
    )


def test_files_that_the_documents_name_exist():
    for page in ("README.md", "GETTING_STARTED.md", "INSTALL.md", "CONTRIBUTING.md", "MODEL_ZOO.md", "DATASETS.md"):
        text = (ROOT / page).read_text()
        for path in re.findall(r"(?:configs|tools|tests|avslowfast)/[\w./]+\.(?:py|yaml)", text):
            assert (ROOT / path).exists(), (page, path)
