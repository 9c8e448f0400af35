"""Configurations that PySlowFast, the authors and two descendants publish: each means the same here, or is named."""

import pytest
import torch
import yaml
from helpers import published, ROOT, tiny_cfg
from helpers.published import CASES, DEFAULTS, family, flat, LOADS, NAMES, values_of

import avslowfast
from avslowfast.checkpoint import from_avslowfast
from avslowfast.config import ConfigError, derived, load_cfg, parse_cfg
from avslowfast.config.errors import value_of
from avslowfast.config.pyslowfast_defaults import DEFAULTS as LEFT_OUT
from avslowfast.config.table import TABLE
from avslowfast.loading.build import read_listing
from avslowfast.models import build_model

EACH = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}:{case[1]}")
# {key: {published value: value here}}.
TRANSLATED = {
    "MODEL.ARCH": {"slowonly": "slow"},
    "TRAIN.DATASET": {
        "epickitchens": "epic100",
        "ptvkinetics": "kinetics",
        "ptvcharades": "charades",
        "ptvssv2": "ssv2",
    },
}
TRANSLATED["TEST.DATASET"] = TRANSLATED["TRAIN.DATASET"]
# Keys whose default here is another one: nothing reads them, or they count where a file has to set another key.
OTHER_DEFAULTS = {
    "AUG.AA_TYPE": "read with AUG.ENABLE alone",
    "AVA.FRAME_DIR": "a folder of PySlowFast's authors",
    "AVA.FRAME_LIST_DIR": "a folder of PySlowFast's authors",
    "AVA.ANNOTATION_DIR": "a folder of PySlowFast's authors",
    "BN.NUM_SYNC_DEVICES": "read with BN.NORM_TYPE sync_batchnorm alone; every such file sets it",
    "DATA.DECODING_BACKEND": "nothing reads it",
    "MODEL.MODEL_NAME": "MODEL.ARCH chooses the network",
    "MODEL.MULTI_PATHWAY_ARCH": "nothing reads it",
    "MODEL.SINGLE_PATHWAY_ARCH": "nothing reads it",
    "OUTPUT_DIR": "where a run lies",
    "SOLVER.CLIP_GRAD_L2NORM": "0 is off here, None there",
    "SOLVER.CLIP_GRAD_VAL": "0 is off here, None there",
    "TASK": "its name for supervised learning is empty",
    "TRAIN.CHECKPOINT_EPOCH_RESET": "nothing reads it",
    "TENSORBOARD.ENABLE": "writes further files, changes nothing else",
}
# Defaults that a data set replaces: {key: {family: value}}.
BROUGHT = {
    "DATA.TARGET_FPS": {"charades": 24, "epic": 60},
    "DATA.USE_OFFSET_SAMPLING": {"charades": True},
    "BN.NORM_TYPE": {"epic": "frozen_batchnorm"},
}


def same(theirs, ours):
    """Whether two values are equal; numbers may be texts in their file, as 1e-4 is in YAML 1.1."""
    if isinstance(ours, list):
        return len(theirs) == len(ours) and all(map(same, theirs, ours))
    if isinstance(ours, float):
        return float(theirs) == ours
    return (theirs or "") == ours if isinstance(ours, str) else theirs == ours and type(theirs) is type(ours)


@EACH
def test_a_published_file_means_the_same_or_is_named_in_one_line(case):
    kind, cfg, theirs = family(*case), published.outcome(*case), flat(values_of(*case))
    if kind in NAMES:
        assert NAMES[kind] in cfg
        assert "\n" not in cfg
        return
    if derived.dataset_name(cfg) == "charades":
        kind = "charades"
    for key, value in theirs.items():
        if key in TABLE and key != "MODEL.NUM_CLASSES":
            expected = TRANSLATED.get(key, {}).get(value, value) if isinstance(value, str) else value
            assert same(expected, value_of(cfg, key)), key
    for key in DEFAULTS.keys() - theirs.keys() - OTHER_DEFAULTS.keys():
        if key in TABLE:
            assert value_of(cfg, key) == BROUGHT.get(key, {}).get(kind, DEFAULTS[key]), key
    classes = theirs["MODEL.NUM_CLASSES"]
    assert derived.head_classes(cfg) == ({"verb": 97, "noun": 300} if kind == "epic" else {"": classes})
    # OpenCV reads B, G, R; the files of Charades and SSv2 reverse that, EPIC-Kitchens' does not.
    assert derived.is_bgr(cfg) == (kind == "epic")


def test_every_family_is_published_and_every_architecture_is_told():
    assert {family(*case) for case in CASES} == NAMES.keys() | LOADS.keys()
    assert len(CASES) == 199


