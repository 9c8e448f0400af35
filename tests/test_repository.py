"""Rules that the code keeps: the direction of imports, sizes, docstrings, who reads the configuration."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from helpers import ROOT

import avslowfast

PACKAGE = ROOT / "avslowfast"
_DATA_SIDE = {"utils", "config", "media", "clips", "datasets", "loading"}
_TASKS = {*_DATA_SIDE, "models", "checkpoint"}
# What each room may import besides itself. Strings in registries are no imports.
ALLOWED = {
    "utils": set(),
    "config": {"utils"},
    "cluster": {"utils", "config"},
    "media": {"utils"},
    "clips": {"utils", "config", "media"},
    "datasets": {"utils", "config", "media", "clips"},
    "loading": _DATA_SIDE,
    "synthav": _DATA_SIDE,
    "preparation": _DATA_SIDE,
    "models": {"utils", "config"},
    "checkpoint": {"utils", "config", "models"},
    "tasks": _TASKS,
    "evaluation": {*_TASKS, "tasks"},
    "watching": {*_TASKS, "tasks", "evaluation"},
    "engine": {*_TASKS, "tasks", "evaluation", "watching"},
    "inference": {*_TASKS, "tasks", "evaluation", "engine"},
    "visualization": {*_TASKS, "tasks", "evaluation", "watching", "engine", "inference"},
    "cli": {
        *_TASKS,
        "tasks",
        "evaluation",
        "engine",
        "inference",
        "visualization",
        "synthav",
        "preparation",
        "cluster",
    },
}
# Rooms that work without torch, and rooms in which nothing but builders reads the configuration.
WITHOUT_TORCH = ("media", "datasets")
WITHOUT_CFG = ("utils", "media", "clips", "datasets", "models")
FOLDERS = ("avslowfast", "benchmarks", "examples", "tools")
FILES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
LARGEST_SHARE = 0.15


def files_of(room: str) -> list[Path]:
    return sorted((PACKAGE / room).rglob("*.py"))


def imports_of(path: Path) -> Iterator[str]:
    """Full names of the modules that a file imports, also inside functions and for types alone."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def rooms_of(path: Path) -> set[str]:
    """Rooms of the package that a file imports."""
    parts = [name.split(".") for name in imports_of(path)]
    return {p[1] for p in parts if p[0] == "avslowfast" and len(p) > 1 and p[1] in ALLOWED}


def test_every_folder_is_a_room():
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert folders == set(ALLOWED)


@pytest.mark.parametrize("room", ALLOWED)
def test_imports_run_one_way(room):
    wrong = {path.name: rooms_of(path) - ALLOWED[room] - {room} for path in files_of(room)}
    assert {name: rooms for name, rooms in wrong.items() if rooms} == {}


@pytest.mark.parametrize("room", WITHOUT_TORCH)
def test_a_room_works_without_torch(room):
    users = [path.name for path in files_of(room) if any(name.split(".")[0] == "torch" for name in imports_of(path))]
    assert users == []


@pytest.mark.parametrize("path", sorted((ROOT / "tools").glob("*.py")), ids=lambda path: path.name)
def test_a_script_imports_the_command_line_alone(path):
    assert {name for name in imports_of(path) if name != "sys"} == {"avslowfast.cli.main.run_command"}


def test_nothing_in_the_package_imports_tools_benchmarks_or_tests():
    outside = ("tools", "benchmarks", "tests", "helpers", "examples")
    users = {
        path.name for room in ALLOWED for path in files_of(room) for n in imports_of(path) if n.startswith(outside)
    }
    # The command imports them where there is a clone, and says so where there is none.
    assert users <= {"benchmark.py"}


@pytest.mark.parametrize("room", WITHOUT_CFG)
def test_only_builders_read_the_configuration(room):
    readers = []
    for path in files_of(room):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and "cfg" in {arg.arg for arg in node.args.args}:
                if path.name != "build.py" and node.name != "options":
                    readers.append(f"{path.name}: {node.name}")
    assert readers == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_are_short(path):
    text = path.read_text()
    assert text.count("\n") <= 500
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    assert [node.name for node in functions if (node.end_lineno or 0) - node.lineno >= 80] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_public_has_a_docstring(path):
    tree = ast.parse(path.read_text())
    # What stands inside a function or inside a private class is private.
    closed = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    closed += [n for n in ast.walk(tree) if isinstance(n, ast.ClassDef) and n.name.startswith("_")]
    inner = {id(n) for outer in closed for n in ast.walk(outer) if n is not outer}
    public = [
        node
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_") and id(node) not in inner
    ]
    assert ast.get_docstring(tree)
    assert [node.name for node in public if not ast.get_docstring(node)] == []


def test_no_line_is_longer_than_120_columns():
    files = [*FILES, *sorted((ROOT / "tests").rglob("*.py")), ROOT / "setup.py", ROOT / "hubconf.py"]
    assert [str(path) for path in files for line in path.read_text().split("\n") if len(line) > 120] == []


def test_no_folder_has_more_than_its_share_of_the_lines():
    lines = {room: sum(path.read_text().count("\n") for path in files_of(room)) for room in ALLOWED}
    for folder in FOLDERS[1:]:
        lines[folder] = sum(path.read_text().count("\n") for path in (ROOT / folder).rglob("*.py"))
    total = sum(lines.values())
    assert {folder: n / total for folder, n in lines.items() if n > LARGEST_SHARE * total} == {}


def test_ignored_types_are_few_and_say_why():
    ignores = [line for path in FILES for line in path.read_text().split("\n") if "type: ignore" in line]
    assert len(ignores) <= 15
    assert [line for line in ignores if not re.search(r"# type: ignore\[[\w, -]+\]  # \w.{9,}", line)] == []


def test_the_installation_check_says_that_all_is_well():
    done = subprocess.run([sys.executable, "-m", "avslowfast", "doctor"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0
    assert "ready" in done.stdout


@pytest.mark.parametrize("tool", sorted((ROOT / "tools").glob("*.py")), ids=lambda p: p.name)
def test_every_tool_explains_itself_with_an_example(tool):
    done = subprocess.run([sys.executable, str(tool), "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    assert f"python tools/{tool.name}" in done.stdout


def test_the_citation_is_of_this_version():
    assert f"\nversion: {avslowfast.__version__}\n" in (ROOT / "CITATION.cff").read_text()


def test_pre_commit_runs_what_ci_runs():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    commands = [hook["entry"].replace(" --force-exclude", "") for hook in hooks]
    assert [command for command in commands if f".venv/bin/{command}\n" not in (ROOT / ".ci/run").read_text()] == []
