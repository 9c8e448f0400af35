"""What a change of a key means for a run that has begun."""

import pytest

from avslowfast.config import ConfigError
from avslowfast.config.kinds import differences, is_listed, kind_of, stored_values, values_of
from avslowfast.config.table import get_cfg, TABLE


@pytest.mark.parametrize("name", TABLE)
def test_every_key_has_a_kind(name):
    assert is_listed(name)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("MODEL.NUM_CLASSES", "identity"),
        ("DATA.AUDIO_MEL_NUM", "identity"),
        ("SLOWFAST.ALPHA", "identity"),
        ("SOLVER.WEIGHT_DECAY", "recipe"),
        ("TRAIN.BATCH_SIZE", "recipe"),
        ("DATA.BALANCE", "recipe"),
        ("MODEL.LABEL_SMOOTHING", "recipe"),
        ("DATA_LOADER.NUM_WORKERS", "harmless"),
        ("DATA.PATH_TO_DATA_DIR", "harmless"),
        ("MY_PLUGIN.GAIN", "identity"),
    ],
)
def test_kinds_of_some_keys(name, kind):
    assert kind_of(name) == kind


def test_a_configuration_and_its_dump_do_not_differ():
    cfg = get_cfg()
    assert values_of(cfg) == stored_values(cfg.dump(), "the text")


def test_differences_name_the_key_and_both_values():
    old, new = values_of(get_cfg()), {**values_of(get_cfg()), "MODEL.NUM_CLASSES": 7, "SOLVER.BASE_LR": 0.5}
    assert [str(d) for d in differences(old, new, "identity")] == ["MODEL.NUM_CLASSES (400, now 7)"]
    assert [d.key for d in differences(old, new, "recipe")] == ["SOLVER.BASE_LR"]


def test_keys_that_one_of_the_two_does_not_have_are_left_out():
    assert differences({"A.B": 1}, {"C.D": 2}, "identity") == []


def test_a_stored_value_that_its_key_does_not_take_any_more_is_a_difference():
    old = stored_values("SOLVER: {MOMENTUM: 7}\nNO_SUCH: {KEY: 1}\n", "the text")
    assert old == {"SOLVER.MOMENTUM": "7"}
    assert [d.key for d in differences(old, values_of(get_cfg()), "recipe")] == ["SOLVER.MOMENTUM"]


def test_a_stored_text_that_would_grow_is_refused():
    lists = ["A0: &a0 [1, 1, 1, 1, 1, 1, 1, 1]"]
    lists += [f"A{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 8)}]" for i in range(1, 12)]
    with pytest.raises(ConfigError, match="a list of more than 10000 values"):
        stored_values("\n".join([*lists, "DATA: {MEAN: *a11}"]), "the text")