def test_the_table_of_published_configurations_is_up_to_date():
    table = published.table()
    print(table)
    assert table in (ROOT / "docs/PUBLISHED_CONFIGS.md").read_text(), "put the table that this test prints into it"


def test_epic_kitchens_file_is_the_official_baseline():
    cfg = published.load("epic-kitchens-slowfast", "configs/EPIC-KITCHENS/SLOWFAST_8x8_R50.yaml")
    assert cfg.MULTI_HEAD.LOSS_WEIGHTS == [0.5, 0.5]
    assert pytest.approx(1.07, abs=0.004) == cfg.DATA.NUM_FRAMES * cfg.DATA.SAMPLING_RATE / cfg.DATA.TARGET_FPS
    assert not cfg.DATA.TRAIN_PART


EPIC = ("epic-kitchens-slowfast", "configs/EPIC-KITCHENS/SLOWFAST_8x8_R50.yaml")


@pytest.mark.parametrize(
    "overrides, expected",
    [
        (["EPICKITCHENS.TRAIN_PLUS_VAL", True], {"DATA.TRAIN_PART": "trainval"}),
        (["EPICKITCHENS.ANNOTATIONS_DIR", "a/b"], {"DATA.PATH_TO_DATA_DIR": "a/b"}),
        (
            ["EPICKITCHENS.VISUAL_DATA_DIR", "a/b"],
            {"DATA.PATH_PREFIX": "a/b", "DATA.VIDEO_FILE": "{participant}/rgb_frames/{video}"},
        ),
        (
            ["EPICKITCHENS.TEST_LIST", "EPIC_100_test_timestamps.pkl", "EPICKITCHENS.TEST_SPLIT", "test"],
            {"DATA.TEST_PART": "test"},
        ),
        (["EPICKITCHENS.TEST_LIST", "EPIC_100_validation.pkl"], {"DATA.TEST_PART": ""}),
        (["BN.FREEZE", False], {"BN.NORM_TYPE": "batchnorm"}),
        (["DATA.TARGET_FPS", 30, "DATA.USE_BGR_ORDER", False], {"DATA.TARGET_FPS": 30, "DATA.USE_BGR_ORDER": False}),
    ],
)
def test_commands_of_epic_kitchens_readme_mean_the_same(overrides, expected):
    cfg = published.load(*EPIC, overrides)
    assert {key: value_of(cfg, key) for key in expected} == expected


def test_the_kind_of_batch_norm_on_the_command_line_wins_and_one_of_a_file_is_named(caplog):
    with caplog.at_level("WARNING"):
        assert published.load(*EPIC, ["BN.NORM_TYPE", "sync_batchnorm"]).BN.NORM_TYPE == "sync_batchnorm"
    assert "BN.FREEZE True is replaced by BN.NORM_TYPE sync_batchnorm of the command line" in caplog.text
    caplog.clear()
    with caplog.at_level("WARNING"):
        cfg = parse_cfg("BN:\n  FREEZE: True\n  NORM_TYPE: sub_batchnorm\n", "x.yaml")
    assert cfg.BN.NORM_TYPE == "frozen_batchnorm"
    assert "BN.FREEZE True makes BN.NORM_TYPE frozen_batchnorm, not sub_batchnorm (x.yaml, line 3)" in caplog.text
    both = ["BN.FREEZE", True, "BN.NORM_TYPE", "sub_batchnorm"]
    assert load_cfg("Kinetics/SLOW_8x8_R50", both).BN.NORM_TYPE == "frozen_batchnorm"


@pytest.mark.parametrize(
    "text, overrides",
    [
        ([], {"DATA.TARGET_FPS": 30}),
        (["SOLVER.BASE_LR_SCALE_NUM_SHARDS", True], {"SOLVER.BASE_LR_SCALE_NUM_SHARDS": True}),
        (["DATA.REVERSE_INPUT_CHANNEL", False], {"DATA.USE_BGR_ORDER": False}),
        (
            ["MULTIGRID.DEFAULT_B", 64, "MULTIGRID.DEFAULT_T", 32, "MULTIGRID.DEFAULT_S", 224],
            {"TRAIN.BATCH_SIZE": 8, "DATA.NUM_FRAMES": 16},
        ),
    ],
)
def test_overrides_are_not_replaced_by_what_follows_from_a_written_configuration(text, overrides):
    charades = ["TRAIN.DATASET", "charades", "TEST.DATASET", "charades", "DATA.MULTI_LABEL", True]
    charades += ["MODEL.LOSS_FUNC", "bce_logit", "MODEL.HEAD_ACT", "sigmoid"]
    cfg = parse_cfg(written([*charades, *text]), "x.pyth", [word for pair in overrides.items() for word in pair])
    assert {key: value_of(cfg, key) for key in overrides} == overrides


