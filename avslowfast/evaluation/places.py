"""Where the results of a test or a probe go, so that no other test overwrites them in silence."""

import os
from collections.abc import Mapping
from typing import Any

from ..checkpoint.record import read_record
from ..config import derived
from ..config.derived import Cfg
from ..config.errors import value_of
from ..config.kinds import Difference, kind_of, stored_values, values_of
from ..utils import distributed
from ..utils.errors import UserError
from ..utils.logging import get_logger
from ..utils.text import listed, read_text

logger = get_logger(__name__)

_VIEWS = ("TEST.NUM_ENSEMBLE_VIEWS", "TEST.NUM_SPATIAL_CROPS")
# Nodes whose keys change the results of a test, though not the network; of these the keys that do not.
_OF_TESTS = ("TEST", "AVA", "EPIC100", "PROBE", "DATA")
_OF_NO_RESULT = ("TEST.ENABLE", "TEST.BATCH_SIZE", "TEST.SAVE_RESULTS_PATH")


def folder_of_results(cfg: Cfg, name: str) -> str:
    """Where a test or probe writes. Called on every rank.

    OUTPUT_DIR is for the test of the test split after a training, or without one; what else is tested has a folder of
    its own in it, and so has a test or a probe alone where a training's results are there. Other views or weights than
    the run's own, or than those of the first test in a folder without a run, are part of the folder's name.

    Args:
        cfg: The configuration.
        name: "test" or "probe".
    """
    return os.path.join(cfg.OUTPUT_DIR, _name(cfg, name)).rstrip(os.sep)


def scores_path(cfg: Cfg) -> str:
    """TEST.SAVE_RESULTS_PATH, with the name of the test behind it where it is not the run's own; "" without the key.

    Args:
        cfg: The configuration.
    """
    path = str(cfg.TEST.SAVE_RESULTS_PATH)
    name = _name(cfg, "test") if path else ""
    return path if name in ("", "test") else f"{path}_{name}"


def _name(cfg: Cfg, kind: str) -> str:
    """The folder in OUTPUT_DIR, e.g. test_val_5x1_best; "" for OUTPUT_DIR itself."""
    part = derived.tested_part(cfg) if kind == "test" else ""
    if kind == "test" and cfg.TRAIN.ENABLE:
        # What it is trained with is the run's own.
        return part
    return distributed.on_main(lambda: _name_beside(cfg, kind, part))


def _name_beside(cfg: Cfg, kind: str, part: str) -> str:
    record = read_record(cfg.OUTPUT_DIR)
    base = part or (kind if record is not None else "")
    own = record.configuration if record is not None else _earlier_values(os.path.join(cfg.OUTPUT_DIR, base))
    further = [] if own is None else [*_views(cfg, own), *_weights(cfg, own)]
    return "_".join([base or kind, *further]) if further else base


def _views(cfg: Cfg, own: Mapping[str, Any]) -> list[str]:
    """["5x1"] where the run's own views are others."""
    keys = _VIEWS if "slow" in derived.pathways(cfg) else _VIEWS[:1]
    new = {key: value_of(cfg, key) for key in keys}
    if derived.task_facts(cfg).boxes or all(own.get(key, value) == value for key, value in new.items()):
        return []
    return ["{}x{}".format(*derived.tested_views(cfg))]


def _weights(cfg: Cfg, own: Mapping[str, Any]) -> list[str]:
    """What the tested weights are called where they are not the run's own choice."""
    path, best = str(cfg.TEST.CHECKPOINT_FILE_PATH), bool(cfg.TEST.USE_BEST)
    own_path, own_best = own.get("TEST.CHECKPOINT_FILE_PATH", path), own.get("TEST.USE_BEST", best)
    if path:
        return [derived.name_of_file(path)] if path != own_path else []
    return ["best" if best else "newest"] if own_path or best != own_best else []


def _earlier_values(folder: str) -> dict[str, Any] | None:
    """The configuration of the test whose results are in a folder; None where there are none, or it is lost."""
    if not os.path.isfile(os.path.join(folder, "results.json")):
        return None
    path = os.path.join(folder, "config.yaml")
    try:
        return stored_values(read_text(path), path)
    except (OSError, UserError):
        return None


def say_replaced(cfg: Cfg, folder: str) -> None:
    """Log what the earlier test in a folder had otherwise, whose results are replaced. Main rank alone.

    Args:
        cfg: The configuration of the new test.
        folder: Of the results.
    """
    old, new = _earlier_values(folder) or {}, values_of(cfg)
    changed = [
        Difference(key, old[key], new[key])
        for key in sorted(old.keys() & new.keys())
        if old[key] != new[key] and changes_results(key)
    ]
    if changed:
        logger.warning("%s: the results of an earlier test are replaced, which had %s", folder, listed(changed))


def changes_results(key: str) -> bool:
    """Whether the results of a test of given weights depend on a key."""
    kind = kind_of(key)
    return kind == "identity" or (kind == "harmless" and key.split(".")[0] in _OF_TESTS and key not in _OF_NO_RESULT)
