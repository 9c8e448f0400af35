"""Names are checked by the registries alone, so that a plugin's are accepted."""

import pytest
from helpers import tiny_cfg

from avslowfast.config import ConfigError, derived
from avslowfast.config import names as registries
from avslowfast.config.errors import value_of
from avslowfast.config.names import BlockFacts, PretextFacts, TaskFacts
from avslowfast.utils.registry import Registry

# (registry, key, overrides under which a new name is valid; {name} stands for it).
KEYS = [
    ("ARCHITECTURES", "MODEL.ARCH", ["MODEL.ARCH", "{name}"]),
    ("PATHWAYS", "PATHWAY.SLOW", ["PATHWAY.SLOW", "{name}"]),
    ("PATHWAYS", "PATHWAY.FAST", ["PATHWAY.FAST", "{name}"]),
    ("PATHWAYS", "PATHWAY.AUDIO", ["PATHWAY.AUDIO", "{name}"]),
    ("HEADS", "MODEL.HEAD", ["MODEL.HEAD", "{name}"]),
    ("LATERALS", "LATERAL.AUDIO", ["LATERAL.AUDIO", "{name}"]),
    ("TRANSFORMS", "RESNET.TRANS_FUNC", ["RESNET.TRANS_FUNC", "{name}"]),
    ("TRANSFORMS", "RESNET.AUDIO_TRANS_FUNC", ["RESNET.AUDIO_TRANS_FUNC", "{name}"]),
    ("TASKS", "TASK", ["TASK", "{name}"]),
    ("PRETEXTS", "PRETRAIN.TASKS", ["TASK", "pretrain", "TEST.NUM_SPATIAL_CROPS", 1, "PRETRAIN.TASKS", ["{name}"]]),
    ("DATASETS", "TRAIN.DATASET", ["TRAIN.DATASET", "{name}"]),
    ("DATASETS", "TEST.DATASET", ["TEST.DATASET", "{name}"]),
    ("METRICS", "TEST.METRICS", ["TEST.METRICS", ["{name}"]]),
    ("LOGGERS", "LOGGERS", ["LOGGERS", ["{name}"]]),
]
ENTRIES = {"ARCHITECTURES": ("slow", "fast", "audio")}


def with_name(overrides, name):
    return [[name] if value == ["{name}"] else name if value == "{name}" else value for value in overrides]


@pytest.mark.parametrize("registry, key, overrides", KEYS, ids=[key for _, key, _ in KEYS])
def test_a_registered_name_is_accepted(registry_of, registry, key, overrides):
    registry_of(registry).register("mine_1")(ENTRIES.get(registry, object))
    value = value_of(tiny_cfg(*with_name(overrides, "mine_1")), key)
    assert value in ("mine_1", ["mine_1"])


@pytest.mark.parametrize("registry, key, overrides", KEYS, ids=[key for _, key, _ in KEYS])
def test_an_unknown_name_is_one_line_with_key_value_and_the_known_names(registry, key, overrides):
    with pytest.raises(ConfigError) as error:
        tiny_cfg(*with_name(overrides, "mine_2"))
    message = str(error.value)
    assert message.startswith(f"command line: {key} is ")
    assert "'mine_2': unknown " in message
    assert all(name in message for name in getattr(registries, registry))
    assert "PLUGINS" in message
    assert "\n" not in message


def test_a_similar_name_is_proposed():
    with pytest.raises(ConfigError, match="LATERAL.AUDIO is 'a2f': unknown audio lateral; did you mean 'a2fs'?"):
        tiny_cfg("LATERAL.AUDIO", "a2f")


@pytest.mark.parametrize("name", ["ssv2", "Imagenet"])
def test_configurations_of_pyslowfast_for_other_data_sets_load(name):
    assert name == tiny_cfg("TRAIN.DATASET", name, "TEST.DATASET", name).TRAIN.DATASET


def test_names_of_data_sets_have_any_case():
    assert tiny_cfg("TRAIN.DATASET", "Kinetics").TRAIN.DATASET == "Kinetics"


def test_a_block_of_a_plugin_says_which_depths_it_makes(registry_of):
    registry_of("TRANSFORMS").register("mine_3", BlockFacts(depths=(101,)))(object)
    with pytest.raises(ConfigError, match="RESNET.TRANS_FUNC is 'mine_3': a ResNet of depth 50 has another block"):
        tiny_cfg("RESNET.TRANS_FUNC", "mine_3", "RESNET.DEPTH", 50)
    tiny_cfg("RESNET.TRANS_FUNC", "mine_3", "RESNET.DEPTH", 101)


def test_a_block_for_audio_makes_no_visual_network():
    with pytest.raises(ConfigError, match="RESNET.TRANS_FUNC is 'tf_bottleneck_transform_v1'.*bottleneck_transform"):
        tiny_cfg("RESNET.TRANS_FUNC", "tf_bottleneck_transform_v1", "RESNET.DEPTH", 50)


def test_a_task_of_a_plugin_that_classifies_boxes_is_the_task(registry_of):
    registry_of("TASKS").register("mine_4", TaskFacts(boxes=True))(object)
    cfg = tiny_cfg("TASK", "mine_4", "DETECTION.ENABLE", True)
    assert derived.task_name(cfg) == "mine_4"
    with pytest.raises(ConfigError, match="set DETECTION.ENABLE True"):
        tiny_cfg("TASK", "mine_4")


def test_a_task_of_a_plugin_without_boxes_refuses_detection(registry_of):
    registry_of("TASKS").register("mine_5")(object)
    with pytest.raises(ConfigError, match="DETECTION.ENABLE is True: TASK mine_5 classifies no boxes"):
        tiny_cfg("TASK", "mine_5", "DETECTION.ENABLE", True)


def test_a_pretext_of_a_plugin_that_needs_frames_refuses_an_audio_network(registry_of):
    registry_of("PRETEXTS").register("mine_6", PretextFacts(outputs=2))(object)
    overrides = ["TASK", "pretrain", "TEST.NUM_SPATIAL_CROPS", 1, "PRETRAIN.TASKS", ["mine_6"]]
    tiny_cfg(*overrides)
    with pytest.raises(ConfigError, match="PRETRAIN.TASKS is .*mine_6 needs frames"):
        tiny_cfg(*overrides, "MODEL.ARCH", "audio")


def test_a_module_that_is_imported_again_replaces_its_entries():
    registry = Registry("thing")
    first = type("Thing", (), {"__module__": "a_module"})
    second = type("Thing", (), {"__module__": "a_module"})
    registry.register("mine")(first)
    registry.register("mine")(second)
    assert registry["mine"] is second


@pytest.mark.parametrize("other", [type("Thing", (), {"__module__": "b"}), type("Other", (), {"__module__": "a"}), 3])
def test_a_name_is_registered_once(other):
    registry = Registry("thing")
    registry.register("mine")(type("Thing", (), {"__module__": "a"}))
    with pytest.raises(ValueError, match="thing 'mine' exists already"):
        registry.register("mine")(other)
