"""Which weights a test loads."""

import os

from ..checkpoint import class_names_of, load_content, read_checkpoint, require, states
from ..config import ConfigError
from ..config.derived import Cfg
from ..datasets.base import ClassNames
from ..models.network import Network


def load_for_test(cfg: Cfg, model: Network, required: str) -> tuple[str, ClassNames]:
    """Load the weights to test.

    These are TEST.CHECKPOINT_FILE_PATH, else the run's newest (or best) state, else the start weights.

    Args:
        cfg: The configuration.
        model: Gets the weights.
        required: What of the checkpoint the task depends on (`Task.required_weights`).

    Returns:
        (path of the checkpoint, its class names or None).

    Raises:
        ConfigError: There is no checkpoint to test.
        CheckpointError: The checkpoint has not what is required.
    """
    path, content = cfg.TEST.CHECKPOINT_FILE_PATH, None
    if not path and cfg.TEST.USE_BEST and os.path.isfile(states.best_path(cfg.OUTPUT_DIR)):
        path = states.best_path(cfg.OUTPUT_DIR)
    if not path:
        path, content = states.load_newest(cfg.OUTPUT_DIR, lambda state: states.mismatch(model, state))
    path = path or cfg.TRAIN.CHECKPOINT_FILE_PATH
    if not path:
        raise ConfigError(
            f"OUTPUT_DIR is {cfg.OUTPUT_DIR!r}: no checkpoint in it to test; train first, or set "
            "TEST.CHECKPOINT_FILE_PATH"
        )
    path = states.resolve(path)
    content = content or read_checkpoint(path)
    require(load_content(model, content, path), required)
    return path, class_names_of(content, path)
