"""The folder of a run: whose it is, whether a training may resume in it, and what is written into it."""

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import simplejson
import torch

from .. import __version__
from ..checkpoint import CheckpointError, states
from ..checkpoint.mirror import restore, Store
from ..checkpoint.record import BestEntry, is_of_run, read_record, Retention, RunRecord, StateEntry
from ..config import ConfigError
from ..config.derived import Cfg
from ..config.kinds import Difference, differences, values_of
from ..datasets.base import ClassNames, names_difference
from ..loading import ClipDataset
from ..utils import distributed
from ..utils.files import paths_in, sweep
from ..utils.lock import batch_job, FolderLock, is_restart_of, starts_again
from ..utils.logging import get_logger
from ..utils.text import listed
from .state import TrainState

logger = get_logger(__name__)

PREVIOUS = "previous"
_MOVING = ".moving"


@dataclass(frozen=True)
class RunData:
    """What a training learns from, for the comparison with what a folder holds.

    Attributes:
        class_names: Of the training list.
        lists: {split: {"records": number, "fingerprint": text}}.
    """

    class_names: ClassNames
    lists: dict[str, dict[str, Any]]

    @classmethod
    def of(cls, datasets: Mapping[str, ClipDataset]) -> "RunData":
        """That of the videos that are trained and validated on, by split."""
        lists = {
            split: {"records": len(datasets[split]), "fingerprint": datasets[split].listing.fingerprint()}
            for split in ("train", "val")
        }
        # As the record gives them back, whatever sequences a reader used.
        return cls(simplejson.loads(simplejson.dumps(datasets["train"].class_names)), lists)


@dataclass(frozen=True)
class FolderPlan:
    """What a training does with its folder.

    Attributes:
        resumed: The run that is resumed; None for a new one.
        replaced: The run that is moved away first.
        recipe: Keys of the recipe that are not what they were when the resumed run was last started.
    """

    resumed: RunRecord | None = None
    replaced: RunRecord | None = None
    recipe: Sequence[Difference] = ()

    @property
    def says(self) -> str:
        """The plan in words."""
        if self.replaced is not None:
            return f"the run {self.replaced.id} would be moved away, and a new one begin"
        if self.resumed is None:
            return "a new run would begin"
        changed = f"; the recipe has changed: {', '.join(map(str, self.recipe))}" if self.recipe else ""
        return f"the run {self.resumed.id} would be resumed{changed}"


