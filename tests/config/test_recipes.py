"""The recipes of the configurations: those that are named after a published file, and twins with and without audio."""

import functools
from fnmatch import fnmatch

import pytest
from helpers import published, ROOT

from avslowfast.config import load_cfg
from avslowfast.config.derived import per_pathway
from avslowfast.config.kinds import values_of
from avslowfast.config.table import TABLE
from avslowfast.config.zoo import list_models
from avslowfast.models import build_model

_C2, _VISUAL = "configs/Kinetics/c2", "SLOWFAST_4x16_R50 SLOWFAST_8x8_R50 SLOWFAST_NLN_4x16_R50 SLOWFAST_NLN_8x8_R50"
_VISUAL += " SLOWFAST_8x8_R50_stepwise_multigrid"
# {configuration: (project, the file that it is named after)}.
PUBLISHED = {
    "AVA/SLOWFAST_32x2_R101_50_50": ("PySlowFast", "configs/AVA/c2/SLOWFAST_32x2_R101_50_50.yaml"),
    "AVA/SLOWFAST_32x2_R101_50_50_v2.1": ("PySlowFast", "configs/AVA/c2/SLOWFAST_32x2_R101_50_50_v2.1.yaml"),
    "AVA/SLOWFAST_32x2_R50_SHORT": ("PySlowFast", "configs/AVA/SLOWFAST_32x2_R50_SHORT.yaml"),
    "Charades/SLOWFAST_16x8_R50": ("PySlowFast", "configs/Charades/SLOWFAST_16x8_R50.yaml"),
    "Charades/SLOWFAST_8x8_R50": ("PySlowFast", "configs/Charades/pytorchvideo/SLOWFAST_8x8_R50.yaml"),
    "Charades/SLOW_8x8_R50": ("PySlowFast", "configs/Charades/pytorchvideo/SLOW_8x8_R50.yaml"),
    "EPIC100/SLOWFAST_8x8_R50": ("epic-kitchens-slowfast", "configs/EPIC-KITCHENS/SLOWFAST_8x8_R50.yaml"),
    "Kinetics/SLOWFAST_8x8_R101": ("PySlowFast", f"{_C2}/SLOWFAST_8x8_R101_50_50.yaml"),
    "Kinetics/SLOWFAST_8x8_R101_101_101": ("PySlowFast", f"{_C2}/SLOWFAST_8x8_R101_101_101.yaml"),
    "Kinetics/SLOWFAST_16x8_R101": ("PySlowFast", f"{_C2}/SLOWFAST_16x8_R101_50_50.yaml"),
    "Kinetics/SLOWFAST_NLN_16x8_R101": ("PySlowFast", f"{_C2}/SLOWFAST_NLN_16x8_R101_50_50.yaml"),
    **{
        f"Kinetics/{name}": ("PySlowFast", f"configs/Kinetics/{name}.yaml")
        for name in f"{_VISUAL} SLOW_4x16_R50 SLOW_8x8_R50 SLOW_NLN_4x16_R50 SLOW_NLN_8x8_R50".split()
    },
    # The authors' networks exist in the paper's setting as well.
    **{
        f"Kinetics/{name}{ours}": ("authors", f"configs/Kinetics/{name}.yaml")
        for name in ("AVSLOWFAST_4x16_R50", "AVSLOWFAST_8x8_R50")
        for ours in ("", "_AUTHORS")
    },
}
NAMES = list_models()
# Where a run lies, what it starts from, and the class of the network, which MODEL.ARCH says as well.
ELSEWHERE = ("OUTPUT_DIR", "TRAIN.CHECKPOINT_FILE_PATH", "MODEL.MODEL_NAME")
# {names: {key: why ours differs}}.
DIFFERENT = {
    "AVA/SLOWFAST_32x2_R101_50_50*": {
        **dict.fromkeys(("TRAIN.ENABLE", "TRAIN.BATCH_SIZE", "TRAIN.EVAL_PERIOD"), "the published file tests alone"),
        **dict.fromkeys(
            [f"SOLVER.{key}" for key in ("LR_POLICY", "STEPS", "LRS", "MAX_EPOCH", "WARMUP_EPOCHS", "WARMUP_START_LR")],
            "the published file tests alone; ours trains with the schedule of SLOWFAST_32x2_R50_SHORT",
        ),
        "AVA.TRAIN_PREDICT_BOX_LISTS": "the published file tests alone",
    },
    "Charades/*": {"DATA.REVERSE_INPUT_CHANNEL": "PySlowFast reads frames as B, G, R and reverses them"},
    "Charades/*_8x8_R50": dict.fromkeys(("DATA_LOADER.NUM_WORKERS", "LOG_MODEL_INFO"), "no matter of the recipe"),
    "Charades/SLOW_8x8_R50": dict.fromkeys(
        ("SLOWFAST.ALPHA", "SLOWFAST.FUSION_KERNEL_SZ", "NONLOCAL.INSTANTIATION"), "without effect on Slow alone"
    ),
    "EPIC100/SLOWFAST_8x8_R50": {"TEST.ENABLE": "a run is tested when it ends"},
    "Kinetics/SLOWFAST_*R101*": {"TRAIN.ENABLE": "the published file tests alone"},
    "Kinetics/AVSLOWFAST_?x*_R50": {"SLOWFAST.FS_FUSION": "F->S at every stage, as in SlowFast"},
    "Kinetics/AVSLOWFAST_8x8_R50": dict.fromkeys(
        ("TRAIN.BATCH_SIZE", "TEST.BATCH_SIZE", "BN.NUM_BATCHES_PRECISE"), "as in the visual twin; see _AUTHORS"
    ),
    "Kinetics/AVSLOWFAST_*_AUTHORS": {"LATERAL.DROP_POOL5": "what the authors' code does, without a key"},
}
PER_PATHWAY = ("RESNET.NUM_BLOCK_TEMP_KERNEL", "RESNET.SPATIAL_STRIDES", "RESNET.SPATIAL_DILATIONS")
PER_PATHWAY += ("NONLOCAL.LOCATION", "NONLOCAL.GROUP", "NONLOCAL.POOL")
# Keys in which a network with audio may differ from the one without: of audio, or the beginnings of such keys.
AUDIO = ("MODEL.ARCH", "OUTPUT_DIR", "BN.AUDIO_NORM_TYPE", "PATHWAY.AUDIO", "LATERAL.", "SYNC.", "RESNET.AUDIO_")
AUDIO += ("SLOWFAST.AU_", "SLOWFAST.AFS_", "SLOWFAST.FS_FUSION", "SLOWFAST.AVS_", "SLOWFAST.DROPPATHWAY_RATE")
AUDIO += ("DATA.AUDIO_", "DATA.LOGMEL_", "DATA.USE_AUDIO", "DATA.GET_MISALIGNED_AUDIO", "DATA.EASY_NEG_RATIO")
AUDIO += ("DATA.MIX_NEG_EPOCH",)
TWINS = [name for name in NAMES if "AVSLOWFAST" in name and name.replace("AVSLOW", "SLOW") in NAMES]


