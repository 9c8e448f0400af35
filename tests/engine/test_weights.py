"""What weights were trained to see, compared with what they will see."""

import logging

import pytest
from helpers import tiny_cfg

from avslowfast.config import ConfigError
from avslowfast.engine.weights import warn_of_other_inputs


def test_weights_of_the_same_configuration_say_nothing(caplog):
    cfg = tiny_cfg()
    with caplog.at_level(logging.WARNING, logger="avslowfast"):
        warn_of_other_inputs(cfg, {"cfg": cfg.dump()}, "x.pyth", refuse=True)
    assert caplog.text == ""


@pytest.mark.parametrize("key", ["DATA.REVERSE_INPUT_CHANNEL", "DATA.USE_BGR_ORDER"])
def test_channels_in_another_order_are_refused(key):
    content = {"cfg": tiny_cfg(key, True).dump()}
    with pytest.raises(ConfigError, match=f"x.pyth: trained with {key} True, but it is False here"):
        warn_of_other_inputs(tiny_cfg(), content, "x.pyth", refuse=True)


def test_two_keys_for_the_same_order_are_the_same(caplog):
    content = {"cfg": tiny_cfg("DATA.USE_BGR_ORDER", True).dump()}
    with caplog.at_level(logging.WARNING, logger="avslowfast"):
        warn_of_other_inputs(tiny_cfg("DATA.REVERSE_INPUT_CHANNEL", True), content, "x.pyth", refuse=True)
    assert "DATA.USE_BGR_ORDER (True, now False)" in caplog.text


def test_a_configuration_in_a_checkpoint_that_cannot_be_read_is_said_and_the_weights_serve(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("avslowfast"), "propagate", True)
    lists = ["A0: &a0 [1, 1, 1, 1, 1, 1, 1, 1]"]
    lists += [f"A{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 8)}]" for i in range(1, 12)]
    content = {"cfg": "\n".join([*lists, "DATA: {MEAN: *a11}"])}
    warn_of_other_inputs(tiny_cfg(), content, "x.pyth", refuse=True)
    assert "x.pyth: what it was trained with is not compared: its configuration, line 5: a list of more" in caplog.text


def test_a_key_that_means_another_order_on_another_data_set_is_seen(caplog):
    content = {"cfg": tiny_cfg("TRAIN.DATASET", "charades", "DATA.REVERSE_INPUT_CHANNEL", True).dump()}
    reverse = ["DATA.REVERSE_INPUT_CHANNEL", True]
    problem = "x.pyth: trained with channels in the order R, G, B, but they are B, G, R here"
    with pytest.raises(ConfigError, match=f"{problem}; set DATA.USE_BGR_ORDER to True"):
        warn_of_other_inputs(tiny_cfg(*reverse), content, "x.pyth", refuse=True)
    with caplog.at_level(logging.WARNING, logger="avslowfast"):
        warn_of_other_inputs(tiny_cfg(*reverse), content, "x.pyth")
    assert problem in caplog.text
    warn_of_other_inputs(tiny_cfg(*reverse, "DATA.USE_BGR_ORDER", True), content, "x.pyth", refuse=True)
