"""Multigrid's schedules and shapes: those of PySlowFast's three files, and what holds for every recipe."""

import copy
import json

import pytest
import yaml
from helpers import published, ROOT, tiny_cfg

from avslowfast.config import ConfigError, derived, load_cfg, parse_cfg
from avslowfast.config.multigrid import norm_parts, Recipe, schedule

GOLDEN = json.loads((ROOT / "tests/golden/multigrid.json").read_text())
CASES = GOLDEN["cases"]
NAMES = [f"{case['yaml']}, {'short' * case['short']} {'long' * case['long']}" for case in CASES]
LONG = ["MULTIGRID.LONG_CYCLE", True]
# Steps that a long cycle can divide.
STEPS = ["SOLVER.LR_POLICY", "steps_with_relative_lrs", "SOLVER.STEPS", [0, 4], "SOLVER.LRS", [1, 0.1]]


def cfg_of(case):
    cycles = ["MULTIGRID.SHORT_CYCLE", case["short"], "MULTIGRID.LONG_CYCLE", case["long"]]
    return published.load("PySlowFast", f"configs/{case['yaml']}.yaml", cycles)


def recipe(**changes):
    values = {"frames": 32, "crop": 224, "sampling_rate": 2, "steps": (0, 94, 154, 196), "rates": (1, 0.1, 0.01, 0.001)}
    factors = ((0.25, 0.5**0.5), (0.5, 0.5**0.5), (0.5, 1), (1, 1))
    return Recipe(**{**values, "max_epoch": 239, "long_factors": factors, "short_factors": (0.5, 0.5**0.5), **changes})


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_schedules_and_shapes_are_pyslowfasts(case):
    cfg = cfg_of(case)
    made = derived.schedule(cfg)
    if "reference" in case:
        # PySlowFast has no long cycle alone; its shapes are those of both cycles.
        both = derived.schedule(cfg_of({**case, "short": True}))
        assert {phase.shape for phase in made.phases} == {phase.shape for phase in both.phases}
        assert abs(made.max_epoch - both.max_epoch) <= 1
        return
    assert made.max_epoch == case["MAX_EPOCH"]
    assert list(made.steps) == case["STEPS"]
    # PySlowFast takes powers of SOLVER.GAMMA in place of SOLVER.LRS, and 0.1 ** 2 is not the number nearest to 0.01.
    assert list(made.rates) == pytest.approx(case["LRS"], rel=1e-15)
    if case["schedule"]:
        ends = dict.fromkeys(end for _, _, end in case["schedule"])
        assert [(phase.step, list(phase.shape[:3]), phase.end) for phase in made.phases] == [
            next((step, shape, end) for step, shape, end in case["schedule"] if end == wanted) for wanted in ends
        ]
    for row in case["epochs"]:
        _check_epoch(cfg, made, row)


