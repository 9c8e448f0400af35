"""Decoding, the loader and the test, measured on rendered videos like Kinetics'."""

import dataclasses
import os
import time

import numpy as np
import torch

from avslowfast.datasets.base import Record, VideoDataset
from avslowfast.loading.build import clip_settings, collate_eval
from avslowfast.loading.samplers import SampleKey
from avslowfast.media import VideoReader
from avslowfast.models import build_model
from avslowfast.tasks.build import build_task
from avslowfast.utils.seeding import generator

from . import baselines
from .measure import alternately, collect, in_own_process, make_videos, private_mb, spread


def _dataset(cfg, paths, split, **changes):
    settings = dataclasses.replace(clip_settings(cfg), **changes)
    return VideoDataset([Record(path, 0) for path in paths], settings, split)


def decode(cfg, folder, repeats=5, videos=8):
    """Seconds a clip for the pictures alone: as the loader decodes them, and every frame from the key frame on; nothing is converted.

    Returns:
        Rows {"way", "seconds_per_clip", "min", "max", "frames_per_clip"}.
    """
    paths = make_videos(folder, videos)
    dataset = _dataset(cfg, paths, "train")
    settings, counts = dataset.settings, {"as the loader": [], "every frame": []}
    starts = [float(generator(0, i, "start").random() * (10 - settings.duration)) for i in range(videos)]

    def planned():
        for path, start in zip(paths, starts):
            with VideoReader(path) as reader:
                times = start + np.arange(settings.num_frames) * settings.sampling_rate / settings.target_fps
                for _ in reader.nearest_frames(times):
                    pass
                counts["as the loader"].append(reader.decoded_frames)

    def everything():
        for path, start in zip(paths, starts):
            with VideoReader(path) as reader:
                for time_, _ in reader.iter_frames(start):
                    if time_ > start + settings.duration:
                        break
                counts["every frame"].append(reader.decoded_frames)

    times = alternately({"as the loader": planned, "every frame": everything}, repeats)
    return [
        {"way": way, **_per_clip(values, videos), "frames_per_clip": float(np.mean(counts[way]))}
        for way, values in times.items()
    ]


def _per_clip(values, clips):
    found = spread([value / clips for value in values])
    return {"seconds_per_clip": found["median"], "min": found["min"], "max": found["max"]}


def loader(cfg, folder, repeats=5, videos=8, against=None):
    """Seconds a training clip in one process with one thread, as a worker makes it; against "naive" the usual way takes turns with it.

    Returns:
        Rows {"way", "seconds_per_clip", "min", "max", "times_faster"}, the parts of a clip among them.
    """
    torch.set_num_threads(1)
    paths = make_videos(folder, videos)
    dataset = _dataset(cfg, paths, "train")
    settings, epoch = dataset.settings, [0]
    silent = _dataset(cfg, paths, "train", audio=None)
    rng = generator(0, "naive")

    def ours():
        epoch[0] += 1
        for i in range(videos):
            dataset[SampleKey(i, epoch[0], i)]

    def pictures():
        for i in range(videos):
            silent[SampleKey(i, epoch[0], i)]

    def naive():
        for path in paths:
            baselines.naive_clip(path, float(rng.random() * (10 - settings.duration)), settings, rng)

    ways = {"a training clip": ours, "its pictures": pictures}
    if against == "naive":
        ways["the usual way"] = naive
    times = alternately(ways, repeats)
    rows = [
        {"way": way, **_per_clip(values, videos * (1 if way == "the usual way" else settings.num_samples))}
        for way, values in times.items()
    ]
    for row in rows:
        row["times_faster"] = rows[-1]["seconds_per_clip"] / row["seconds_per_clip"] if against == "naive" else ""
    bare = decode(cfg, folder, repeats, videos)[0]
    return [*rows, {"way": "decoding alone", **{k: bare[k] for k in ("seconds_per_clip", "min", "max")}}]


def growth(cfg, folder, clips=2000, videos=8):
    """Memory of a worker's own over many clips, as a loader forks it: {"at_100_mb", "at_end_mb", "clips", "seconds_per_clip"}."""
    dataset = _dataset(cfg, make_videos(folder, videos), "train")
    return in_own_process("fork", _work, dataset, clips, videos)


def _work(dataset, clips, videos):
    torch.set_num_threads(1)
    began, at_100 = time.perf_counter(), 0.0
    for i in range(clips):
        dataset[SampleKey(i % videos, i // videos, i % videos)]
        if i == 99:
            collect()
            at_100 = private_mb()
    collect()
    return {
        "at_100_mb": at_100,
        "at_end_mb": private_mb(),
        "clips": clips,
        "seconds_per_clip": (time.perf_counter() - began) / clips,
    }


def test(cfg, folder, repeats=2, videos=2, against=None, max_clips=8):
    """Seconds a video with all views, decoding and network together; against "usual" one open and one sound a view takes turns with it.

    Returns:
        Rows {"way", "seconds_per_clip" (a video), "min", "max", "data_seconds", "times_faster", "largest_difference" of a score}.
    """
    paths = make_videos(folder, videos)
    dataset, model = _dataset(cfg, paths, "test"), build_model(cfg).eval()
    task = build_task(cfg, torch.device("cpu"))
    found, data = {}, {"ours": [], "usual": []}

    @torch.no_grad()
    def ours():
        for i, path in enumerate(paths):
            began = time.perf_counter()
            batch = collate_eval([dataset[i]])
            data["ours"].append(time.perf_counter() - began)
            found["ours", path] = torch.from_numpy(task.scores(model, batch, max_clips).only.mean(axis=0))

    def usual():
        for path in paths:
            began = time.perf_counter()
            inputs = baselines.usual_views(path, dataset.settings)
            data["usual"].append(time.perf_counter() - began)
            found["usual", path] = baselines.usual_scores(model, inputs, max_clips).mean(dim=0)

    ways = {"ours": ours, **({"usual": usual} if against == "usual" else {})}
    times = alternately(ways, repeats, warmup=0)
    rows = [
        {"way": way, **_per_clip(values, videos), "data_seconds": float(np.median(data[way]))}
        for way, values in times.items()
    ]
    if against == "usual":
        for row in rows:
            row["times_faster"] = rows[-1]["seconds_per_clip"] / row["seconds_per_clip"]
            row["largest_difference"] = max(
                float((found["ours", path] - found["usual", path]).abs().max()) for path in paths
            )
    return rows


def opens_per_video(cfg, path):
    """How often a test opens and decodes a video for all of its views: {"opens", "frames", "frames_in_file"}."""
    opened, frames, original = [], [], VideoReader.close

    def counting(self):
        opened.append(self.path)
        frames.append(self.decoded_frames)
        original(self)

    VideoReader.close = counting
    try:
        _dataset(cfg, [os.fspath(path)], "test")[0]
    finally:
        VideoReader.close = original
    with VideoReader(path) as reader:
        return {
            "opens": len(opened),
            "frames": sum(frames),
            "frames_in_file": round((reader.video.end - reader.video.start) * reader.video.rate),
        }