def test_pictures_of_epic_kitchens_have_the_rate_of_their_video(tmp_path):
    columns = "narration_id,participant_id,video_id,start_timestamp,stop_timestamp,verb_class,noun_class"
    rows = [f"{video}_0,P01,{video},00:00:01.00,00:00:02.00,1,2" for video in ("P01_01", "P01_101")]
    (tmp_path / "EPIC_100_train.csv").write_text("\n".join([columns, *rows]))
    folders = [tmp_path / "P01/rgb_frames" / video for video in ("P01_01", "P01_101")]
    for folder in folders:
        folder.mkdir(parents=True)
    cfg = published.load(*EPIC, ["EPICKITCHENS.ANNOTATIONS_DIR", tmp_path, "EPICKITCHENS.VISUAL_DATA_DIR", tmp_path])
    records = read_listing(cfg, "train").records
    assert [(record.path, record.frame_rate) for record in records] == list(zip(map(str, folders), [60.0, 50.0]))


# ---- What PySlowFast writes into its checkpoints ---------------------------------------------------------------------


def written(overrides=()):
    """The text that PySlowFast writes: all of its keys."""
    nested = {}
    for key, value in {**DEFAULTS, **dict(zip(overrides[::2], overrides[1::2]))}.items():
        *nodes, leaf = key.split(".")
        node = nested
        for name in nodes:
            node = node.setdefault(name, {})
        node[leaf] = float(value.replace(".inf", "inf")) if value in (".inf", "-.inf") else value
    return yaml.safe_dump(nested)


def test_what_pyslowfast_writes_loads_and_is_what_its_file_says():
    project, path = "PySlowFast", "configs/Kinetics/SLOWFAST_8x8_R50.yaml"
    values = [part for item in flat(values_of(project, path)).items() for part in item]
    cfg, from_file = parse_cfg(written(values), "x.pyth"), published.load(project, path)
    for key in TABLE:
        if key not in OTHER_DEFAULTS:
            assert value_of(cfg, key) == value_of(from_file, key), key


def test_a_checkpoint_with_all_that_pyslowfast_writes_is_a_network(tmp_path):
    values = flat(values_of("PySlowFast", "configs/Kinetics/SLOW_8x8_R50.yaml")) | {"RESNET.WIDTH_PER_GROUP": 8}
    text = written([part for item in values.items() for part in item])
    state = from_avslowfast(build_model(parse_cfg(text, "x.pyth")).state_dict(), "pyslowfast")
    torch.save({"model_state": state, "cfg": text}, tmp_path / "mine.pyth")
    model, meta = avslowfast.load_model(tmp_path / "mine.pyth")
    assert meta.report.complete
    assert torch.equal(model.head.projection.weight, state["head.projection.weight"])
    assert (meta.cfg.MODEL.ARCH, meta.cfg.DATA.NUM_FRAMES) == ("slow", 8)


def test_what_pyslowfast_writes_for_charades_means_its_frames_and_colours():
    charades = ["TRAIN.DATASET", "charades", "TEST.DATASET", "charades", "DATA.MULTI_LABEL", True]
    charades += ["MODEL.LOSS_FUNC", "bce_logit", "MODEL.HEAD_ACT", "sigmoid", "DATA.NUM_FRAMES", 32]
    for reverse in (True, False):
        cfg = parse_cfg(written([*charades, "DATA.REVERSE_INPUT_CHANNEL", reverse]), "x.pyth")
        assert derived.is_bgr(cfg) != reverse
        assert (cfg.DATA.TARGET_FPS, cfg.DATA.USE_OFFSET_SAMPLING) == (24, True)


def test_rates_that_pyslowfast_has_multiplied_are_not_multiplied_again():
    cfg = parse_cfg(
        written(["NUM_SHARDS", 8, "SOLVER.BASE_LR", 0.8, "SOLVER.BASE_LR_SCALE_NUM_SHARDS", True]), "x.pyth"
    )
    assert (cfg.SOLVER.BASE_LR, cfg.SOLVER.BASE_LR_SCALE_NUM_SHARDS) == (0.8, False)


