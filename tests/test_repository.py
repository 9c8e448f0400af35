"""Rules that the code keeps: the direction of imports, docstrings, sizes, no build-time surprises."""

import ast
import subprocess
import sys

import pytest
import yaml
from helpers import ROOT

import avslowfast

FILES = sorted((ROOT / "avslowfast").rglob("*.py")) + sorted((ROOT / "tools").glob("*.py"))
# Each layer may import itself and the layers before it; models, datasets and metrics know nothing of each other.
ALLOWED = {
    "utils": {"utils"},
    "config": {"utils", "config"},
    "media": {"utils", "media"},
    "clips": {"utils", "config", "media", "clips"},
    "datasets": {"utils", "config", "media", "clips", "datasets", "loading"},
    "loading": {"utils", "config", "media", "clips", "datasets", "loading"},
    "models": {"utils", "config", "models"},
    "checkpoint": {"utils", "config", "models", "checkpoint"},
}


def imported_layers(path):
    parts = path.relative_to(ROOT / "avslowfast").parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = ("avslowfast", *parts[:-1])[: len(parts) - node.level + 1]
            full = [*base, *(node.module or "").split(".")] if node.module else [*base]
            names = [full[1]] if len(full) > 1 else [alias.name for alias in node.names]
            yield from (name for name in names if name)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("avslowfast."):
            yield node.module.split(".")[1]


@pytest.mark.parametrize("layer", ALLOWED)
def test_imports_run_one_way(layer):
    found = {name for path in (ROOT / "avslowfast" / layer).glob("*.py") for name in imported_layers(path)}
    assert found <= ALLOWED[layer], f"{layer} imports {found - ALLOWED[layer]}"


def test_only_builders_of_the_models_and_the_loader_read_the_configuration():
    for path in [
        path for room in ("models", "datasets", "clips") for path in (ROOT / "avslowfast" / room).glob("*.py")
    ]:
        if path.name not in ("build.py", "loading.py"):
            names = {n.id for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Name)}
            assert "cfg" not in names, path


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_docstrings_and_sizes(path):
    text = path.read_text()
    tree = ast.parse(text)
    assert ast.get_docstring(tree) and text.count("\n") <= 500
    nested = {
        id(inner)
        for outer in ast.walk(tree)
        if isinstance(outer, (ast.FunctionDef,))
        for inner in ast.walk(outer)
        if inner is not outer
    }
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and id(node) not in nested:
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 80, node.name
            public = not node.name.startswith("_")
            overrides = node.name in ("forward", "train") or path.name == "hooks.py"
            assert not public or overrides or ast.get_docstring(node), f"{path}: {node.name} has no docstring"


def test_the_installation_check_says_that_all_is_well():
    done = subprocess.run([sys.executable, "-m", "avslowfast", "doctor"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and "ready" in done.stdout


@pytest.mark.parametrize("tool", sorted((ROOT / "tools").glob("*.py")), ids=lambda p: p.name)
def test_every_tool_explains_itself_with_an_example(tool):
    done = subprocess.run([sys.executable, str(tool), "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and f"python tools/{tool.name}" in done.stdout


def test_the_citation_is_of_this_version():
    assert f"\nversion: {avslowfast.__version__}\n" in (ROOT / "CITATION.cff").read_text()


def test_pre_commit_runs_what_ci_runs():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    commands = [hook["entry"].replace(" --force-exclude", "") for hook in hooks]
    assert [command for command in commands if f".venv/bin/{command}\n" not in (ROOT / ".ci/run").read_text()] == []
