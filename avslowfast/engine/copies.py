"""OUTPUT_DIR on local disks: each machine keeps a copy of the states, since that of the main rank may be lost."""

import os
import socket
from dataclasses import dataclass

from ..checkpoint import CheckpointError, states
from ..checkpoint.record import read_record, RunRecord
from ..config import derived
from ..config.derived import Cfg
from ..utils import distributed
from ..utils.files import replacing
from ..utils.lock import LOCK
from ..utils.logging import get_logger

logger = get_logger(__name__)

_BLOCK = 1 << 24


@dataclass(frozen=True)
class _Holding:
    """What a machine's disk has of a run: its id, the time of its last start, its newest state, the files."""

    run_id: str
    started: str
    stands_at: tuple[int, int]
    files: tuple[str, ...]


def keeps_copy(cfg: Cfg) -> bool:
    """Whether this rank keeps a copy: the first one of a machine that does not see the main rank's OUTPUT_DIR.

    Called on every rank, while the main one has the lock of the folder.

    Args:
        cfg: The configuration.
    """
    path = os.path.join(cfg.OUTPUT_DIR, LOCK)
    lock = distributed.on_main(lambda: _read(path))
    first_of_machine = distributed.rank() % derived.configured_ranks_per_machine(cfg) == 0
    # A machine that sees the folder and is wrong about that writes the same bytes once more.
    return first_of_machine and not distributed.is_main() and _read(path) != lock


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError:
        return b""


def bring_newest(cfg: Cfg) -> None:
    """Give the main rank the newest state of its run that a machine's disk has. Called on every rank.

    Args:
        cfg: The configuration.
    """
    if not distributed.is_distributed():
        return
    folder = str(cfg.OUTPUT_DIR)
    keeper = keeps_copy(cfg)
    mine = _holding(folder) if keeper or distributed.is_main() else None
    everyone = list(zip(distributed.gather_objects(mine), distributed.gather_objects(socket.gethostname())))
    main = everyone[0][0]
    others = {rank: found for rank, (found, _) in enumerate(everyone) if found is not None and rank}
    for rank, found in others.items():
        if main is not None and found.run_id != main.run_id:
            logger.warning("%s has the run %s in its OUTPUT_DIR, not %s", everyone[rank][1], found.run_id, main.run_id)
    same = {rank: found for rank, found in others.items() if main is None or found.run_id == main.run_id}
    if not same:
        return
    # Where the main rank's disk is empty, the run that was started last counts.
    source = max(same, key=lambda rank: (main is None and same[rank].started, same[rank].stands_at))
    if main is not None and same[source].stands_at <= main.stands_at:
        return
    logger.warning("the newest state of the run is on %s and is copied from there", everyone[source][1])
    for name in same[source].files:
        _send(os.path.join(folder, name), source)


def _holding(folder: str) -> _Holding | None:
    try:
        record = read_record(folder)
    except CheckpointError:
        return None
    newest = record and record.newest(folder)
    if record is None or not newest:
        return None
    entry = next(e for e in record.states[::-1] if e.path(folder) == newest)
    best = record.best_file(folder)
    files = tuple(os.path.relpath(path, folder) for path in (newest, best, os.path.join(folder, "run.json")) if path)
    started = str(record.starts[-1]["time"]) if record.starts else ""
    return _Holding(record.id, started, (entry.epoch, entry.iteration), files)


def _send(path: str, source: int) -> None:
    """Write a file of the source rank on the main one; the others listen."""
    size = distributed.broadcast_object(os.path.getsize(path) if distributed.rank() == source else 0, source)
    offset = 0

    def block() -> bytes:
        if distributed.rank() != source:
            return b""
        with open(path, "rb") as f:
            f.seek(offset)
            return f.read(_BLOCK)

    if distributed.is_main():
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with replacing(path) as part, open(part, "wb") as f:
            while offset < size:
                offset += f.write(distributed.broadcast_object(block(), source))
    else:
        while offset < size:
            offset += len(distributed.broadcast_object(block(), source))


def write_copy(output_dir: str, content: states.State, record: RunRecord, improved: bool) -> str | None:
    """Write what the main rank has just saved to this machine's disk.

    Args:
        output_dir: The folder.
        content: Of the state.
        record: Of the main rank; its last state is this one.
        improved: It is the best one so far.

    Returns:
        Why it could not be written; None if it was.
    """
    path = record.states[-1].path(output_dir)
    before = read_record(output_dir)
    os.makedirs(states.checkpoint_dir(output_dir), exist_ok=True)
    try:
        record.write(output_dir)
        states.save(content, path)
        if improved:
            states.link(path, states.best_path(output_dir))
    except states.StateNotSavedError as error:
        return f"{socket.gethostname()}: {error}"
    kept = {entry.file for entry in record.states}
    for old in before.states if before is not None and before.id == record.id else ():
        if old.file not in kept and os.path.isfile(old.path(output_dir)):
            os.remove(old.path(output_dir))
    return None