def test_unknown_keys_that_matter_are_listed_at_once():
    keys = ["TEST.NUM_TEMPORAL_CLIPS", [3, 5], "MODEL.DROPCONNECT_RATE", 0.2, "MVIT.DEPTH", 24, "MVIT.EMBED_DIM", 48]
    with pytest.raises(ConfigError) as error:
        parse_cfg(written([*keys, "MODEL.NUM_CLASES", 7]), "x.pyth")
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith("x.pyth: 5 unknown keys: ")
    assert message.endswith("; correct or remove them")
    for word in ("TEST.NUM_TEMPORAL_CLIPS (TEST.NUM_ENSEMBLE_VIEWS is", "MODEL.DROPCONNECT_RATE (",
                 "MVIT.* (Multiscale",
                 "did you mean MODEL.NUM_CLASSES?"):  # fmt: skip
        assert message.count(word) == 1, word


def test_keys_without_effect_are_left_out_and_said(caplog):
    assert parse_cfg(written(["DEMO.ENABLE", True, "TENSORBOARD.CLASS_NAMES_PATH", "x.json"]), "x.pyth").is_frozen()
    assert "left out, without effect here: " in caplog.text
    assert "DEMO.ENABLE" in caplog.text
    assert "TENSORBOARD.CLASS_NAMES_PATH (DATA.CLASS_NAMES_FILE has the names of the classes)" in caplog.text


def test_keys_that_are_left_out_are_none_of_this_project():
    assert not LEFT_OUT.keys() & TABLE.keys()
    assert tiny_cfg(*[part for item in LEFT_OUT.items() for part in item]) == tiny_cfg()


def test_the_defaults_that_are_left_out_are_pyslowfasts():
    old = {key for key in LEFT_OUT if key not in DEFAULTS}
    assert {key.split(".")[0] for key in old} == {"BN", "DATA", "EPICKITCHENS"}
    assert {key: LEFT_OUT[key] for key in LEFT_OUT.keys() - old} == {
        key: value for key, value in DEFAULTS.items() if key not in TABLE
    }


# ---- Meaning of single keys ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dataset", ["charades", "Charades", "ssv2", "kinetics", "ava", "epic100"])
@pytest.mark.parametrize("reverse", [False, True])
def test_reversed_channels_are_what_they_are_in_pyslowfast(dataset, reverse):
    cfg = tiny_cfg("TRAIN.DATASET", dataset, "DATA.REVERSE_INPUT_CHANNEL", reverse)
    assert derived.is_bgr(cfg) == (reverse and dataset.lower() not in ("charades", "ssv2"))


@pytest.mark.parametrize(("bgr", "reverse"), [(False, False), (False, True), (True, False), (True, True)])
def test_reversed_channels_of_ava_are_those_of_its_own_key_reversed(bgr, reverse):
    boxes = ["DETECTION.ENABLE", True, "SLOWFAST.AVS_FLAG", [False] * 5, "TRAIN.DATASET", "ava"]
    assert derived.is_bgr(tiny_cfg(*boxes, "AVA.BGR", bgr, "DATA.REVERSE_INPUT_CHANNEL", reverse)) == (bgr != reverse)


def test_a_data_set_brings_its_rate_only_where_nothing_sets_it():
    assert tiny_cfg("TRAIN.DATASET", "charades").DATA.TARGET_FPS == 24
    assert tiny_cfg("TRAIN.DATASET", "charades", "DATA.TARGET_FPS", 30).DATA.TARGET_FPS == 30
    assert tiny_cfg("TRAIN.DATASET", "kinetics", "TEST.DATASET", "charades").DATA.TARGET_FPS == 30
    assert parse_cfg("TEST: {DATASET: charades}", "x.yaml").DATA.TARGET_FPS == 24


STEPPED = ["SOLVER.LR_POLICY", "steps_with_relative_lrs", "SOLVER.MAX_EPOCH", 20, "SOLVER.LRS", [1, 0.1, 0.01, 0.001]]


@pytest.mark.parametrize(
    "steps, said",
    [
        ([0, 10, 5, 5], "[0, 10, 5, 5], which does not ascend; as PySlowFast reads it, SOLVER.BASE_LR is multiplied by "
                        "1 from epoch 0 on, 0.001 from epoch 10 on"),
        ([0, 15, 10], "1 from epoch 0 on, 0.01 from epoch 15 on"),
        ([0, 5, 5, 10], "1 from epoch 0 on, 0.01 from epoch 5 on, 0.001 from epoch 10 on"),
        ([0, 5, 10, 15], ""),
    ],
)  # fmt: skip
def test_steps_that_do_not_ascend_load_and_say_which_rate_is_in_force_when(caplog, steps, said):
    assert steps == tiny_cfg(*STEPPED, "SOLVER.STEPS", steps).SOLVER.STEPS
    assert said in caplog.text
    assert bool(said) == ("does not ascend" in caplog.text)
