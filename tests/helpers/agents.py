"""Machines of one torchrun job: agents on the loopback device, each with processes of its own."""

import datetime
import uuid

from torch.distributed import TCPStore

from .stops import Job

# Each round has a store of its own, as the documentation asks for.
_ENV = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
# A lost agent is missed after three seconds, in place of fifteen.
_CONF = "is_host=0,last_call_timeout=2,keep_alive_interval=1,keep_alive_max_attempt=3,join_timeout=120"


class Cluster:
    """Where agents meet; it outlives them all."""

    def __init__(self, nodes, processes=1, restarts=3, shards=2):
        self.store = TCPStore(
            "127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=datetime.timedelta(seconds=300)
        )
        self.keys = ("NUM_CPU_PROCESSES", processes, "NUM_SHARDS", shards)
        self.launcher = (
            "-m",
            "torch.distributed.run",
            f"--nnodes={nodes}",
            f"--nproc_per_node={processes}",
            f"--max-restarts={restarts}",
            f"--rdzv-id={uuid.uuid4().hex}",
            "--rdzv-backend=c10d",
            f"--rdzv-endpoint=127.0.0.1:{self.store.port}",
            f"--rdzv-conf={_CONF}",
        )
        self.agents = []

    def agent(self, args, log, *more):
        """Start the agent of a machine."""
        job = Job(args, *more, set_up=(self.keys, self.launcher), log=log, env=_ENV)
        self.agents.append(job)
        return job

    def kill(self):
        for job in self.agents:
            job.kill()
