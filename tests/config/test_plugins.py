"""A user's own modules: imported by name before keys are assigned, never imported for a checkpoint."""

import importlib
import os
import subprocess
import sys

import pytest
from helpers import ROOT, TINY

from avslowfast.config import add_config, ConfigError, get_cfg, import_plugins, load_cfg, parse_cfg, PluginError
from avslowfast.config.plugins import remove_config
from avslowfast.config.ranges import share

ENV = {**os.environ, "PYTHONPATH": str(ROOT)}
CODE = """
from avslowfast.config import add_config, ConfigError


def check(cfg):
    if cfg.MY_NODE.GAIN < 0:
        raise ConfigError("MY_NODE.GAIN is negative; use 0 or more")


add_config("MY_NODE", {"GAIN": (1.0, "Factor on the audio features."), "NAMES": ([], "Names.")}, check)
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Name of a module that adds the node MY_NODE; it is forgotten afterwards."""
    name = f"plugin_of_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(CODE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield name
    sys.modules.pop(name, None)
    remove_config("MY_NODE")


def yaml_of(tmp_path, text):
    (tmp_path / "x.yaml").write_text(f"_BASE_: {TINY}\n{text}\n")
    return tmp_path / "x.yaml"


def test_a_yaml_names_a_plugin_and_sets_its_keys(tmp_path, plugin):
    cfg = load_cfg(yaml_of(tmp_path, f"MY_NODE:\n  GAIN: 3\nPLUGINS: [{plugin}]"))
    assert cfg.MY_NODE.GAIN == 3.0
    assert [plugin] == cfg.PLUGINS


def test_plugins_of_the_caller_are_recorded(plugin):
    cfg = load_cfg(TINY, ["MY_NODE.GAIN", "2.5"], plugins=[plugin])
    assert (2.5, [plugin]) == (cfg.MY_NODE.GAIN, cfg.PLUGINS)


def test_plugins_of_file_and_caller_come_together(tmp_path, plugin):
    cfg = load_cfg(yaml_of(tmp_path, "PLUGINS: [json]"), plugins=[plugin, "json"])
    assert ["json", plugin] == cfg.PLUGINS


def test_what_a_run_writes_loads_again(tmp_path, plugin):
    cfg = load_cfg(TINY, ["MY_NODE.GAIN", 2], plugins=[plugin])
    (tmp_path / "config.yaml").write_text(cfg.dump())
    assert load_cfg(tmp_path / "config.yaml") == cfg


def test_added_keys_are_in_the_defaults(plugin):
    importlib.import_module(plugin)
    assert get_cfg().MY_NODE == {"GAIN": 1.0, "NAMES": []}


def test_a_plugins_keys_have_types_and_its_check_is_called(plugin):
    with pytest.raises(
        ConfigError, match="MY_NODE.GAIN is 'loud': it has to be a finite number.*Factor on the audio features"
    ):
        load_cfg(TINY, ["MY_NODE.GAIN", "loud"], plugins=[plugin])
    with pytest.raises(ConfigError, match="MY_NODE.GAIN is negative"):
        load_cfg(TINY, ["MY_NODE.GAIN", -1], plugins=[plugin])
    with pytest.raises(ConfigError, match=r"unknown key MY_NODE.GAIM; did you mean MY_NODE.GAIN\?"):
        load_cfg(TINY, ["MY_NODE.GAIM", 1], plugins=[plugin])


def test_a_module_may_be_imported_again_but_nobody_else_takes_its_name(plugin):
    module = importlib.import_module(plugin)
    importlib.reload(module)
    with pytest.raises(ConfigError, match=f"taken by {plugin}"):
        add_config("MY_NODE", {"GAIN": (1.0, "Another.")})


@pytest.mark.parametrize(
    "name, keys, words",
    [
        ("MODEL", {"GAIN": (1.0, "x")}, "taken by avslowfast"),
        ("NUM_GPUS", {"GAIN": (1.0, "x")}, "taken by avslowfast"),
        ("lower", {"GAIN": (1.0, "x")}, "not a name in capitals"),
        ("MINE", {"gain": (1.0, "x")}, "MINE.gain: not a name in capitals"),
        ("MINE", {"GAIN": (None, "x")}, "MINE.GAIN: a default of type NoneType"),
        ("MINE", {"GAIN": (1.0, " ")}, "MINE.GAIN: the comment is missing"),
        ("MINE", {"GAIN": (2.0, "x", share())}, "MINE.GAIN is 2.0: it has to be a number in 0..1"),
    ],
)
def test_a_node_that_cannot_be_added_is_refused(name, keys, words):
    with pytest.raises(ConfigError, match=words):
        add_config(name, keys)
    assert "MINE" not in get_cfg()


