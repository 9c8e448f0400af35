"""The record of a run, OUTPUT_DIR/run.json: what it is, how far it is, which of its states is newest and which best.

Nothing is concluded from the names of files: a state that is not in the record is not the run's. Where the record is
lost, it is restored from what the states hold.
"""

import dataclasses
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import simplejson

from ..config import ConfigError
from ..config.kinds import stored_values
from ..config.names import Metric
from ..utils.files import is_temporary, replacing
from ..utils.logging import get_logger
from ..utils.remote import check_reachable, is_remote
from . import states
from .files import CheckpointError

logger = get_logger(__name__)

RECORD = "run.json"
# What a training and its tests leave in OUTPUT_DIR; what else lies there is somebody's own.
_FILES_OF_A_RUN = (
    RECORD,
    "checkpoints",
    "config.yaml",
    "results.json",
    "stdout.log",
    "failed_files.csv",
    "detections.csv",
    "submission.json",
    "submission.zip",
    "tensorboard",
    "metrics.jsonl",
    "epochs.csv",
    "wandb",
    "mlruns",
    "report.html",
    "validation",
)
# Names that `evaluation.places` gives: what is tested, views, weights.
_RESULT = re.compile(
    r"(scores(_\w+)?|features_\w+)\.(pt|csv)"
    r"|(test|test_train|test_val|probe|list_\w+_[0-9a-f]{6})(_\d+x\d+)?(_best|_newest|_\w+_[0-9a-f]{6})?",
)


@dataclass(frozen=True)
class _Entry:
    """A file of the run.

    Attributes:
        file: Its name in the folder of checkpoints.
        epoch: Whole epochs done.
    """

    file: str
    epoch: int

    def path(self, output_dir: str | os.PathLike[str]) -> str:
        """The file, which need not be there.

        Args:
            output_dir: Folder of the run.
        """
        return os.path.join(states.checkpoint_dir(output_dir), self.file)


@dataclass(frozen=True)
class StateEntry(_Entry):
    """A state of the run.

    Attributes:
        iteration: Iterations of the next epoch done.
        metric: Name of the metric by which the epoch was evaluated; "" for a state that was not.
        value: Its value.
    """

    iteration: int
    metric: str = ""
    value: float | None = None


@dataclass(frozen=True)
class BestEntry(_Entry):
    """The best state by validation.

    Attributes:
        metric: Name of the metric that chose it.
        value: Its value.
    """

    metric: str
    value: float


@dataclass(frozen=True)
class Retention:
    """Which states of a run stay when a further one has been saved.

    Attributes:
        newest: So many newest ones; 0 means all.
        best: So many best ones by the metric; the best state of all has a file of its own besides.
        every: Those of every so many epochs; 0 means none.
        metric: Compares values; values of other metrics are not compared.
    """

    newest: int
    best: int
    every: int
    metric: Metric

    def kept(self, entries: Sequence[StateEntry]) -> list[StateEntry]:
        """The states that stay, in the given order.

        Args:
            entries: All that are there, newest last.
        """
        if not self.newest:
            return list(entries)
        name, rank = self.metric.name, self.metric.rank
        ranked = [
            (rank(entry.value), entry.epoch, entry.file)
            for entry in entries
            if entry.metric == name and entry.value is not None and not math.isnan(entry.value)
        ]
        best = {file for _, _, file in sorted(ranked)[-self.best :]}
        newest = {entry.file for entry in entries[-self.newest :]}
        return [entry for entry in entries if entry.file in newest | best or self._is_milestone(entry)]

    def _is_milestone(self, entry: StateEntry) -> bool:
        return bool(self.every) and not entry.iteration and entry.epoch % self.every == 0


@dataclass
class RunRecord:
    """What is known of a run.

    Attributes:
        id: Of the run; its states have it too.
        configuration: {dotted key: value} of all keys, when it was last started.
        class_names: Names in order of the class ids, {classifier: names}, or None.
        data: {split: {"records": number, "fingerprint": text}} of the lists that are trained and validated on.
        states: Its states, newest last.
        best: Its best state, or None.
        progress: {"epoch", "iteration", "iters_per_epoch", "max_epoch"} of the newest state.
        starts: One entry per start of the program: time, command, versions, git commit, device, ranks.
    """

    id: str
    configuration: dict[str, Any]
    class_names: Any = None
    data: dict[str, Any] = field(default_factory=dict)
    states: list[StateEntry] = field(default_factory=list)
    best: BestEntry | None = None
    progress: dict[str, int] = field(default_factory=dict)
    starts: list[dict[str, Any]] = field(default_factory=list)

    def newest(self, output_dir: str | os.PathLike[str]) -> str | None:
        """File of the newest state that is there; None without states."""
        files = self.files(output_dir)
        return files[-1] if files else None

    def best_file(self, output_dir: str | os.PathLike[str]) -> str | None:
        """File of the best state; None where none was chosen or the file is gone."""
        path = self.best and self.best.path(output_dir)
        return path if path and os.path.isfile(path) else None

    def files(self, output_dir: str | os.PathLike[str]) -> list[str]:
        """Files of the states that are there, newest last."""
        paths = (entry.path(output_dir) for entry in self.states)
        return [path for path in paths if os.path.isfile(path)]

    def write(self, output_dir: str | os.PathLike[str]) -> None:
        """Write the record, whole or not at all.

        Args:
            output_dir: Folder of the run.

        Raises:
            StateNotSavedError: It cannot be written.
        """
        path = os.path.join(output_dir, RECORD)
        try:
            with replacing(path) as part, open(part, "w", encoding="utf-8") as f:
                simplejson.dump(dataclasses.asdict(self), f, indent=1, ignore_nan=True)
                f.flush()
                os.fsync(f.fileno())
        except OSError as error:
            raise states.StateNotSavedError.of(error, path) from None


