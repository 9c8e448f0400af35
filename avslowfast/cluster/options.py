"""What `--slurm NAME=VALUE ...` asks of Slurm."""

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from ..utils.errors import UserError

# Seconds before the time limit at which the job is asked to save its state.
_WARNING = 120
# Times in Slurm's way: minutes, minutes:seconds, hours:minutes:seconds, days-hours[:minutes[:seconds]].
_TIME = re.compile(r"(?:(\d+)-(\d+)(?::(\d+))?(?::(\d+))?|(\d+)(?::(\d+))?(?::(\d+))?)", re.ASCII)


class SlurmOptionError(UserError, ValueError):
    """An option of --slurm is unknown or has no proper value; the message says which one and what to give."""


@dataclass(frozen=True)
class SlurmRequest:
    """A job that Slurm is asked for.

    Attributes:
        nodes: Machines.
        gpus: GPUs of each machine, N or TYPE:N; None where nothing is said.
        cpus: CPUs of each machine; None where nothing is said.
        time: Limit in Slurm's format; None takes the partition's.
        signal: Seconds before the limit at which the job is asked to save its state.
        array: Number of tasks of an array, N or N%M for at most M at a time; None for a single job.
        further: {name of an sbatch option: value} of those that Slurm alone reads.
    """

    nodes: int = 1
    gpus: str | None = None
    cpus: int | None = None
    time: str | None = None
    signal: int = _WARNING
    array: str | None = None
    further: tuple[tuple[str, str], ...] = ()

    @property
    def gpu_count(self) -> int | None:
        """GPUs of each machine; None where nothing is said."""
        return None if self.gpus is None else int(self.gpus.rpartition(":")[2])

    @property
    def overrides(self) -> list[object]:
        """Keys of the configuration that follow from what is asked for, and their values."""
        return ["NUM_SHARDS", self.nodes, *device_keys(self.gpu_count or 0, self.cpus or 1)]

    @property
    def says(self) -> str:
        """What is asked for, in words; a time in Slurm's format is easily taken for another one."""
        from ..utils.text import counted

        words = [f"{self.array} tasks" if self.array else counted(self.nodes, "node")]
        if self.gpu_count:
            words.append(f"{counted(self.gpu_count, 'GPU')} each")
        if self.cpus:
            words.append(f"{counted(self.cpus, 'CPU')} each")
        if self.time:
            words.append(f"at most {timedelta(seconds=self.seconds)}" if self.seconds else "no time limit")
        return ", ".join([*words, *(f"{name} {value}" for name, value in self.further if name == "partition")])

    def with_defaults(self, gpus: str, cpus: int) -> "SlurmRequest":
        """With GPUs and CPUs where nothing is said of them."""
        return replace(self, gpus=self.gpus or gpus, cpus=self.cpus or cpus)

    def named(self, name: str) -> "SlurmRequest":
        """With a name for the job where nothing is said of it."""
        return replace(self, further=tuple({"job_name": name, **dict(self.further)}.items()))

    @property
    def seconds(self) -> int | None:
        """The time limit; None where there is none, or it is the partition's."""
        return None if self.time is None else time_limit(self.time)


def device_keys(gpus: int, cpus: int) -> list[object]:
    """Keys of the processes of a machine, and their values: one for each GPU; without any, one for each CPU.

    Args:
        gpus: Its GPUs.
        cpus: Its CPUs.
    """
    return ["NUM_GPUS", gpus] if gpus else ["NUM_GPUS", 0, "NUM_CPU_PROCESSES", cpus]


