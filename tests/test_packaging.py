"""What stands around the code: the image, the issue forms, the citation."""

import fnmatch
import re
import shutil
import subprocess
import sys
import zipfile

import pytest
import yaml
from helpers import ROOT

import avslowfast
from avslowfast.cli.main import COMMANDS
from avslowfast.config import list_models

DOCKERFILE = re.findall(r"^([A-Z]+) (.+)$", (ROOT / "Dockerfile").read_text(), re.M)


def instructions(name):
    return [text for instruction, text in DOCKERFILE if instruction == name]


def copied():
    """Files of the repository that get into the image."""
    patterns = [line for line in (ROOT / ".dockerignore").read_text().split("\n") if line and line[0] != "#"]

    def ignored(path):
        parts = path.split("/")
        heads = ["/".join(parts[: i + 1]) for i in range(len(parts))]
        return any(
            fnmatch.fnmatch(head.split("/")[-1] if pattern.startswith("**/") else head, pattern.removeprefix("**/"))
            and ("*" not in pattern or pattern.startswith("**/") or "/" not in head)
            for pattern in patterns
            for head in heads
        )

    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    return [path for path in files if path and not ignored(path)]


def test_the_image_is_installed_as_the_page_says():
    page = (ROOT / "INSTALL.md").read_text()
    steps = [line.split("#")[0].strip() for line in re.search(r"```bash\n(.*?)```", page, re.S)[1].strip().split("\n")]
    assert steps[-1] == ".venv/bin/avslowfast doctor"
    assert instructions("RUN")[0] == " && ".join(steps[:-1])


def test_the_image_names_its_base_and_runs_the_command_without_root():
    (base,), (user,) = instructions("FROM"), instructions("USER")
    name, version = base.split(":")
    minimum = re.search(r'requires-python = ">=3\.(\d+)"', (ROOT / "pyproject.toml").read_text())[1]
    assert name == "python" and int(re.match(r"3\.(\d+)", version)[1]) >= int(minimum)
    assert f" {user} " in f"{instructions('RUN')[-1]} " and user != "root"
    # Root's part is over when a file of a person is read.
    order = [instruction for instruction, _ in DOCKERFILE]
    assert order.index("USER") > max(i for i, instruction in enumerate(order) if instruction == "RUN")
    (entry,) = instructions("ENTRYPOINT")
    assert entry == f'["{instructions("WORKDIR")[0]}/.venv/bin/avslowfast"]'


@pytest.mark.slow
def test_what_the_image_copies_is_enough_to_install(tmp_path):
    for path in copied():
        (tmp_path / "copy" / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / "copy" / path)
    assert not (tmp_path / "copy/tests").exists() and not (tmp_path / "copy/.git").exists()
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(tmp_path / "dist")],
        cwd=tmp_path / "copy",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    with zipfile.ZipFile(next((tmp_path / "dist").glob("*.whl"))) as wheel:
        names = wheel.namelist()
    assert len([name for name in names if name.endswith(".yaml")]) >= len(list_models())
    assert {f"avslowfast/cli/{name.replace('-', '_')}.py" for group in COMMANDS.values() for name in group} <= set(
        names
    )


FORMS = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"))


@pytest.mark.parametrize("form", [form for form in FORMS if form.name != "config.yml"], ids=lambda form: form.stem)
def test_an_issue_form_is_one_of_the_host(form):
    content = yaml.safe_load(form.read_text())
    assert content.keys() <= {"name", "description", "title", "labels", "assignees", "projects", "type", "body"}
    assert content["name"] and content["description"]
    fields = [part for part in content["body"] if part["type"] != "markdown"]
    assert len({part["id"] for part in fields}) == len(fields) >= 2
    for part in fields:
        assert part["type"] in ("input", "textarea", "dropdown", "checkboxes") and part["attributes"]["label"]
    for page in re.findall(r"[\w/]+\.md\b", form.read_text()):
        assert (ROOT / page).exists()


def test_a_bug_report_asks_for_what_helps():
    assert {form.stem for form in FORMS} == {"bug_report", "question", "feature_request", "config"}
    required = [
        part["attributes"]
        for part in yaml.safe_load((ROOT / ".github/ISSUE_TEMPLATE/bug_report.yml").read_text())["body"]
        if part.get("validations", {}).get("required")
    ]
    assert any("`avslowfast doctor`" in field.get("description", "") for field in required)


def test_the_citation_is_complete():
    content = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    # What the format asks for.
    assert content.keys() >= {"cff-version", "message", "title", "authors"}
    assert content["version"] == avslowfast.__version__
    assert content["license"] == "Apache-2.0"
    paper = content["preferred-citation"]
    assert paper.keys() >= {"type", "title", "authors", "year", "url", "doi"}
    names = [author["family-names"] for author in paper["authors"]]
    assert ", ".join(names) in (ROOT / "README.md").read_text()
    assert paper["doi"].removeprefix("10.48550/arXiv.") == paper["url"].rpartition("/")[2]
