"""Which weights a test or a training starts from, and whether they were made for what they get to see."""

import os
import re
from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from ..checkpoint import class_names_of, load_content, read_checkpoint, require
from ..checkpoint.record import BestEntry, read_record, resolve, RunRecord, StateEntry
from ..checkpoint.states import read_state
from ..config import ConfigError
from ..config.derived import Cfg, is_bgr, pathways
from ..config.kinds import differences, stored_values, values_of
from ..config.table import get_cfg
from ..datasets.base import ClassNames, names_difference
from ..models.network import Network
from ..models.norm import FrozenBatchNorm
from ..utils.logging import get_logger
from ..utils.text import listed
from .sharing import on_every_rank

logger = get_logger(__name__)

# Keys under which weights make no sense with another value than they were trained with: order of the channels, what a
# column and a row of the spectrogram is.
_CHANNEL_ORDER = ("DATA.REVERSE_INPUT_CHANNEL", "DATA.USE_BGR_ORDER", "AVA.BGR")
# Parts of a network that belong to audio, by their names.
_OF_AUDIO = re.compile(r"^(?:pathways\.audio|audio_laterals|sync_heads)\.")
_SPECTROGRAM = ("DATA.AUDIO_MEL_NUM", "DATA.AUDIO_SAMPLE_RATE", "DATA.AUDIO_WIN_SZ", "DATA.AUDIO_STEP_SZ")


def read_weights(choose: Callable[[], tuple[str, Any]]) -> tuple[str, Any]:
    """(file, content) of the checkpoint that the main rank chooses, on every rank.

    Args:
        choose: Gives both; called on the main rank.
    """
    found = on_every_rank(choose, read_checkpoint)
    assert found is not None
    return found


def read_path(path: str) -> tuple[str, Any]:
    """(file, content) of a checkpoint, or of the best or newest state of a run's folder."""
    file = resolve(path)
    return file, read_checkpoint(file)


def load_for_test(cfg: Cfg, model: Network, required: str, names: ClassNames = None) -> tuple[str, ClassNames]:
    """Load the weights to test.

    These are TEST.CHECKPOINT_FILE_PATH, else the newest (or best) state of the run in OUTPUT_DIR, else the start
    weights.

    Args:
        cfg: The configuration.
        model: Gets the weights.
        required: What of the checkpoint the task depends on (`Task.required_weights`).
        names: Class names of the list that is tested; None where they are not compared.

    Returns:
        (path of the checkpoint, its class names or None).

    Raises:
        ConfigError: There is no checkpoint to test, or its weights were trained for other inputs or classes.
        CheckpointError: The checkpoint has not what is required.
    """
    path, content = read_weights(lambda: _weights_to_test(cfg))
    stored = class_names_of(content, path)
    warn_of_other_inputs(cfg, content, path, refuse=True)
    _check_class_names(stored, names, path)
    require(load_content(model, content, path), required)
    return path, stored


def _weights_to_test(cfg: Cfg) -> tuple[str, Any]:
    """(file, content) of what `load_for_test` loads."""
    if cfg.TEST.CHECKPOINT_FILE_PATH:
        return read_path(cfg.TEST.CHECKPOINT_FILE_PATH)
    folder, record = cfg.OUTPUT_DIR, read_record(cfg.OUTPUT_DIR)
    if record is None or not record.states:
        if cfg.TEST.USE_BEST:
            raise ConfigError(f"TEST.USE_BEST is True: OUTPUT_DIR {folder!r} holds no run; train first")
        if not cfg.TRAIN.CHECKPOINT_FILE_PATH:
            raise ConfigError(
                f"OUTPUT_DIR is {folder!r}: no checkpoint in it to test; train first, or set TEST.CHECKPOINT_FILE_PATH"
            )
        return read_path(cfg.TRAIN.CHECKPOINT_FILE_PATH)
    if cfg.TEST.USE_BEST:
        if record.best is None:
            raise ConfigError(
                f"TEST.USE_BEST is True: validation has chosen no best state of the run {record.id} in {folder!r}; set "
                "it to False to test the newest one"
            )
        return _of_run(folder, record, record.best, "TEST.USE_BEST")
    return _of_run(folder, record, record.states[-1], "OUTPUT_DIR")


