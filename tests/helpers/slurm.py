"""A real Slurm with two nodes on this machine, for tests of launching, preemption and requeueing."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .runs import ENV
from .stops import command_line, parent_of, pids

NODES = ("n1", "n2")
_PROGRAMS = ("slurmctld", "slurmd", "munged")
# low is preempted by debug; a node that does not answer for 10 s is lost; a requeued job waits for 5 s.
_CONF = """\
ClusterName=two
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CryptoType=crypto/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
ReturnToService=2
SlurmdTimeout=10
KillWait=30
JobRequeue=1
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmdSpoolDir={folder}/%n
StateSaveLocation={folder}/state
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
SlurmdParameters=config_overrides
SchedulerType=sched/builtin
SchedulerParameters=sched_interval=2,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
GresTypes=gpu
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={port_1} CPUs=4 RealMemory=8000 Gres=gpu:2
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={port_2} CPUs=4 RealMemory=8000 Gres=gpu:2
PartitionName=debug Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=off
PartitionName=low Nodes=n1,n2 MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=30
"""


def why_not():
    """Why no Slurm can be started here; "" where one can."""
    missing = [name for name in _PROGRAMS if not shutil.which(name, path=_path())]
    if missing:
        return f"{', '.join(missing)} missing (Debian: slurm-wlm, munge)"
    return "" if os.geteuid() == 0 else "a Slurm of its own needs root"


class Slurm:
    """Two nodes with four (pretended) cores and two (pretended) GPUs each, on loopback; a context manager."""

    def __enter__(self):
        # munge wants a folder that everybody may enter, and a socket has a short path.
        self.folder = Path(tempfile.mkdtemp(prefix="slurm"))
        self.folder.chmod(0o755)
        (self.folder / "state").mkdir()
        ports = _free_ports(3)
        (self.folder / "slurm.conf").write_text(
            _CONF.format(
                host=socket.gethostname().split(".")[0],
                folder=self.folder,
                port=ports[0],
                port_1=ports[1],
                port_2=ports[2],
            )
        )
        # Any device will do: nothing opens it.
        gres = [f"NodeName={node} Name=gpu File=/dev/{file}" for node in NODES for file in ("null", "zero")]
        (self.folder / "gres.conf").write_text("\n".join(gres) + "\n")
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        self.env = {**ENV, "SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": _path()}
        self._processes, self._lost = {}, {}
        files = {name: f"--{name}-file={self.folder}/munge.{name}" for name in ("key", "pid", "log", "seed")}
        self._start("munged", "munged", "--foreground", f"--socket={self.folder}/munge.socket", *files.values())
        self.until(lambda: (self.folder / "munge.socket").exists(), 20)
        self._start("slurmctld", "slurmctld", "-D")
        for node in NODES:
            self.start_node(node)
        self.until(lambda: self.call("sinfo", "-h", "-t", "idle", "-o", "%D").strip() == "2", 60)
        return self

    def __exit__(self, *error):
        for node in list(self._lost):
            self.start_node(node)
        self.call("scancel", "--user=root", code=None)
        self.until(lambda: not self.call("squeue", "-h"), 90)
        for name in [*NODES, "slurmctld", "munged"]:
            self._kill(name)
        if error[0] is None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def start_node(self, node):
        """Start a node, or bring a lost one back."""
        daemon, lost = self._lost.pop(node, (None, ()))
        for pid in lost:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if daemon:
            daemon.wait()
        self._start(node, "slurmd", "-D", "-N", node)

    def lose_node(self, node, how="silent"):
        """Nothing on a node answers any more: as after a power cut (no connection is closed), or all are killed."""
        daemon = self._processes.pop(node)
        steps = [pid for pid in pids() if _belongs_to(pid, self.folder, node)]
        parents = {parent_of(pid) for pid in steps}
        lost = {daemon.pid, *steps, *(pid for pid in parents if command_line(pid).startswith("slurmstepd"))}
        for pid in lost:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP if how == "silent" else signal.SIGKILL)
        self._lost[node] = (daemon, lost)

    def call(self, *words, code=0):
        """Standard output of a command of Slurm."""
        done = subprocess.run(words, env=self.env, capture_output=True, text=True)
        assert code is None or done.returncode == code, (words, done.stdout, done.stderr)
        return done.stdout

    def submit(self, command, words):
        """`avslowfast COMMAND ...`, with this Slurm."""
        words = [sys.executable, "-m", "avslowfast", command, *map(str, words)]
        return subprocess.run(words, env=self.env, capture_output=True, text=True)

    def job(self, number):
        """Facts of a job: JobState, Restarts, ExitCode ..."""
        text = self.call("scontrol", "show", "job", "-o", str(number)).split("\n")[0]
        return dict(word.split("=", 1) for word in text.split() if "=" in word)

    def wait(self, number, function, seconds=300):
        """Until something is true of a job's facts; gives these."""
        return self.until(lambda: (facts := self.job(number)) and function(facts) and facts, seconds)

    def end(self, number, seconds=300):
        """Facts of a job that has ended for good."""
        over = ("COMPLETED", "FAILED", "TIMEOUT", "CANCELLED", "NODE_FAIL", "PREEMPTED", "OUT_OF_MEMORY")
        return self.wait(number, lambda facts: facts["JobState"] in over, seconds)

    def _start(self, name, *words):
        log = open(self.folder / f"{name}.out", "a")
        self._processes[name] = subprocess.Popen(
            words, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )

    def _kill(self, name):
        process = self._processes.pop(name, None)
        if process is None:
            return
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def until(self, function, seconds):
        deadline = time.monotonic() + seconds
        while not (result := function()):
            assert time.monotonic() < deadline, self._logs()
            time.sleep(0.2)
        return result

    def _logs(self):
        names = ["slurmctld", *NODES]
        return "\n".join(f"{name}: {(self.folder / f'{name}.out').read_text()[-1500:]}" for name in names)


def _belongs_to(pid, folder, node):
    """Whether a process is of a node: its daemons, or what its steps have started."""
    try:
        environment = open(f"/proc/{pid}/environ", errors="replace").read()
    except OSError:
        return False
    ours = f"SLURM_CONF={folder}/slurm.conf" in environment
    return ours and (f"SLURMD_NODENAME={node}\0" in environment or f"-N\0{node}\0" in command_line(pid))


def _free_ports(count):
    """Ports that nothing uses now."""
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def _path():
    """PATH with the interpreter's folder and those of daemons."""
    return os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