@pytest.mark.parametrize(
    "name, words",
    [
        ("no_such_module_at_all", "plugin no_such_module_at_all cannot be imported: no such module; check the name"),
        ("folder/mine.py", "it is a file's name; write mine, and put its folder on PYTHONPATH"),
        ("broken", r"plugin broken cannot be imported: ZeroDivisionError: .*broken\.py, line 2\); correct the module"),
        ("lacks", "plugin lacks cannot be imported: ModuleNotFoundError: No module named 'no_such_requirement'"),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_one_line(tmp_path, monkeypatch, name, words):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "broken.py").write_text("x = 1\nx / 0\n")
    (tmp_path / "lacks.py").write_text("import no_such_requirement\n")
    with pytest.raises(PluginError, match=words) as error:
        load_cfg(TINY, plugins=[name])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", ["PLUGINS: my_module", "PLUGINS: [1]"])
def test_plugins_are_a_list_of_names(tmp_path, value):
    with pytest.raises(ConfigError, match="x.yaml, line 2: PLUGINS"):
        load_cfg(yaml_of(tmp_path, value))


def test_a_text_imports_nothing(plugin):
    text = f"PLUGINS: [{plugin}]\nMY_NODE:\n  GAIN: 2.0\n"
    with pytest.raises(PluginError, match=f"checkpoint: needs the plugin {plugin}.*--import {plugin}"):
        parse_cfg(text, "checkpoint")
    assert plugin not in sys.modules
    assert parse_cfg(text, "checkpoint", plugins=[plugin]).MY_NODE.GAIN == 2.0
    # It is imported by now.
    assert [plugin] == parse_cfg(text, "checkpoint").PLUGINS


def test_the_callers_overrides_may_name_the_plugin_of_a_text(plugin):
    assert parse_cfg(f"PLUGINS: [{plugin}]\n", "checkpoint", ["PLUGINS", [plugin]]).MY_NODE.GAIN == 1.0


def test_a_plugin_of_the_current_folder_is_found_and_a_spawned_process_imports_it(tmp_path):
    (tmp_path / "mine.py").write_text(CODE)
    script = f"""
import multiprocessing, sys
sys.path[:] = [p for p in sys.path if p]
from avslowfast.config import get_cfg, import_plugins, load_cfg

def child(cfg, queue):
    before = "MY_NODE" in get_cfg()
    import_plugins(cfg)
    queue.put((before, "MY_NODE" in get_cfg(), cfg.MY_NODE.GAIN))

if __name__ == "__main__":
    cfg = load_cfg({str(TINY)!r}, ["MY_NODE.GAIN", 7], plugins=["mine"])
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=child, args=(cfg, queue))
    process.start()
    print(queue.get(timeout=60))
    process.join()
"""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/script.py").write_text(script)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "folder/script.py")], capture_output=True, text=True, cwd=tmp_path, env=ENV
    )
    assert done.stdout.strip() == "(False, True, 7.0)", done.stderr


def test_plugins_that_are_imported_already_stay_as_they_are(plugin):
    module = importlib.import_module(plugin)
    cfg = load_cfg(TINY, plugins=[plugin])
    import_plugins(cfg)
    assert sys.modules[plugin] is module


@pytest.mark.parametrize("overrides", ["[]", "['MODEL.NUM_CLASES', 5]", "['DATA.NUM_FRAMES', 9]"])
def test_loading_a_configuration_imports_no_torch(overrides):
    code = f"""
import sys
from avslowfast.config import ConfigError, list_models, load_cfg
try:
    load_cfg({str(TINY)!r}, {overrides})
except ConfigError:
    pass
list_models()
heavy = ("torch", "torchvision", "torchaudio", "numpy", "pandas", "av", "librosa", "sklearn")
print([name for name in heavy if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=ENV)
    assert done.stdout.strip() == "[]", done.stderr
