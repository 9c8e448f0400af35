"""What Slurm has given to the task that runs on this machine."""

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from ..utils.errors import UserError
from .options import device_keys

# In the place of an address: Slurm says where the machines meet, how many they are, and which one this is.
FROM_SLURM = "slurm"
# Ports for the meeting: below those that systems give to connections.
_FIRST_PORT, _PORTS = 12000, 20000


class AllocationError(UserError, RuntimeError):
    """This process is no task of a Slurm job that could be a machine of a training."""


@dataclass(frozen=True)
class Allocation:
    """This machine's part of a job.

    Attributes:
        machine: Number of this machine.
        machines: How many the job has.
        gpus: GPUs of this machine.
        cpus: CPUs of this machine.
        meeting: tcp://HOST:PORT where the machines meet; None for a single one.
    """

    machine: int
    machines: int
    gpus: int
    cpus: int
    meeting: str | None

    @property
    def overrides(self) -> list[object]:
        """Keys of the configuration that follow, and their values."""
        return ["NUM_SHARDS", self.machines, "SHARD_ID", self.machine, *device_keys(self.gpus, self.cpus)]


def read_allocation(environment: Mapping[str, str] = os.environ) -> Allocation:
    """What Slurm says in the environment of a task that `srun` has started.

    Args:
        environment: Of this process.

    Raises:
        AllocationError: This is no such task, or one of several of its machine.
    """
    if "SLURM_STEP_ID" not in environment or "SLURM_NODEID" not in environment:
        raise AllocationError(
            f"--init_method {FROM_SLURM}: srun has not started this process; put srun before the command"
        )
    machines, tasks = int(environment["SLURM_STEP_NUM_NODES"]), int(environment["SLURM_STEP_NUM_TASKS"])
    if tasks != machines:
        raise AllocationError(
            f"--init_method {FROM_SLURM}: srun started {tasks} tasks on {machines} node(s), but one starts all "
            "processes of its node; give srun and sbatch --ntasks-per-node=1"
        )
    return Allocation(
        machine=int(environment["SLURM_NODEID"]),
        machines=machines,
        gpus=int(environment.get("SLURM_GPUS_ON_NODE", "0")),
        cpus=int(environment.get("SLURM_CPUS_PER_TASK", "1")),
        meeting=_meeting(environment) if machines > 1 else None,
    )


def _meeting(environment: Mapping[str, str]) -> str:
    """An address on the first node that all tasks of the step find by themselves."""
    nodes = environment["SLURM_STEP_NODELIST"]
    # Names of nodes need not be names of hosts: Slurm says where it reaches them.
    done = subprocess.run(["scontrol", "show", "node", "--oneliner", nodes], capture_output=True, text=True)
    address = re.search(r" NodeAddr=(\S+)", done.stdout)
    if not address:
        why = " ".join(done.stderr.split()) or "it says nothing"
        raise AllocationError(f"scontrol does not say where node {nodes} is ({why})")
    # Jobs and steps that share a node, and a restart that comes before the old port is free, have ports of their own.
    step, restart = int(environment["SLURM_STEP_ID"]), int(environment.get("SLURM_RESTART_COUNT", "0"))
    port = _FIRST_PORT + (int(environment["SLURM_JOB_ID"]) + 1009 * step + 101 * restart) % _PORTS
    host = f"[{address[1]}]" if ":" in address[1] else address[1]
    return f"tcp://{host}:{port}"