def visual(key, value):
    """A value as the visual pathways see it: lists per pathway have entries for Slow and Fast."""
    if key == "DATA.INPUT_CHANNEL_NUM":
        return value[:2]
    if key in PER_PATHWAY:
        return [[per_pathway(stage, name) for name in ("slow", "fast")] for stage in value]
    return value


@functools.cache
def loaded(name):
    return load_cfg(name)


def recipe(cfg):
    """{key: value} of a configuration."""
    return {key: visual(key, value) for key, value in values_of(cfg).items()}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_configuration_has_the_key_values_of_the_published_file_that_it_is_named_after(name):
    ours, theirs = recipe(loaded(name)), recipe(published.load(*PUBLISHED[name]))
    inert = {key for key, row in TABLE.items() if row.inert}
    differences = {key for key in theirs if key not in (*ELSEWHERE, *inert) and ours[key] != theirs[key]}
    reasons = {key for names, keys in DIFFERENT.items() if fnmatch(name, names) for key in keys}
    assert differences == reasons, {key: (ours[key], theirs[key]) for key in differences ^ reasons}


@pytest.mark.parametrize("name", NAMES)
def test_test_views_are_those_of_the_published_figures(name):
    # PySlowFast's reader of lists of frames reaches to the end of a video. Configurations for SynthAV and for people's
    # own files have no published figure, and show all of a file.
    to_the_end = name.split("/")[0] in ("Charades", "SynthAV", "OwnVideos", "OwnSounds")
    assert to_the_end == loaded(name).DATA.USE_OFFSET_SAMPLING


def test_networks_of_all_kinds_are_compared_with_published_files():
    assert {name.split("/")[0] for name in PUBLISHED} == {"Kinetics", "AVA", "Charades", "EPIC100"}
    assert set(PUBLISHED) <= set(NAMES)
    assert len([name for name in PUBLISHED if "AUTHORS" in name]) == 2
    assert len(PUBLISHED) > 20


@pytest.mark.parametrize("name", TWINS)
def test_networks_with_and_without_audio_differ_in_audio_keys_alone(name):
    ours, twin = recipe(loaded(name)), recipe(loaded(name.replace("AVSLOW", "SLOW")))
    assert {key: (ours[key], twin[key]) for key in ours if ours[key] != twin[key] and not key.startswith(AUDIO)} == {}


def test_every_folder_with_both_networks_has_twins():
    folders = {name.split("/")[0] for name in NAMES if "/SLOWFAST" in name}
    assert {name.split("/")[0] for name in TWINS} == folders
    assert len(TWINS) > 20


@pytest.mark.parametrize("name", NAMES)
def test_steps_ascend_and_what_is_taken_over_from_kinetics_is_said(name):
    cfg, head = loaded(name), (ROOT / f"configs/{name}.yaml").read_text().split("_BASE_:")[0]
    assert list(cfg.SOLVER.STEPS) == sorted(set(cfg.SOLVER.STEPS))
    taken_over = cfg.MODEL.ARCH == "avslowfast" and cfg.SLOWFAST.DROPPATHWAY_RATE == 0.8
    if cfg.TRAIN.DATASET != "kinetics" and cfg.TASK != "probe":
        assert ("# DropPathway's 0.8 is documented for Kinetics alone.\n" in head) == taken_over


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("Kinetics")])
def test_a_figure_of_the_slowfast_paper_is_said_to_be_of_another_schedule(name):
    head = (ROOT / f"configs/{name}.yaml").read_text()
    assert ("(arXiv 1812.03982" in head) == ("# The figure is of the SlowFast paper's own schedule" in head)


def test_linear_evaluation_trains_the_classifier_alone():
    model = build_model(load_cfg("Pretrain/LINEAR_AVSLOWFAST_8x8_R50", ["RESNET.WIDTH_PER_GROUP", 8]))
    assert {n.split(".")[0] for n, p in model.named_parameters() if p.requires_grad} == {"head"}
    assert set(model.head.channels) == {"slow", "fast", "audio"}
