"""The documentation site: every command on its pages parses, every key and configuration exists, it builds strictly."""

import importlib.util
import re
import subprocess
import sys

import pytest
import yaml
from helpers import ROOT
from helpers.pages import COMMANDS_OF_PAGES, name_of, PAGES, parser_of
from helpers.runs import ENV

from avslowfast.cli import finetune
from avslowfast.config import list_models, load_cfg
from avslowfast.config.errors import ConfigError, UnknownModelError
from avslowfast.config.pyslowfast import belongs_to, what_serves
from avslowfast.config.pyslowfast_defaults import DEFAULTS
from avslowfast.config.table import TABLE
from avslowfast.config.zoo import find_config

FOLDERS = "|".join(sorted(path.name for path in (ROOT / "configs").iterdir() if path.is_dir()))


def check(command, script, words):
    """Parse a call, look for its configuration, and read its keys; nothing runs."""
    parser = parser_of(command, script)
    args = parser.parse([word for word in words if word != "..."])
    if getattr(args, "model", None):
        find_config(args.model)
    if not parser.takes_overrides:
        return
    assert len(args.overrides) % 2 == 0, args.overrides
    config = args.config or finetune.NETWORKS[bool(args.weights)]
    try:
        file = find_config(config.removeprefix("configs/"))
    except UnknownModelError:
        # A file of the reader's own, whose keys may be those of a plugin, or a run that is tested.
        own = config.endswith(".yaml") and "configs/" not in config
        assert config in ("FILE", "CONFIG", "RUN") or own or command == "test" and config.startswith("output/")
        return
    if not any(word.isupper() and word in ("N", "FILE") for word in args.overrides[1::2]):
        load_cfg(file, args.overrides)


CALLS = [(command.page, *call) for command in COMMANDS_OF_PAGES for call in command.calls]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_parses(page, capsys):
    wrong = []
    for name, *call in CALLS:
        if name == name_of(page):
            try:
                check(*call)
            except (SystemExit, ConfigError, UnknownModelError, AssertionError) as error:
                wrong.append((call, str(error), capsys.readouterr().err[-300:]))
    assert wrong == []


def test_pages_have_commands():
    assert len(CALLS) >= 60


# CHANGELOG.md names what is gone.
@pytest.mark.parametrize("page", [p for p in PAGES if p.name != "CHANGELOG.md"], ids=lambda page: page.name)
def test_what_stands_in_code_exists(page):
    text = page.read_text()
    codes = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))
    nodes = {name.split(".")[0] for name in TABLE if "." in name}
    missing = []
    for code in codes:
        for key in re.findall(r"\b[A-Z][A-Z0-9_]*\.[A-Z][A-Z0-9_]*[A-Z0-9](?![\w*.])", code):
            known = key in TABLE or key in DEFAULTS or what_serves(key) or belongs_to(key.split(".")[0])
            if key.split(".")[0] in nodes and not known:
                missing.append(key)
        for folder, name in re.findall(rf"\b({FOLDERS})/(\w+_\w+)", code):
            if f"{folder}/{name}" not in list_models() and not (ROOT / "configs" / folder / name).exists():
                missing.append(f"{folder}/{name}")
        if called := re.match(r"avslowfast ([a-z][\w-]*)", code):
            options = parser_of(called[1])._option_string_actions
            missing += [option for option in re.findall(r"(?<=\s)--[\w-]+", code) if option not in options]
    assert missing == []


def test_what_serves_for_a_key_of_pyslowfast_stands_on_its_page():
    page = (ROOT / "docs/PYSLOWFAST.md").read_text()
    keys = {key for key in DEFAULTS if what_serves(key) and not belongs_to(key.split(".")[0])}
    assert len(keys) > 10
    assert {key for key in keys if f"`{key}`" not in page} == set()


def test_every_page_is_in_the_navigation():
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]

    def pages(entries):
        for entry in entries:
            (value,) = entry.values()
            yield from [value] if isinstance(value, str) else pages(value)

    assert {name_of(page).removeprefix("docs/") for page in PAGES} <= set(pages(nav))


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("mkdocs") is None, reason="mkdocs is missing: pip install -e '.[docs]'")
def test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        env=ENV,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) >= len(PAGES)
    loads = r'<(?:script|img|iframe)[^>]*\ssrc="(?:https?:)?//|<link[^>]*rel="(?:stylesheet|preconnect)"[^>]*href="http'
    assert [page.name for page in pages if re.search(loads, page.read_text())] == []