class RunFolder:
    """OUTPUT_DIR of one run. Ranks other than the main one hold a copy of the record and write nothing.

    Args:
        output_dir: The folder.
        record: Of the run.
        recipe: Keys of the recipe that are not what they were when the run was last started.
    """

    def __init__(self, output_dir: str, record: RunRecord, recipe: Sequence[Difference] = ()) -> None:
        self.output_dir = output_dir
        self.record = record
        self.recipe = tuple(recipe)

    @classmethod
    def open(cls, cfg: Cfg, data: RunData, plan: FolderPlan, device: torch.device) -> "RunFolder":
        """The folder of a training, begun as planned. Called on every rank.

        Args:
            cfg: The configuration.
            data: What is learnt from.
            plan: What `plan` said.
            device: Of this rank.
        """
        return distributed.on_main(lambda: cls._open(cfg, data, plan, device))

    @classmethod
    def _open(cls, cfg: Cfg, data: RunData, plan: FolderPlan, device: torch.device) -> "RunFolder":
        folder = cfg.OUTPUT_DIR
        if plan.replaced is not None:
            move_away(folder, plan.replaced)
        values = values_of(cfg)
        record = plan.resumed or RunRecord(new_id(), values)
        record.configuration, record.class_names, record.data = values, data.class_names, data.lists
        record.starts.append(facts_of_start(device))
        opened = cls(folder, record, plan.recipe)
        names = os.listdir(folder) if os.path.isdir(folder) else []
        ours = [os.path.join(folder, name) for name in names if is_of_run(name)]
        for place in (folder, *filter(os.path.isdir, ours)):
            for path in sweep(paths_in(place)):
                logger.info("%s: left by a process that was killed; removed", path)
        record.write(folder)
        return opened

    @staticmethod
    def plan(cfg: Cfg, data: RunData) -> FolderPlan:
        """What a training would do with OUTPUT_DIR; nothing is changed. Called on every rank.

        Args:
            cfg: The configuration.
            data: What is learnt from.

        Raises:
            ConfigError: The folder holds another run.
        """
        return distributed.on_main(lambda: _plan(cfg, data))

    def candidates(self) -> list[str]:
        """Files of the run's states, newest first, and at last the best one."""
        best = self.record.best_file(self.output_dir)
        return self.record.files(self.output_dir)[::-1] + ([best] if best else [])

    def save(self, content: states.State, state: TrainState, retention: Retention) -> str:
        """Write a state and remove old ones. Main rank alone.

        The record names a state before its file is there, so that no kill leaves one that the record does not know.

        Args:
            content: What `Trainer.state_dict` gave.
            state: Of the training.
            retention: Which states stay.

        Returns:
            The file.

        Raises:
            StateNotSavedError: It cannot be written.
        """
        record, folder = self.record, self.output_dir
        path = states.checkpoint_path(folder, state.epoch, state.iteration)
        metric = state.best_metric if state.value is not None else ""
        entry = StateEntry(os.path.basename(path), state.epoch, state.iteration, metric, state.value)
        record.states = [other for other in record.states if other.file != entry.file] + [entry]
        record.write(folder)
        if state.improved and state.best is not None:
            # First the best: a state that names a best one finds it.
            states.save(content, states.best_path(folder))
            record.best = BestEntry(states.BEST, state.epoch, state.best_metric, state.best)
            states.link(states.best_path(folder), path)
        else:
            states.save(content, path)
        record.progress = {
            "epoch": state.epoch,
            "iteration": state.iteration,
            "iters_per_epoch": state.iters_per_epoch,
            "max_epoch": state.max_epoch,
        }
        there = [entry for entry in record.states if os.path.isfile(entry.path(folder))]
        kept = retention.kept(there)
        for old in there:
            if old not in kept:
                os.remove(old.path(folder))
        record.states = kept
        record.write(folder)
        return path

    def repair_best(self, path: str, stands_at: tuple[int, int], state: TrainState) -> None:
        """See to it that the best state is there after a resume. Called on every rank.

        Args:
            path: The state that was resumed.
            stands_at: Its epoch and iteration.
            state: Of the training, as resumed.
        """
        if state.best_epoch is not None and not distributed.on_main(lambda: self._has_best(path, stands_at, state)):
            logger.warning("the best state (epoch %d) is missing; the best is chosen again", state.best_epoch)
            state.best, state.best_epoch = None, None

    def _has_best(self, path: str, stands_at: tuple[int, int], state: TrainState) -> bool:
        """Whether the best state is there, or can be restored."""
        best, epoch = states.best_path(self.output_dir), state.best_epoch
        # A link to the state that was just read is not read again.
        linked = stands_at == (epoch, 0) and os.path.isfile(best) and os.path.samefile(best, path)
        if linked or self._is_best(best, state):
            self.record.best = BestEntry(states.BEST, epoch or 0, state.best_metric, state.best or 0.0)
            return True
        holder = path if stands_at == (epoch, 0) else self._state_of(epoch)
        self.record.best = None
        if holder is not None and epoch is not None and state.best is not None:
            states.link(holder, best)
            self.record.best = BestEntry(states.BEST, epoch, state.best_metric, state.best)
            logger.info("%s: restored from %s", best, holder)
        self.record.write(self.output_dir)
        return self.record.best is not None

    def _is_best(self, path: str, state: TrainState) -> bool:
        """Whether a file is whole and the best state that a training speaks of."""
        if not os.path.isfile(path):
            return False
        try:
            content = states.read_state(path)
        except CheckpointError as error:
            logger.warning("%s", error)
            return False
        found = (content["run_id"], content["epoch"], content["best"])
        return bool(found == (self.record.id, state.best_epoch, state.best))

    def _state_of(self, epoch: int | None) -> str | None:
        found = (
            entry.path(self.output_dir) for entry in self.record.states if (entry.epoch, entry.iteration) == (epoch, 0)
        )
        return next((path for path in found if os.path.isfile(path)), None)


def _plan(cfg: Cfg, data: RunData) -> FolderPlan:
    folder, stored = cfg.OUTPUT_DIR, read_record(cfg.OUTPUT_DIR)
    if stored is None or not (stored.files(folder) or stored.best_file(folder)):
        # Nothing to lose and nothing to resume from: a run without a state yet, or whose states were removed.
        if stored is not None and stored.progress:
            logger.warning("the states of the run %s are gone from %s; a new run begins", stored.id, folder)
        return FolderPlan()
    if not _may_resume(cfg, stored):
        if cfg.TRAIN.REPLACE:
            return FolderPlan(replaced=stored)
        raise ConfigError(
            f"OUTPUT_DIR is {folder!r}: it holds the run {stored.id} and TRAIN.AUTO_RESUME is False; choose "
            "another OUTPUT_DIR, or set TRAIN.REPLACE True, which moves that run to "
            f"{_previous(folder, stored)}"
        )
    values = values_of(cfg)
    differing = other_run(stored, values, data)
    if not differing:
        return FolderPlan(resumed=stored, recipe=differences(stored.configuration, values, "recipe"))
    if cfg.TRAIN.REPLACE:
        return FolderPlan(replaced=stored)
    raise ConfigError(
        f"OUTPUT_DIR is {folder!r}: it holds the run {stored.id}, which differs in {listed(differing)}; "
        "choose another OUTPUT_DIR, or start a new run with TRAIN.AUTO_RESUME False TRAIN.REPLACE True, which moves "
        f"that run to {_previous(folder, stored)}"
    )