def _of_run(folder: str, record: RunRecord, entry: StateEntry | BestEntry, key: str) -> tuple[str, Any]:
    """(file, content) of a recorded state, which is there and is that state."""
    path = entry.path(folder)
    if not os.path.isfile(path):
        raise ConfigError(f"{path}: it is gone, but the run {record.id} has it in its record ({key}); restore it")
    content = read_state(path)
    if (content["run_id"], content["epoch"]) != (record.id, entry.epoch):
        raise ConfigError(
            f"{path}: it is the state of epoch {content['epoch']} of the run {content['run_id']}, not of epoch "
            f"{entry.epoch} of {record.id}, as the record says ({key}); restore it"
        )
    return path, content


def warn_of_other_inputs(cfg: Cfg, content: Any, path: str, refuse: bool = False) -> None:
    """Compare what weights were trained to see with what they will see.

    Args:
        cfg: The present configuration.
        content: Of the checkpoint; one without a configuration says nothing.
        path: Of the checkpoint.
        refuse: Whether weights that cannot make sense are refused; otherwise all differences are warned of.

    Raises:
        ConfigError: Order of the channels or spectrogram differ, and `refuse`.
    """
    text = content.get("cfg") if isinstance(content, dict) else None
    if not isinstance(text, str):
        return
    try:
        old, new = stored_values(text, "its configuration"), values_of(cfg)
    except ConfigError as error:
        logger.warning("%s: what it was trained with is not compared: %s", path, error)
        return
    visual = any(name != "audio" for name in pathways(cfg))
    senseless = [key for key in _SPECTROGRAM if "audio" in pathways(cfg) and old.get(key, new[key]) != new[key]]
    if visual and is_bgr(get_cfg(old)) != is_bgr(cfg):
        keys = [key for key in _CHANNEL_ORDER if old.get(key, new[key]) != new[key]]
        if is_bgr(get_cfg({**new, **{key: old[key] for key in keys}})) != is_bgr(cfg):
            senseless += keys
        else:
            # DATA.REVERSE_INPUT_CHANNEL means another order on the data set that they were trained on.
            orders = ("R, G, B", "B, G, R") if is_bgr(cfg) else ("B, G, R", "R, G, B")
            problem = f"{path}: trained with channels in the order {orders[0]}, but they are {orders[1]} here"
            if refuse:
                raise ConfigError(f"{problem}; set DATA.USE_BGR_ORDER to {not new['DATA.USE_BGR_ORDER']}")
            logger.warning("%s", problem)
    differing = differences(old, new, "identity")
    if senseless and refuse:
        key = senseless[0]
        raise ConfigError(
            f"{path}: trained with {key} {old.get(key)!r}, but it is {new[key]!r} here; set {key} to {old.get(key)!r}"
        )
    seen = [str(item) for item in differing if item.key.startswith(("DATA.", "AVA.", "MODEL.", "SLOWFAST."))]
    if seen:
        logger.warning("%s was trained with other values of %s", path, listed(seen, 8))


def _check_class_names(stored: Any, names: ClassNames, path: str) -> None:
    """Whether the classes of a checkpoint are those of the list that is tested."""
    if not stored or not names or stored == names:
        return
    difference = "{} in it and {} in the list".format(*names_difference(stored, names))
    raise ConfigError(
        f"{os.fspath(path)}: other class names than the list's ({difference}); set DATA.CLASS_NAMES_FILE to the names "
        "it was trained with, or test with its own list"
    )


def warn_of_fresh_frozen(model: nn.Module, loaded: Sequence[str]) -> None:
    """Say which frozen batch norms would never learn the statistics that they have not been given.

    Args:
        model: The network.
        loaded: Names of its tensors that came from a file.
    """
    given = set(loaded)
    frozen = [name for name, module in model.named_modules() if isinstance(module, FrozenBatchNorm)]
    fresh = [name for name in frozen if f"{name}.running_mean" not in given]
    if fresh:
        of_audio = all(_OF_AUDIO.match(name) for name in fresh)
        remedy = (
            "BN.AUDIO_NORM_TYPE batchnorm lets those of audio learn" if of_audio else "BN.NORM_TYPE batchnorm lets them"
        )
        logger.warning(
            "%d of %d frozen batch norms have no statistics from a file and will not learn any (the first: %s); %s",
            len(fresh),
            len(frozen),
            fresh[0],
            remedy,
        )
