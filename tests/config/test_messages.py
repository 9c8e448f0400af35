"""Names of keys that are no keys: what is said, and what is proposed."""

import pytest
from helpers import tiny_cfg

from avslowfast.config import ConfigError


def message_of(*overrides):
    with pytest.raises(ConfigError) as error:
        tiny_cfg(*overrides)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500
    return str(error.value)


@pytest.mark.parametrize(
    "key, near",
    [
        ("train.batch_size", "TRAIN.BATCH_SIZE"),
        ("Train.Batch_Size", "TRAIN.BATCH_SIZE"),
        ("train.BATCH_SIZE", "TRAIN.BATCH_SIZE"),
        ("output_dir", "OUTPUT_DIR"),
        ("OUTPUTDIR", "OUTPUT_DIR"),
        ("num_gpus", "NUM_GPUS"),
        ("NUM_GPU", "NUM_GPUS"),
        ("SOLVER.BASE_LRR", "SOLVER.BASE_LR"),
        ("SOLVER.BASELR", "SOLVER.BASE_LR"),
        ("SOLVR.BASE_LR", "SOLVER.BASE_LR"),
        ("TRAN.BATCH_SIZE", "TRAIN.BATCH_SIZE"),
        ("TRAIN.BATCHSIZE", "TRAIN.BATCH_SIZE"),
        ("MODEL.NUM_CLASES", "MODEL.NUM_CLASSES"),
        ("DATA.NUM_FRAME", "DATA.NUM_FRAMES"),
        ("SLOWFAST.DROPPATHWAY", "SLOWFAST.DROPPATHWAY_RATE"),
        ("SLOWFAST.AVSFLAG", "SLOWFAST.AVS_FLAG"),
        ("DATA_LOADER.NUM_WORKER", "DATA_LOADER.NUM_WORKERS"),
        ("DATALOADER.NUM_WORKERS", "DATA_LOADER.NUM_WORKERS"),
        ("TEST.NUM_ENSEMBLE_VIEW", "TEST.NUM_ENSEMBLE_VIEWS"),
        ("DATA.NUM_CLASSES", "MODEL.NUM_CLASSES or MULTI_HEAD.NUM_CLASSES"),
        ("SOLVER.BATCH_SIZE", "TRAIN.BATCH_SIZE or TEST.BATCH_SIZE"),
    ],
)
def test_a_near_key_is_proposed(key, near):
    assert f"unknown key {key}; did you mean {near}? Correct the name or remove the key" in message_of(key, 1)


@pytest.mark.parametrize(
    "key",
    [
        "MODEL.COLOUR",
        "FOO.ENABLE",
        "TRAIN.X",
        "X",
        "TRAIN",
        "=",
        ".",
        "..",
        "a.b.c.d",
        "TRAIN.ENABLE.X",
        "TRAIN..ENABLE",
        ".TRAIN.ENABLE",
        "TRAIN.",
        "a\nb",
        "ü",
        "\udc80",
        "x" * 5000,
        "TRAIN." + "X" * 5000,
        "__class__",
        "MODEL.__class__",
        "MODEL.items",
        "SOLVER.LR_SCHEDULE_KIND",
        "DATA.COLOR_RND_GRAYSCALE",
        "-1",
        "0",
    ],
)
def test_nothing_is_proposed_where_nothing_is_near(key):
    message = message_of(key, 1)
    assert message.startswith("command line: ")
    assert "did you mean" not in message


@pytest.mark.parametrize(
    "key, words",
    [
        ("TRAIN.CHECKPOINT_IN_INIT", "TRAIN.CHECKPOINT_FILE_PATH"),
        ("train.checkpoint_in_init", "TRAIN.CHECKPOINT_FILE_PATH"),
        ("MODEL.DETACH_FINAL_FC", "FINETUNE.FREEZE"),
        ("MODEL.FROZEN_BN", "BN.NORM_TYPE frozen_batchnorm"),
        ("BN.GLOBAL_SYNC", "BN.NORM_TYPE sync_batchnorm"),
        ("AUG.COLOR_JITTER", "AUG.AA_TYPE"),
        ("MODEL.ACT_CHECKPOINT", "TRAIN.ACCUMULATION_STEPS"),
        ("TEST.NUM_TEMPORAL_CLIPS", "TEST.NUM_ENSEMBLE_VIEWS"),
        ("DATA.TRAIN_JITTER_SCALES_RELATIVE", "DATA.TRAIN_JITTER_SCALES"),
        ("EPICKITCHENS.TRAIN_LIST", "DATA.PATH_TO_DATA_DIR"),
        ("SOLVER.LARS_ON", "SOLVER.OPTIMIZING_METHOD"),
    ],
)
def test_for_a_key_of_another_project_the_words_say_what_serves(key, words):
    message = message_of(key, "True")
    assert f"unknown key {key}: this project has no key for it; " in message
    assert words in message
    assert message.endswith("; remove the key")


@pytest.mark.parametrize("node", ["MVIT", "X3D", "CONTRASTIVE", "SSL", "MASK", "DEMO", "BENCHMARK", "VIS_MASK"])
def test_a_node_of_another_project_says_what_it_belongs_to(node):
    assert f"which this project does not have; remove the {node} node" in message_of(f"{node}.X", 1)


@pytest.mark.parametrize(
    "overrides, words",
    [
        (["_BASE_", "x.yaml"], "command line: _BASE_ stands in a YAML file alone; give that file as the configuration"),
        (["", 1], "command line: a key is empty; overrides come in pairs KEY VALUE"),
        (["  ", 1], "command line: a key is empty; overrides come in pairs KEY VALUE"),
        (["TRAIN.ENABLE=False"], "overrides are written KEY VALUE, without '='; use TRAIN.ENABLE False"),
        (["TRAIN.ENABLE=False", "NUM_GPUS=0"], "overrides are written KEY VALUE, without '='; use TRAIN.ENABLE False"),
        (["train.enable=False", "x"], "without '='"),
        (["TRAIN.ENABLE", "False", "NUM_GPUS"], "pairs KEY VALUE, but 'NUM_GPUS' at the end has no value"),
        (["SOLVER", 3], "SOLVER is a group of keys, not a value; set one of its keys, e.g. SOLVER."),
        (["SOLVER", {"BASE_LR": 1}], "SOLVER is a group of keys"),
        ([None, 1], "unknown key None"),
        ([3, 1], "unknown key 3"),
    ],
)  # fmt: skip
def test_overrides_that_are_none(overrides, words):
    assert words in message_of(*overrides)


def test_an_equals_sign_in_a_value_is_no_mistake():
    assert tiny_cfg("OUTPUT_DIR", "lr=0.1").OUTPUT_DIR == "lr=0.1"