def time_limit(text: str) -> int | None:
    """Seconds of a time in Slurm's format: 30 is minutes, 24:00 minutes and seconds, 1-12 days and hours.

    Args:
        text: The time; 0 and UNLIMITED mean no limit.

    Returns:
        None without a limit.

    Raises:
        SlurmOptionError: It is no such time.
    """
    if text.lower() in ("unlimited", "infinite"):
        return None
    match = _TIME.fullmatch(text)
    if not match:
        raise SlurmOptionError(
            f"--slurm time={text}: it has to be MINUTES, MINUTES:SECONDS, HOURS:MINUTES:SECONDS, DAYS-HOURS, "
            "DAYS-HOURS:MINUTES or DAYS-HOURS:MINUTES:SECONDS"
        )
    days, hours, minutes, seconds, *plain = (int(part or 0) for part in match.groups())
    if match[5]:
        hours, minutes, seconds = plain if match[7] else (0, *plain[:2])
    # Slurm counts in minutes, and rounds up.
    return -(-(((days * 24 + hours) * 60 + minutes) * 60 + seconds) // 60) * 60 or None


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or not low <= int(text) <= high:
            raise ValueError(f"it has to be a whole number from {low} to {high}")
        return int(text)

    return read


def _matching(pattern: str, meaning: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not re.fullmatch(pattern, text, re.ASCII):
            raise ValueError(f"it has to be {meaning}")
        return text

    return read


def _time(text: str) -> str:
    time_limit(text)
    return text


_NAMES = _matching(r"[^\s,]+(,[^\s,]+)*", "a name, or several with commas between them")
_LINE = _matching(r"[^\x00-\x1f\x7f]+", "a text on one line")
# {option: how it is read}.
_OPTIONS: dict[str, Callable[[str], Any]] = {
    "nodes": _whole(1, 65536),
    "gpus": _matching(r"([A-Za-z][\w.-]*:)?\d{1,4}", "the number of GPUs of each node, N or TYPE:N"),
    "cpus": _whole(1, 65536),
    "mem": _matching(r"\d{1,15}[KMGTkmgt]?", "the memory of each node, e.g. 64G; 0 is all of it"),
    "time": _time,
    "partition": _NAMES,
    "account": _matching(r"\S+", "a name"),
    "qos": _matching(r"\S+", "a name"),
    "constraint": _LINE,
    "nodelist": _matching(r"\S+", "names of nodes, e.g. node[1-4]"),
    "exclude": _matching(r"\S+", "names of nodes, e.g. node[1-4]"),
    "reservation": _NAMES,
    "dependency": _matching(r"\S+", "a condition, e.g. afterok:123"),
    "array": _matching(r"0*[1-9]\d{0,6}(%0*[1-9]\d*)?", "the number of tasks, N, or N%M for at most M at a time"),
    "signal": _whole(1, 65535),
    "name": _LINE,
    "comment": _LINE,
}
NAMES = tuple(_OPTIONS)
# Options that submitit calls otherwise.
_SBATCH = {"name": "job_name"}


def read_options(words: Sequence[str]) -> SlurmRequest:
    """Read the words after --slurm.

    Args:
        words: NAME=VALUE each.

    Raises:
        SlurmOptionError: A name is unknown or given twice, or a value is none that Slurm would take.
    """
    values: dict[str, Any] = {}
    for word in words:
        name, given, text = word.partition("=")
        if name not in _OPTIONS:
            near = difflib.get_close_matches(name, NAMES, n=1)
            hint = f"did you mean {near[0]}=? " if near else ""
            raise SlurmOptionError(f"--slurm {word}: unknown option {name!r}; {hint}it knows {', '.join(NAMES)}")
        if not given or not text:
            raise SlurmOptionError(f"--slurm {word}: a value is missing; write {name}=VALUE")
        if name in values:
            raise SlurmOptionError(f"--slurm {word}: {name} is given twice")
        try:
            values[name] = _OPTIONS[name](text)
        except SlurmOptionError:
            raise
        except ValueError as error:
            raise SlurmOptionError(f"--slurm {word}: {error}") from None
    own = SlurmRequest.__dataclass_fields__
    further = tuple((_SBATCH.get(name, name), value) for name, value in values.items() if name not in own)
    request = SlurmRequest(**{name: value for name, value in values.items() if name in own}, further=further)
    if request.seconds is not None and request.seconds <= request.signal:
        raise SlurmOptionError(
            f"--slurm time={request.time}: that is {request.seconds} s, and the job is asked to save its state "
            f"{request.signal} s before its end; give more time, or a smaller signal=SECONDS"
        )
    return request