def _check_epoch(cfg, made, row):
    """What PySlowFast has from an epoch on."""
    phase = made.phase(row["from_epoch"])
    shape, cycle, clips = phase.shape, phase.cycle, cfg.TRAIN.BATCH_SIZE * phase.shape.batch
    assert (clips, shape.frames, shape.crop) == (row["batch"], row["frames"], row["crop"])
    assert shape.longest_rate == row["sampling_rate"]
    assert [other.batch // shape.batch for other in cycle] == row["short_cycle_batch_factors"]
    assert [other.crop for other in cycle] == row["short_cycle_crops"]
    assert {other.frames for other in cycle} == {shape.frames}
    if cfg.MULTIGRID.LONG_CYCLE:
        parts = derived.norm_parts(cfg, shape, cfg.NUM_GPUS)
        assert parts.kind == row["norm"]
        # The number that the kind does not use is left over from an earlier epoch in PySlowFast.
        assert row["norm"] != "sub_batchnorm" or parts.splits == row["splits"]
        assert row["norm"] != "sync_batchnorm" or parts.sync_devices == row["sync_devices"]
    else:
        assert cfg.BN.NORM_TYPE in (row["norm"], "sync_batchnorm")


def test_the_defaults_are_pyslowfasts():
    cfg = tiny_cfg()
    assert {key: cfg.MULTIGRID[key] for key in GOLDEN["defaults"]} == GOLDEN["defaults"]


@pytest.mark.parametrize("short", [(), (0.5, 0.5**0.5), (0.25,)])
@pytest.mark.parametrize("crop", [224, 0])
def test_every_step_has_about_the_same_work(short, crop):
    made = schedule(recipe(short_factors=short, crop=crop))
    for shape in made.shapes:
        size = shape.frames * (shape.crop / 224) ** 2 if crop else shape.frames
        assert shape.batch * size / 32 == pytest.approx(1, abs=0.02)
        # Clips cover at most what configured ones do, and clips with all frames cover all of it.
        assert shape.longest_rate * shape.frames == 64


def test_every_epoch_belongs_to_a_phase_and_rates_follow_the_batch():
    made = schedule(recipe())
    for epoch in range(made.max_epoch):
        phase = made.phase(epoch)
        rate = made.rates[derived.step_at(epoch, made.steps)]
        fine_tuning = phase is made.phases[-1] and epoch < made.steps[-1]
        assert rate == pytest.approx(phase.shape.batch * 0.1 ** (phase.step - fine_tuning))
    assert [made.is_evaluated(phase.end) for phase in made.phases] == [True] * len(made.phases)
    assert 2 * len(made.phases) <= sum(map(made.is_evaluated, range(1, made.max_epoch + 1))) <= 4 * len(made.phases)


def test_without_multigrid_there_is_one_shape():
    made = derived.schedule(tiny_cfg("TRAIN.EVAL_PERIOD", 3, "SOLVER.MAX_EPOCH", 7))
    assert (len(made.phases), made.shapes, made.max_epoch) == (1, ((1, 8, 48, 4),), 7)
    assert [done for done in range(1, 8) if made.is_evaluated(done)] == [3, 6, 7]


@pytest.mark.parametrize(
    "clips, kind, count",
    [(64, "sub_batchnorm", 8), (8, "batchnorm", 1), (4, "sync_batchnorm", 2), (20, "sub_batchnorm", 2)],
)
def test_batch_norm_sees_the_base_number_of_clips(clips, kind, count):
    parts = norm_parts(clips, 8)
    assert (parts.kind, max(parts)) == (kind, count)


def test_ranks_that_cannot_be_grouped_share_among_fewer():
    cfg = tiny_cfg(*LONG, *STEPS, "TRAIN.BATCH_SIZE", 6, "NUM_CPU_PROCESSES", 6)
    full = derived.schedule(cfg).recipe.full
    assert derived.norm_parts(cfg, full, 6).sync_devices == 6
    assert derived.norm_parts(cfg, full, 1) == (1, 1)


@pytest.mark.parametrize(
    "overrides, words",
    [
        (LONG, ["MULTIGRID.LONG_CYCLE", "SOLVER.LR_POLICY", "SHORT_CYCLE alone"]),
        ([*LONG, *STEPS, "SOLVER.STEPS", [0], "SOLVER.LRS", [1]], ["MULTIGRID.LONG_CYCLE", "SOLVER.STEPS is [0.0]"]),
        ([*LONG, *STEPS, "SOLVER.MAX_EPOCH", 4], ["MULTIGRID.LONG_CYCLE", "below SOLVER.MAX_EPOCH 4"]),
        ([*LONG, *STEPS, "DATA.LOGMEL_ON_DEVICE", True], ["DATA.LOGMEL_ON_DEVICE", "set it to False"]),
        ([*LONG, *STEPS, "SLOWFAST.ALPHA", 4, "SLOWFAST.AU_ALPHA", 32], ["LONG_CYCLE_FACTORS", "2x34x34", "ALPHA"]),
        ([*LONG, *STEPS, "MULTIGRID.LONG_CYCLE_FACTORS", [[1, 0.5]]], ["LONG_CYCLE_FACTORS", "8x24x24", "32 or more"]),
        (["MULTIGRID.SHORT_CYCLE", True], ["SHORT_CYCLE_FACTORS", "8x24x24", "32 or more"]),
        (["MULTIGRID.SHORT_CYCLE_FACTORS", [1.5]], ["SHORT_CYCLE_FACTORS", "1.5"]),
        (["MULTIGRID.LONG_CYCLE_FACTORS", [[0.5]]], ["LONG_CYCLE_FACTORS", "2 values"]),
        (["MULTIGRID.EPOCH_FACTOR", 0.01, "MULTIGRID.SHORT_CYCLE", True], ["MULTIGRID.EPOCH_FACTOR", "no epoch"]),
    ],
)  # fmt: skip
def test_recipes_that_cannot_work_are_named(overrides, words):
    with pytest.raises(ConfigError) as error:
        tiny_cfg(*overrides)
    assert "\n" not in str(error.value)
    assert [word for word in words if word not in str(error.value)] == [], str(error.value)


def test_what_pyslowfast_writes_in_a_run_with_multigrid_is_its_network():
    case = CASES[0]
    cfg = cfg_of(case)
    first = case["epochs"][0]
    written = copy.deepcopy(published.values_of("PySlowFast", f"configs/{case['yaml']}.yaml"))
    written["MULTIGRID"] |= {"DEFAULT_B": 64, "DEFAULT_T": 32, "DEFAULT_S": 224, "LONG_CYCLE_SAMPLING_RATE": 8}
    written["DATA"] |= {"NUM_FRAMES": first["frames"], "TRAIN_CROP_SIZE": first["crop"]}
    written["TRAIN"]["BATCH_SIZE"] = first["batch"]
    written["SOLVER"] |= {"STEPS": case["STEPS"], "LRS": case["LRS"], "MAX_EPOCH": case["MAX_EPOCH"]}
    theirs = parse_cfg(yaml.safe_dump(written), "x.pyth")
    assert theirs.DATA == cfg.DATA
    assert theirs.TRAIN.BATCH_SIZE == 64
    made = derived.schedule(theirs)
    assert (made.max_epoch, made.steps, made.is_multigrid) == (358, tuple(case["STEPS"]), False)


@pytest.mark.parametrize("name", ["AVSLOWFAST_8x8_R50_stepwise_multigrid", "AVSLOWFAST_4x16_R50_stepwise_multigrid"])
def test_audio_meets_slow_in_every_shape_of_the_audiovisual_files(name):
    cfg = load_cfg(f"Kinetics/{name}")
    made = derived.schedule(cfg)
    assert {shape.frames for shape in made.shapes} == {8, 16, 32}
    for shape in made.shapes:
        slow = shape.frames // cfg.SLOWFAST.ALPHA
        assert derived.spectrogram_frames(cfg, shape) == cfg.SLOWFAST.AU_ALPHA * slow
