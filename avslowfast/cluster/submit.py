"""Jobs for Slurm: the batch script, and its submission by submitit.

submitit writes the script and submits it. The script runs the command itself, one task on each node, and not a pickled
function under submitit's handlers of signals: a training answers signals by itself, and its exit code says what to do
next. So there is one rule for requeueing, which stands in the script.
"""

import contextlib
import io
import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from ..utils.errors import UserError
from .options import SlurmRequest

# In a command: which share of an array's tasks this one is, I/N.
SHARE = "@SHARE@"
# Without a handler the shell would end at a signal before the command has; with one it waits for that.
_SETUP = "trap : TERM USR1"
# Starts in succession that leave no new file, after which a job is not requeued: it would be for ever.
_FUTILE_STARTS = 10
# What follows the command. An array's task has a number of its own, but that of the last one is the array's.
_TEARDOWN = """\
code=$?
job=$SLURM_JOB_ID
if [ -n "$SLURM_ARRAY_JOB_ID" ]; then job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID; fi
# A job that was cancelled, or that Slurm requeues itself, is not running any more.
running() { scontrol show job --oneliner "$job" | grep -q ' JobState=RUNNING '; }
# A node is lost if nothing can be started on it; Slurm may need minutes to notice.
lost() { ! timeout 60 srun --overlap --quiet --ntasks-per-node=1 --cpus-per-task=1 --mem=0 true; }
# What the starts that were requeued have left, by name.
progress() { tail -n %(futile)d "$LOGS/${job}_progress"; }
requeue() {
  (cd "$LOGS/.." && find . -path ./slurm -prune -o -print | sort | cksum) >>"$LOGS/${job}_progress"
  if [ "$(progress | wc -l)" -eq %(futile)d ] && [ "$(progress | uniq | wc -l)" -eq 1 ]; then
    echo "error: $1, as often before; %(futile)d starts have saved nothing new: not requeued; give it more time"
  else
    echo "$1: requeued, to resume"
    scontrol requeue "$job"
  fi
}
case $code in
0) ;;
# Stopped by a signal with the state saved; ended by SIGUSR1 or SIGTERM before there was one.
75 | 138 | 143) if running; then requeue "stopped by a signal"; fi ;;
*) if running && lost && running; then requeue "a node is lost"; fi ;;
esac
exit $code"""


class SubmissionError(UserError, RuntimeError):
    """A job cannot be submitted; the message says why."""


def script(request: SlurmRequest, command: Sequence[str], folder: str) -> str:
    """The batch script of a job.

    Args:
        request: What is asked of Slurm.
        command: What each node runs; `SHARE` in it stands for the share of an array's task.
        folder: Where the logs go.

    Raises:
        SubmissionError: submitit is not installed.
    """
    return _executor(request, folder).text(_words(request, command))


def submit(request: SlurmRequest, command: Sequence[str], folder: str) -> str:
    """Submit a job.

    Args:
        request: What is asked of Slurm.
        command: What each node runs; `SHARE` in it stands for the share of an array's task.
        folder: Where script and logs go; all nodes see it.

    Returns:
        The job's number.

    Raises:
        SubmissionError: There is no Slurm here, it refuses the job, or submitit is not installed.
    """
    executor = _executor(request, folder)
    if shutil.which("sbatch") is None:
        raise SubmissionError(
            "--slurm: there is no Slurm here (sbatch is not found); run this on a login node of the cluster, or add "
            "--dry-run to see the batch script"
        )
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    try:
        # submitit shows what sbatch says, and raises it.
        with _clean_environment(), contextlib.redirect_stderr(io.StringIO()):
            return str(executor.submit_command(_words(request, command)))
    except (FailedJobError, FailedSubmissionError) as error:
        why = "; ".join(line.removeprefix("sbatch: error: ") for line in str(error).splitlines() if line.strip())
        raise SubmissionError(f"--slurm: sbatch refuses the job: {why}") from None


def _words(request: SlurmRequest, command: Sequence[str]) -> str:
    """The command with this interpreter, for a shell."""
    tasks = (request.array or "").split("%")[0]
    share = f'"$SLURM_ARRAY_TASK_ID/{tasks}"'
    words = [sys.executable, "-u", "-m", "avslowfast", *command]
    return " ".join(share if word == SHARE else shlex.quote(word) for word in words)


def _executor(request: SlurmRequest, folder: str) -> Any:
    try:
        import submitit
    except ImportError:
        raise SubmissionError("--slurm: it needs submitit; pip install 'avslowfast[slurm]'") from None

    class Executor(submitit.SlurmExecutor):
        """submitit's, for a command instead of a pickled function."""

        @classmethod
        def affinity(cls) -> int:
            # A script can be written where there is no Slurm.
            return 2

        def text(self, command: str) -> str:
            return str(self._make_submission_file_text(command, ""))

        def submit_command(self, command: str) -> str:
            os.makedirs(self.folder, exist_ok=True)
            return str(self._submit_command(command).job_id)

    if "%" in folder:
        raise SubmissionError(f"{folder}: Slurm takes the % in it for a pattern; choose another folder")
    executor = Executor(folder=folder)
    executor.update_parameters(**_parameters(request, str(executor.folder)))
    if request.array:
        # submitit keeps this name for itself; it makes the names of an array's logs.
        executor.parameters["map_count"] = int(request.array.split("%")[0])
    return executor


def _parameters(request: SlurmRequest, folder: str) -> dict[str, Any]:
    """What submitit is given: its own parameters, and those of sbatch that it leaves alone."""
    further: dict[str, Any] = {"signal": f"USR1@{request.signal}", "requeue": True, **dict(request.further)}
    job_name = further.pop("job_name", "avslowfast")
    if request.array:
        count, _, at_once = request.array.partition("%")
        further["array"] = f"1-{count}" + (f"%{at_once}" if at_once else "")
    srun = ["--open-mode=append", "--kill-on-bad-exit=0", "--wait=0"]
    if request.cpus:
        # srun does not take it from the job.
        srun.append(f"--cpus-per-task={request.cpus}")
    return {
        "job_name": job_name,
        "nodes": request.nodes,
        "ntasks_per_node": 1,
        "gpus_per_node": request.gpus if request.gpu_count else None,
        "cpus_per_task": request.cpus,
        "time": request.time,
        "wckey": None,
        "stderr_to_stdout": True,
        "setup": [_SETUP, f"LOGS={shlex.quote(folder)}"],
        "teardown": (_TEARDOWN % {"futile": _FUTILE_STARTS}).split("\n"),
        "srun_args": srun,
        "additional_parameters": further,
    }


@contextlib.contextmanager
def _clean_environment() -> Iterator[None]:
    """Without what belongs to a job that this process may be in itself, which sbatch would hand on."""
    kept = {"SLURM_CONF"}
    names = [n for n in os.environ if n.startswith(("SLURM_", "SLURMD_", "SRUN_")) and n not in kept]
    before = {name: os.environ.pop(name) for name in names}
    try:
        yield
    finally:
        os.environ.update(before)