def _may_resume(cfg: Cfg, stored: RunRecord) -> bool:
    """Whether a run is resumed; a job that Slurm has requeued resumes what it has begun itself, whatever is asked."""
    return bool(cfg.TRAIN.AUTO_RESUME) or any(map(is_restart_of, stored.starts))


def bring_back(cfg: Cfg, data: RunData) -> None:
    """Fill OUTPUT_DIR from TRAIN.MIRROR where its copies of this run are further. Called on every rank.

    Args:
        cfg: The configuration.
        data: What is learnt from.

    Raises:
        ConfigError: The mirror holds another run, or one that is not to be resumed.
    """

    def usable(record: RunRecord) -> None:
        differing = other_run(record, values_of(cfg), data)
        reason = f"which differs in {listed(differing)}" if differing else ""
        if not _may_resume(cfg, record):
            reason = "and TRAIN.AUTO_RESUME is False"
        if reason:
            raise ConfigError(
                f"TRAIN.MIRROR is {cfg.TRAIN.MIRROR!r}: it holds the run {record.id}, {reason}; choose another one"
            )

    if cfg.TRAIN.MIRROR:
        distributed.on_main(lambda: restore(Store(cfg.TRAIN.MIRROR), cfg.OUTPUT_DIR, usable))


def other_run(record: RunRecord, values: Mapping[str, Any], data: RunData) -> list[str]:
    """What makes a training another run than the recorded one: network, data, classes or labels.

    Args:
        record: Of the run in the folder.
        values: All keys of the present configuration.
        data: What would be learnt from.

    Returns:
        Each difference in words; [] for the same run.
    """
    found = [str(difference) for difference in differences(record.configuration, values, "identity")]
    if record.class_names != data.class_names:
        found.append("class names ({}, now {})".format(*names_difference(record.class_names, data.class_names)))
    for split, old in record.data.items():
        new = data.lists.get(split)
        if new is not None and new != old:
            count = f"{old['records']} records, now {new['records']}"
            same = "other records or labels, or another order"
            found.append(f"the {split} list ({same if old['records'] == new['records'] else count})")
    return found


def new_id() -> str:
    """An id of a run: when it began, and a random number."""
    return time.strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(3)


def _previous(folder: str, record: RunRecord) -> str:
    return os.path.join(folder, PREVIOUS, record.id)


def move_away(folder: str, record: RunRecord) -> None:
    """Move what a run has left in its folder to previous/<id>.

    Args:
        folder: OUTPUT_DIR.
        record: Of the run.
    """
    target = _previous(folder, record)
    os.makedirs(target, exist_ok=True)
    # While it is there, the move is not complete; see `finish_moves`.
    Path(target, _MOVING).touch()
    _finish_move(folder, target)
    logger.info("the run %s was moved to %s", record.id, target)


def finish_moves(folder: str) -> None:
    """Complete the move of an old run during which a process was killed. Main rank alone.

    Args:
        folder: OUTPUT_DIR.
    """
    for marker in Path(folder, PREVIOUS).glob(f"*/{_MOVING}"):
        _finish_move(folder, str(marker.parent))


def _finish_move(folder: str, target: str) -> None:
    for name in sorted(os.listdir(folder)):
        path, new = os.path.join(folder, name), os.path.join(target, name)
        if not is_of_run(name) or os.path.lexists(new):
            continue
        if os.path.islink(path):
            # A relative link would lead elsewhere from there.
            os.symlink(os.path.realpath(path), new)
            os.remove(path)
        else:
            shutil.move(path, new)
    os.remove(os.path.join(target, _MOVING))


@contextlib.contextmanager
def lock_folder(folder: str, timeout: float) -> Iterator[None]:
    """Hold OUTPUT_DIR for a training. Called on every rank; the main one gets the lock.

    Args:
        folder: OUTPUT_DIR; it is made where it is missing.
        timeout: Seconds that the other ranks wait for the main one.

    Raises:
        FolderInUseError: Another run uses it.
    """
    with contextlib.ExitStack() as held:

        def acquire() -> None:
            os.makedirs(folder, exist_ok=True)
            held.enter_context(FolderLock(folder, timeout / 2 if starts_again() else 0.0))
            finish_moves(folder)

        distributed.on_main(acquire)
        yield


def facts_of_start(device: torch.device) -> dict[str, Any]:
    """What a start of the program leaves in the record and at the head of the log.

    Args:
        device: Of this rank.
    """
    from importlib import metadata

    versions = {"avslowfast": __version__, "python": sys.version.split()[0], "torch": torch.__version__}
    for package in ("torchvision", "torchaudio", "av", "numpy"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": sys.argv,
        "folder": os.getcwd(),
        "versions": versions,
        "git_commit": git_commit(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU",
        "ranks": distributed.world_size(),
        **batch_job(),
    }


def git_commit() -> str:
    """The commit of the checkout that runs, with "+" where it has changes; "" for an installed package."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return ""
    try:
        commit, changes = (
            subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, timeout=10, check=True)
            for words in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return commit.stdout.strip() + ("+" if changes.stdout.strip() else "")