def is_of_run(name: str) -> bool:
    """Whether what has this name in OUTPUT_DIR is a training's or a test's; what else lies there is somebody's own.

    Args:
        name: Of a file or folder.
    """
    return name in _FILES_OF_A_RUN or _RESULT.fullmatch(name) is not None


def read_record(output_dir: str | os.PathLike[str]) -> RunRecord | None:
    """The record of the run that a folder holds; None where it holds none.

    Args:
        output_dir: The folder.

    Raises:
        CheckpointError: The record cannot be read and the states do not say which run it was.
    """
    path = os.path.join(output_dir, RECORD)
    if os.path.isfile(path):
        try:
            with open(path, encoding="utf-8") as f:
                return parse_record(simplejson.load(f))
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            logger.warning("%s: damaged (%s); it is restored from the states", path, type(error).__name__)
    return _from_states(output_dir)


def parse_record(content: dict[str, Any]) -> RunRecord:
    """The record in the content of its file.

    Args:
        content: As JSON gives it.

    Raises:
        ValueError: It makes no sense; as well as TypeError, KeyError and AttributeError.
    """
    fields = {f.name for f in dataclasses.fields(RunRecord)}
    record = RunRecord(**{name: value for name, value in content.items() if name in fields})
    record.states = [
        StateEntry(str(e["file"]), int(e["epoch"]), int(e["iteration"]), *_evaluated(e.get("metric"), e.get("value")))
        for e in content["states"]
    ]
    best = content.get("best")
    record.best = (
        None
        if best is None
        else BestEntry(str(best["file"]), int(best["epoch"]), str(best["metric"]), float(best["value"]))
    )
    for name in [entry.file for entry in record.states] + ([record.best.file] if record.best else []):
        if os.path.basename(name) != name:
            raise ValueError(f"{name}: no name of a file")
    if not re.fullmatch(r"[\w-]{1,100}", record.id) or not isinstance(record.configuration, dict):
        raise TypeError("id or configuration is no such thing")
    names = record.class_names
    if names is not None and not isinstance(names, (list, dict)):
        raise TypeError("class_names is no list")
    if not all(isinstance(start, dict) for start in record.starts) or not isinstance(record.starts, list):
        raise TypeError("starts is no list")
    for facts in record.data.values():
        int(facts["records"]), str(facts["fingerprint"])
    int(record.progress.get("epoch", 0))
    return record


def _evaluated(metric: object, value: Any) -> tuple[str, float | None]:
    """(metric, value) of a state that was evaluated; ("", None) of one that was not."""
    return (str(metric or ""), float(value)) if value is not None else ("", None)


def _from_states(output_dir: str | os.PathLike[str]) -> RunRecord | None:
    """A record made of what the states of a folder hold."""
    folder = states.checkpoint_dir(output_dir)
    found: list[tuple[str, states.State]] = []
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        path = os.path.join(folder, name)
        if not name.endswith(".pyth") or is_temporary(name) or not os.path.isfile(path):
            continue
        try:
            content = states.read_state(path)
        except CheckpointError as error:
            logger.warning("skipped, it cannot be used: %s", error)
            continue
        kept = {key: content.get(key) for key in (*_KEPT, "epoch", "iteration", "iters_per_epoch")}
        found.append((name, kept))
    if not found:
        return None
    runs = {content["run_id"] for _, content in found}
    if len(runs) > 1:
        raise CheckpointError(
            f"{folder}: it holds states of {len(runs)} runs and no {RECORD} that says which one counts; "
            "move those of the others away"
        )
    found.sort(key=lambda item: (item[1]["epoch"], item[1]["iteration"]))
    newest = found[-1][1]
    try:
        configuration = stored_values(newest["cfg"], "its configuration")
    except ConfigError as error:
        raise CheckpointError(f"{os.path.join(folder, found[-1][0])}: {error}; move the file away") from None
    record = RunRecord(newest["run_id"], configuration, newest["class_names"], newest["data"] or {})
    record.states = [
        StateEntry(n, c["epoch"], c["iteration"], *_evaluated(c["best_metric"], c["value"]))
        for n, c in found
        if n != states.BEST
    ]
    best = next((content for name, content in found if name == states.BEST), None)
    if best is not None and best["best"] is not None:
        record.best = BestEntry(states.BEST, best["epoch"], str(best["best_metric"]), best["best"])
    return record


_KEPT = ("run_id", "cfg", "class_names", "data", "best", "best_metric", "value")


def resolve(path: str | os.PathLike[str]) -> str:
    """The checkpoint that a path stands for.

    Args:
        path: A run's OUTPUT_DIR, which stands for its best state, else its newest; any other path stands for itself.

    Raises:
        CheckpointError: A folder without checkpoints.
        PermissionError: See `utils.remote.check_reachable`.
    """
    if not is_remote(os.fspath(path)):
        check_reachable(path)
    if not os.path.isdir(path):
        return str(path)
    record = read_record(path)
    file = record and (record.best_file(path) or record.newest(path))
    if not file:
        raise CheckpointError(f"{path}: no checkpoints in it; give the OUTPUT_DIR of a run, or a file")
    return file
