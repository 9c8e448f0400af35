"""Settings that are chosen from the number of videos."""

import pytest

from avslowfast.config import load_cfg
from avslowfast.preparation.recipe import choose, Counts


def counts(train, val=2, test=0, silent=0):
    names = [f"class {i}" for i in range(len(train))]
    return Counts(dict(zip(names, train)), dict.fromkeys(names, val), dict.fromkeys(names, test), silent)


def chosen(number, *given, weights=True, gpus=0, name="AVSLOWFAST_8x8_R50"):
    """({key: value}, notes)."""
    cfg = load_cfg(f"OwnVideos/{name}", [*given, "MODEL.NUM_CLASSES", len(number.train)])
    choices, notes = choose(cfg, given[::2], number, weights, gpus, 2)
    # Every choice is one that the configuration takes, and says why.
    load_cfg(f"OwnVideos/{name}", [word for choice in choices for word in (choice.key, choice.value)])
    assert all(choice.why and choice.key not in given for choice in choices)
    return {choice.key: choice.value for choice in choices}, " ".join(notes)


@pytest.mark.parametrize(
    "train, batch, epochs",
    [([1, 1], 2, 60), ([3, 3], 2, 60), ([3, 3, 3], 4, 60), ([9, 9, 9], 8, 60), ([50, 50], 8, 20), ([2000] * 3, 8, 20)],
)
def test_batches_and_epochs_follow_the_number_of_videos(train, batch, epochs):
    keys, _ = chosen(counts(train))
    assert keys.get("TRAIN.BATCH_SIZE", 8) == batch <= sum(train) and keys["SOLVER.MAX_EPOCH"] == epochs
    # Learning rates are scaled where the batch is another one than theirs.
    assert keys.get("SOLVER.BASE_LR_FOR_BATCH") == (8 if batch < 8 else None)


def test_few_videos_leave_the_loaded_pathways_as_they_are_and_choose_no_state():
    few, notes = chosen(counts([9, 9, 9]))
    assert few["FINETUNE.FREEZE"] == ["slow", "fast"] and few["TRAIN.EVAL_PERIOD"] == few["SOLVER.MAX_EPOCH"]
    assert "DATA.BALANCE" not in few and "too good" not in notes and "random weights" not in notes
    many, notes = chosen(counts([100, 100], val=30))
    assert "FINETUNE.FREEZE" not in many and many["TRAIN.EVAL_PERIOD"] < many["SOLVER.MAX_EPOCH"]
    assert "slightly too good" in notes
    assert "too good" not in chosen(counts([100, 100], val=30, test=30))[1]
    scratch, notes = chosen(counts([9, 9, 9]), weights=False)
    assert "FINETUNE.FREEZE" not in scratch and "from these 27 videos alone" in notes


def test_uneven_classes_are_balanced():
    assert chosen(counts([20, 4]))[0]["DATA.BALANCE"] == "sampling"
    assert "DATA.BALANCE" not in chosen(counts([20, 4]), weights=False)[0]
    # A class that is validated alone has nothing to balance.
    assert "DATA.BALANCE" not in chosen(counts([5, 4, 0]))[0]


def test_without_any_sound_there_is_no_audio_pathway():
    keys, _ = chosen(counts([9, 9], val=1, silent=20))
    assert keys["MODEL.ARCH"] == "slowfast"
    keys, notes = chosen(counts([9, 9], val=1, silent=3))
    assert "MODEL.ARCH" not in keys and "3 videos without sound" in notes


def test_a_machine_without_gpu_computes_less():
    cpu, notes = chosen(counts([9, 9]))
    assert (cpu["NUM_GPUS"], cpu["TRAIN.MIXED_PRECISION"], cpu["DATA_LOADER.NUM_WORKERS"]) == (0, False, 2)
    assert cpu["TEST.NUM_ENSEMBLE_VIEWS"] * cpu["TEST.NUM_SPATIAL_CROPS"] == 3 and "on a CPU" in notes
    gpu, notes = chosen(counts([9, 9]), gpus=1)
    assert gpu["NUM_GPUS"] == 1 and not {"TRAIN.MIXED_PRECISION", "TEST.NUM_ENSEMBLE_VIEWS"} & gpu.keys()
    assert "CPU" not in notes
    assert "on a CPU" not in chosen(counts([9, 9]), name="AVSLOWFAST_TINY")[1]


def test_what_a_person_gives_stays_and_the_rest_follows_it():
    keys, _ = chosen(counts([9, 9, 9]), "SOLVER.MAX_EPOCH", 5, "TRAIN.BATCH_SIZE", 2, "DATA.BALANCE", "weights")
    assert not {"SOLVER.MAX_EPOCH", "TRAIN.BATCH_SIZE"} & keys.keys()
    assert keys["TRAIN.EVAL_PERIOD"] == 5 and keys["TRAIN.CHECKPOINT_PERIOD"] == 1
    assert keys["SOLVER.WARMUP_EPOCHS"] == 0.5 and chosen(counts([9, 9]))[0]["SOLVER.WARMUP_EPOCHS"] == 2
