"""Configuration: published YAML loads, mistakes are named, every key is explained."""

import pytest
from helpers import ROOT, TINY, tiny_cfg

from avslowfast.config import ConfigError, get_cfg, load_cfg
from avslowfast.models import build_model

CONFIGS = sorted((ROOT / "configs").glob("*/*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_every_config_loads_is_frozen_and_tells_its_command(path):
    cfg = load_cfg(path)
    assert cfg.is_frozen()
    assert sorted(set(cfg.SOLVER.STEPS)) == cfg.SOLVER.STEPS
    head = path.read_text().split("\n\n")[0]
    for word in ("# Command:", "# Hardware:", "# Expected:"):
        assert word in head


@pytest.mark.parametrize(
    "overrides, words",
    [
        (["MODEL.NUM_CLASES", 5], ["MODEL.NUM_CLASES", "MODEL.NUM_CLASSES"]),
        (["MVIT.DEPTH", 5], ["MVIT", "Multiscale Vision Transformers"]),
        (["MODEL.ARCH", "x3d"], ["MODEL.ARCH", "X3D", "avslowfast"]),
        (["MODEL.NUM_CLASSES", "many"], ["MODEL.NUM_CLASSES", "a whole number", "many"]),
        (["TRAIN.ENABLE", 1], ["TRAIN.ENABLE", "True or False"]),
        (["DATA.NUM_FRAMES", 9], ["DATA.NUM_FRAMES", "SLOWFAST.ALPHA"]),
        (["DATA.AUDIO_FRAME_NUM", 63], ["SLOWFAST.AU_ALPHA", "63"]),
        (["DATA.TRAIN_CROP_SIZE", 16], ["DATA.TRAIN_CROP_SIZE", "32"]),
        (["NUM_CPU_PROCESSES", 3], ["TRAIN.BATCH_SIZE", "3 rank"]),
        (["RESNET.DEPTH", 50], ["RESNET.TRANS_FUNC", "bottleneck_transform"]),
        (["SOLVER.LR_POLICY", "poly"], ["SOLVER.LR_POLICY", "cosine"]),
        (["SLOWFAST.AVS_FLAG", [True]], ["SLOWFAST.AVS_FLAG", "res5", "a list of 5 values"]),
        (
            ["SLOWFAST.AFS_FUSION", [False] * 4, "SLOWFAST.AVS_FLAG", [False] * 5, "LATERAL.AUDIO_POOL5", False],
            ["SLOWFAST.AFS_FUSION", "slowfast"],
        ),
        (["FINETUNE.FREEZE", ["slow", "res6"]], ["FINETUNE.FREEZE", "res6", "slow.res2"]),
        (["MODEL.ARCH", "slowfast", "FINETUNE.FREEZE", ["audio"]], ["FINETUNE.FREEZE", "audio", "slow, fast"]),
        (["FINETUNE.LR_HEAD", 0], ["FINETUNE.LR_HEAD", "FINETUNE.FREEZE"]),
        (["MULTIGRID.SHORT_CYCLE", True], ["MULTIGRID.SHORT_CYCLE"]),
        (
            ["LATERAL.AUDIO", "a2f2s", "DATA.AUDIO_FRAME_NUM", 16, "SLOWFAST.AU_ALPHA", 4],
            ["LATERAL.AUDIO", "res4", "Fast's 2"],
        ),
        (["MODEL.NUM_CLASSES"], ["MODEL.NUM_CLASSES", "no value"]),
    ],
)
def test_mistakes_are_one_clear_line(overrides, words):
    with pytest.raises(ValueError) as error:
        tiny_cfg(*overrides)
    message = str(error.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


def test_a_mistake_in_a_file_names_file_and_line(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text(f"_BASE_: {TINY}\nMODEL:\n  NUM_CLASSES: 10\n  DROPOUT_RAT: 0.1\n")
    with pytest.raises(
        ConfigError,
        match=r"x\.yaml, line 4: unknown key MODEL\.DROPOUT_RAT; did you mean MODEL\.DROPOUT_RATE\?",
    ):
        load_cfg(path)


@pytest.mark.parametrize("key", ["MODEL.COLOUR", "FOO.ENABLE"])
def test_nothing_is_proposed_where_nothing_is_near(key):
    with pytest.raises(ConfigError, match=f"unknown key {key}: there is no key .*; remove it") as error:
        tiny_cfg(key, 1)
    assert "did you mean" not in str(error.value)


@pytest.mark.parametrize(
    "key, near",
    [
        ("DATA.NUM_CLASSES", "MODEL.NUM_CLASSES or MULTI_HEAD.NUM_CLASSES"),
        ("model.num_classes", "MODEL.NUM_CLASSES"),
        ("TRAN.BATCH_SIZE", r"TRAIN.BATCH_SIZE\?"),
    ],
)
def test_a_near_key_is_proposed(key, near):
    with pytest.raises(ConfigError, match=f"unknown key {key}; did you mean {near}"):
        tiny_cfg(key, 1)


def test_base_files_are_read_first(tmp_path):
    (tmp_path / "a.yaml").write_text(f"_BASE_: {TINY}\nMODEL:\n  NUM_CLASSES: 10\nSOLVER:\n  WEIGHT_DECAY: 1e-3\n")
    (tmp_path / "b.yaml").write_text("_BASE_: a.yaml\nMODEL:\n  NUM_CLASSES: 11\n")
    cfg = load_cfg(tmp_path / "b.yaml", ["DATA.MEAN", "[0.1, 0.2, 0.3]"])
    assert (cfg.MODEL.NUM_CLASSES, cfg.SOLVER.WEIGHT_DECAY, cfg.DATA.NUM_FRAMES, cfg.DATA.MEAN) == (
        11,
        1e-3,
        8,
        [0.1, 0.2, 0.3],
    )


def test_a_base_may_be_the_name_of_a_configuration(tmp_path):
    (tmp_path / "a.yaml").write_text("_BASE_: SynthAV/AVSLOWFAST_TINY\nMODEL:\n  NUM_CLASSES: 11\n")
    cfg = load_cfg(tmp_path / "a.yaml")
    assert (cfg.MODEL.NUM_CLASSES, cfg.RESNET.DEPTH) == (11, load_cfg(TINY).RESNET.DEPTH)


def test_a_base_that_does_not_exist_names_the_file_that_wants_it(tmp_path):
    (tmp_path / "a.yaml").write_text("NUM_GPUS: 0\n_BASE_: nothing.yaml\n")
    with pytest.raises(ConfigError, match=r"a\.yaml, line 2: _BASE_ nothing\.yaml: neither a file nor"):
        load_cfg(tmp_path / "a.yaml")


def test_a_configuration_is_loaded_by_its_name():
    assert load_cfg("SynthAV/AVSLOWFAST_TINY") == load_cfg(TINY)


def test_the_configuration_that_a_run_writes_loads_again(tmp_path):
    cfg = load_cfg(ROOT / "configs/Kinetics/AVSLOWFAST_8x8_R50.yaml", ["SOLVER.BASE_LR", 1e-7])
    (tmp_path / "config.yaml").write_text(cfg.dump())
    assert load_cfg(tmp_path / "config.yaml") == cfg


def test_a_circle_of_base_files_is_refused(tmp_path):
    (tmp_path / "a.yaml").write_text("_BASE_: b.yaml\n")
    (tmp_path / "b.yaml").write_text("_BASE_: a.yaml\n")
    with pytest.raises(ConfigError, match="leads back"):
        load_cfg(tmp_path / "a.yaml")


def test_an_int_serves_for_a_float_and_the_reverse():
    cfg = tiny_cfg("SOLVER.WARMUP_EPOCHS", 2, "SOLVER.MAX_EPOCH", 12.0)
    assert isinstance(cfg.SOLVER.WARMUP_EPOCHS, float)
    assert isinstance(cfg.SOLVER.MAX_EPOCH, int)


# What the published files of the two projects set, as far as it decides the network (facts from their configurations).
PUBLISHED = {
    "SLOW_8x8_R50": ("slow", {"res4": 1024}, 0),
    "SLOWFAST_4x16_R50": ("slowfast", {"res4": 1024}, 4),
    "SLOWFAST_NLN_4x16_R50": ("slowfast", {"res4": 1024}, 4),
    "AVSLOWFAST_4x16_R50_AUTHORS": ("avslowfast", {"res4": 1024}, 2),
    "AVSLOWFAST_4x16_R50": ("avslowfast", {"res4": 1024}, 4),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_settings_give_the_network(name):
    arch, channels, num_f2s = PUBLISHED[name]
    cfg = load_cfg(ROOT / f"configs/Kinetics/{name}.yaml")
    model = build_model(cfg)
    assert arch == cfg.MODEL.ARCH
    assert model.pathways["slow"].channels["res4"] == channels["res4"]
    assert len(model.fast_to_slow) == num_f2s
    if arch == "avslowfast":
        assert set(model.audio_laterals) == {"res3", "res4"}
        assert set(model.sync_heads) == {"res3", "res4", "res5"}
    if "NLN" in name:
        blocks = [n for n, m in model.named_modules() if type(m).__name__ == "NonLocal"]
        assert blocks == [
            f"pathways.slow.{s}.nonlocal{i}" for s, ids in (("res3", (1, 3)), ("res4", (1, 3, 5))) for i in ids
        ]


def test_keys_of_pyslowfast_yaml_that_have_no_effect_here_are_accepted(tmp_path):
    path = tmp_path / "published.yaml"
    path.write_text(
        "TRAIN:\n  CHECKPOINT_TYPE: caffe2\nDATA:\n  DECODING_BACKEND: torchvision\n  INPUT_CHANNEL_NUM: [3, 3]\n"
        "MODEL:\n  MODEL_NAME: SlowFast\n  ARCH: slowfast\nDATA_LOADER:\n  ENABLE_MULTI_THREAD_DECODE: True\n"
        "SOLVER:\n  WARMUP_EPOCHS: 34\n  WEIGHT_DECAY: 1e-4\n"
        "RESNET:\n  NUM_BLOCK_TEMP_KERNEL: [[3, 3], [4, 4], [6, 6], [3, 3]]\n"
    )
    cfg = load_cfg(path, ["DATA.NUM_FRAMES", 32])
    assert cfg.SOLVER.WEIGHT_DECAY == 1e-4
    assert get_cfg().MODEL.NUM_CLASSES == 400
