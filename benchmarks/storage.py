"""Training clips from files, tar shards and an S3 server on this machine: speed, traffic, memory, equality."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from avslowfast.config.derived import Cfg
from avslowfast.datasets import Listing, Record
from avslowfast.loading import ClipDataset, SampleKey
from avslowfast.media.remote import traffic
from avslowfast.media.storage import configure, StorageSettings
from avslowfast.preparation.packing import plan_shards, write_shards
from avslowfast.utils.errors import UserError

from .data import clip_dataset, prepared_videos
from .measure import collect, in_new_process, in_turns, make_videos, private_mb, Row

_BUCKET = "benchmark"


def storage(cfg: Cfg, folder: str, repeats: int = 5, videos: int = 8, clips: int = 200) -> list[Row]:
    """Training clips of prepared videos from each kind of storage, in one process with one thread, in turns.

    "cached" reads blocks that are on this machine already; "S3" keeps none.

    Args:
        cfg: The configuration.
        folder: For the rendered videos.
        repeats: Turns.
        videos: Number of videos.
        clips: Clips over which memory is measured, in a process of its own.

    Returns:
        Rows {"alternative", "clips_per_second" by the clock, "seconds_per_clip" that are computed, "of_files" (the
        median of the ratios of clips per computed second in each turn) and "of_files_by_the_clock", "requests" and
        "mb" per clip (the requests as the server counts them), "private_mb" of a process, "same" clips}.
    """
    torch.set_num_threads(1)
    paths = prepared_videos(folder, make_videos(folder, videos))
    with tempfile.TemporaryDirectory() as scratch, _s3_server(scratch) as requests:
        places = _places(paths, scratch)
        cached = StorageSettings(cache_dir=os.path.join(scratch, "blocks"))
        settings = {name: cached if "cached" in name else StorageSettings(cache_size=0) for name in places}
        datasets = {name: clip_dataset(cfg, found, "train", storage=settings[name]) for name, found in places.items()}
        epochs, same = {name: iter(range(10**6)) for name in places}, dict.fromkeys(places, 0)
        computed: dict[str, list[float]] = {name: [] for name in places}
        counts: dict[str, tuple[int, int]] = dict.fromkeys(places, (0, 0))
        expected: dict[int, list[torch.Tensor]] = {}

        def turn(name: str) -> float:
            configure(settings[name])
            epoch, before, asked = next(epochs[name]), traffic.bytes, requests()
            wall, cpu = time.perf_counter(), time.process_time()
            found = [datasets[name].training_samples(SampleKey(i, epoch, i))[0] for i in range(videos)]
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            computed[name].append(cpu)
            counts[name] = requests() - asked, traffic.bytes - before
            tensors = [sample[key] for sample in found for key in ("slow", "fast", "audio") if key in sample]
            same[name] += all(map(torch.equal, tensors, expected.setdefault(epoch, tensors)))
            expected.pop(epoch - 1, None)
            return wall

        walls = in_turns({name: _of(turn, name) for name in places}, repeats)
        memory = {name: in_new_process("fork", _private, dataset, clips, videos) for name, dataset in datasets.items()}
    rows = []
    for name in places:
        cpu, wall = np.array(computed[name][1:]), np.array(walls[name])
        rows.append({
            "alternative": name,
            "clips_per_second": float(np.median(videos / wall)),
            "seconds_per_clip": float(np.median(cpu)) / videos,
            "of_files": float(np.median(np.array(computed["files"][1:]) / cpu)),
            "of_files_by_the_clock": float(np.median(np.array(walls["files"]) / wall)),
            "requests": counts[name][0] / videos,
            "mb": counts[name][1] / videos / 1e6,
            "private_mb": memory[name],
            "same": f"{same[name] * videos} of {(repeats + 1) * videos}",
        })  # fmt: skip
    return rows


def _of(turn: Callable[[str], float], name: str) -> Callable[[], float]:
    return lambda: turn(name)


def _places(paths: Sequence[str], scratch: str) -> dict[str, list[str]]:
    """Where the videos lie, by alternative."""
    import fsspec

    shards = os.path.join(scratch, "shards")
    listing = Listing([Record(path) for path in paths], labels="none")
    plan = plan_shards({"train": listing}, os.path.dirname(paths[0]), 10**9, "x")
    write_shards(plan, shards, True, print)
    system = fsspec.filesystem("s3", use_listings_cache=False)
    system.mkdir(_BUCKET)
    system.put(shards, f"{_BUCKET}/shards", recursive=True)
    for path in paths:
        system.put(path, f"{_BUCKET}/videos/{os.path.basename(path)}")
    members = [plan.members[path] for path in paths]
    remote = [f"s3://{_BUCKET}/videos/{os.path.basename(path)}" for path in paths]
    in_tar = [f"s3://{_BUCKET}/shards/{member}" for member in members]
    return {
        "files": list(paths),
        "shards": [os.path.join(shards, member) for member in members],
        "S3": remote,
        "S3, shards": in_tar,
        "S3, shards, cached": in_tar,
    }


@contextlib.contextmanager
def _s3_server(scratch: str) -> Iterator[Callable[[], int]]:
    """The server of moto in a process of its own; gives a function that counts the requests that it has logged."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    variables = {"ENDPOINT_URL": f"http://127.0.0.1:{port}", "ACCESS_KEY_ID": "user", "SECRET_ACCESS_KEY": "word",
                 "DEFAULT_REGION": "us-east-1"}  # fmt: skip
    os.environ.update({f"AWS_{name}": value for name, value in variables.items()})
    log = os.path.join(scratch, "requests.log")
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with open(log, "wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as server:
        try:
            while socket.socket().connect_ex(("127.0.0.1", port)):
                if server.poll() is not None:
                    raise UserError("moto's server does not start; pip install 'moto[server]'")
                time.sleep(0.1)

            def requests() -> int:
                with open(log, encoding="utf-8", errors="replace") as file:
                    return len(re.findall(r'"\S*?(?:GET|HEAD|PUT|POST) ', file.read()))

            yield requests
        finally:
            server.terminate()


def _private(dataset: ClipDataset, clips: int, videos: int) -> float:
    """Private memory of a process after some clips, MB."""
    configure(dataset.clip_reader.settings.storage)
    for i in range(clips):
        dataset[SampleKey(i % videos, i // videos, i % videos)]
    collect()
    return private_mb()
