"""Decoding, the loader and the test, measured on rendered videos like Kinetics'."""

import contextlib
import dataclasses
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from avslowfast.clips import ClipReader, ClipSettings
from avslowfast.config.derived import Cfg
from avslowfast.datasets import Listing, Record
from avslowfast.loading import ClipDataset, SampleKey
from avslowfast.loading.build import clip_settings
from avslowfast.loading.collate import collate_eval
from avslowfast.loading.labels import NoLabel
from avslowfast.media import MediaReader, transcode, VideoReader
from avslowfast.models import build_model
from avslowfast.tasks.build import build_task
from avslowfast.utils.seeding import generator

from . import baselines, torchcodec_clips
from .measure import alternately, collect, cpu_seconds, in_new_process, in_turns, make_videos, private_mb, Row, spread

# Length of the rendered videos, seconds.
_LENGTH = 10


def clip_dataset(cfg: Cfg, paths: Sequence[str], split: str, **changes: Any) -> ClipDataset:
    """Clips of files without labels.

    Args:
        cfg: The configuration.
        paths: The files.
        split: train | val | test.
        **changes: Settings of the clips that differ from the configuration's.
    """
    settings = dataclasses.replace(clip_settings(cfg), **changes)
    listing = Listing([Record(path) for path in paths], labels="none")
    return ClipDataset(listing, ClipReader(settings), NoLabel(), split)


def decode(cfg: Cfg, folder: str, repeats: int = 5, videos: int = 8) -> list[Row]:
    """Seconds per clip for decoding alone, as the loader does it and with every frame from the key frame on.

    Args:
        cfg: The configuration.
        folder: For the rendered videos.
        repeats: Measurements.
        videos: Number of videos.

    Returns:
        Rows {"alternative", "seconds_per_clip", "min", "max", "frames_per_clip"}.
    """
    paths = make_videos(folder, videos)
    settings = clip_settings(cfg)
    counts: dict[str, list[int]] = {"as the loader": [], "every frame": []}
    starts = [float(generator(0, i, "start").random() * (_LENGTH - settings.duration)) for i in range(videos)]

    def planned() -> None:
        for path, start in zip(paths, starts):
            with VideoReader(path) as reader:
                times = start + np.arange(settings.num_frames) * settings.sampling_rate / settings.target_fps
                for _ in reader.shown_frames(times):
                    pass
                counts["as the loader"].append(reader.decoded_frames)

    def everything() -> None:
        for path, start in zip(paths, starts):
            with VideoReader(path) as reader:
                for instant, _ in reader.iter_frames(start):
                    if instant > start + settings.duration:
                        break
                counts["every frame"].append(reader.decoded_frames)

    times = alternately({"as the loader": planned, "every frame": everything}, repeats)
    return [
        {"alternative": name, **_per_clip(values, videos), "frames_per_clip": float(np.mean(counts[name]))}
        for name, values in times.items()
    ]


def _per_clip(values: Sequence[float], clips: int) -> Row:
    statistics = spread([value / clips for value in values])
    return {"seconds_per_clip": statistics["median"], "min": statistics["min"], "max": statistics["max"]}


def loader(
    cfg: Cfg, folder: str, repeats: int = 5, videos: int = 8, baseline: bool = False, torchcodec: bool = False
) -> list[Row]:
    """Seconds that one process with one thread computes for a training clip, as a worker makes it.

    Args:
        cfg: The configuration.
        folder: For the rendered videos, and for what `prepare` makes of them.
        repeats: Measurements.
        videos: Number of videos.
        baseline: Measure the baseline as well.
        torchcodec: Measure torchcodec as well, see `torchcodec_clips`. All take turns.

    Returns:
        Rows {"alternative", "seconds_per_clip", "min", "max", "of_a_clip"}, the parts of a clip among them; the last
        column is the median of the ratios of each turn to a training clip of it.
    """
    torch.set_num_threads(1)
    paths = make_videos(folder, videos)
    prepared = prepared_videos(folder, paths)
    dataset = clip_dataset(cfg, paths, "train")
    silent, small = clip_dataset(cfg, paths, "train", audio=None), clip_dataset(cfg, prepared, "train")
    settings, rng = dataset.clip_reader.settings, generator(0, "naive")
    epochs = iter(range(1, 1_000_000))

    def starts() -> list[float]:
        return [float(rng.random() * (_LENGTH - settings.duration)) for _ in paths]

    def clips_of(clips: ClipDataset) -> Callable[[], float]:
        def function() -> None:
            epoch = next(epochs)
            for i in range(videos):
                clips[SampleKey(i, epoch, i)]

        return lambda: cpu_seconds(function)

    def naive() -> None:
        for path, start in zip(paths, starts()):
            baselines.clip(path, start, settings, rng)

    functions = {
        "a training clip": clips_of(dataset),
        "its frames": clips_of(silent),
        "a training clip, prepared": clips_of(small),
    }
    if baseline:
        functions["the baseline"] = lambda: cpu_seconds(naive)
    with contextlib.ExitStack() as stack:
        if torchcodec:
            pool = stack.enter_context(torchcodec_clips.executor())

            def other(files: Sequence[str]) -> Callable[[], float]:
                clips = torchcodec_clips.read_clips
                return lambda: pool.submit(clips, files, starts(), settings, next(epochs)).result()

            functions["torchcodec"], functions["torchcodec, prepared"] = other(paths), other(prepared)
        times = in_turns(functions, repeats)
    own = settings.num_samples
    clip = np.array(times["a training clip"]) / own
    rows: list[Row] = []
    for name, values in times.items():
        # The others read one clip of an open file.
        count = 1 if name == "the baseline" or name.startswith("torchcodec") else own
        ratio = float(np.median(np.array(values) / count / clip))
        rows.append({"alternative": name, **_per_clip(values, videos * count), "of_a_clip": ratio})
    bare = decode(cfg, folder, repeats, videos)[0]
    return [*rows, {"alternative": "decoding alone", **{k: bare[k] for k in ("seconds_per_clip", "min", "max")}}]


def prepared_videos(folder: str, paths: Sequence[str]) -> list[str]:
    """The videos as `avslowfast prepare` writes them, unless they exist."""
    found = [os.path.join(folder, "prepared", os.path.basename(path)) for path in paths]
    os.makedirs(os.path.join(folder, "prepared"), exist_ok=True)
    for path, out in zip(paths, found):
        if not os.path.exists(out):
            transcode(path, out)
    return found


def growth(cfg: Cfg, folder: str, clips: int = 2000, videos: int = 8) -> Row:
    """Private memory of a worker over many clips, as a loader forks it.

    Args:
        cfg: The configuration.
        folder: For the rendered videos.
        clips: Number of clips.
        videos: Number of videos.

    Returns:
        {"at_100_mb", "at_end_mb", "clips", "seconds_per_clip"}.
    """
    dataset = clip_dataset(cfg, make_videos(folder, videos), "train")
    row: Row = in_new_process("fork", _read_clips, dataset, clips, videos)
    return row


def _read_clips(dataset: ClipDataset, clips: int, videos: int) -> Row:
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


def test(
    cfg: Cfg, folder: str, repeats: int = 2, videos: int = 2, baseline: bool = False, max_clips: int = 8
) -> list[Row]:
    """Seconds per video with all views, decoding and network together.

    Args:
        cfg: The configuration.
        folder: For the rendered videos.
        repeats: Measurements.
        videos: Number of videos.
        baseline: Measure the baseline as well, which opens the file for each view; both take turns.
        max_clips: Clips in one forward pass.

    Returns:
        Rows {"alternative", "seconds_per_clip" (of a video), "min", "max", "data_seconds", "times_faster",
        "largest_difference" of a score}.
    """
    paths = make_videos(folder, videos)
    dataset, model = clip_dataset(cfg, paths, "test"), build_model(cfg).eval()
    task = build_task(cfg, torch.device("cpu"))
    scores: dict[tuple[str, str], Any] = {}
    data: dict[str, list[float]] = {"this project": [], "the baseline": []}

    @torch.no_grad()
    def shared() -> None:
        for i, path in enumerate(paths):
            began = time.perf_counter()
            batch = collate_eval([dataset.evaluation_sample(i)])
            data["this project"].append(time.perf_counter() - began)
            scores["this project", path] = task.scores(model, batch, max_clips).heads[""].mean(axis=0)

    def apart() -> None:
        for path in paths:
            began = time.perf_counter()
            inputs = baselines.views(path, dataset.clip_reader.settings)
            data["the baseline"].append(time.perf_counter() - began)
            scores["the baseline", path] = baselines.scores(model, inputs, max_clips).mean(dim=0).numpy()

    functions: dict[str, Callable[[], None]] = {"this project": shared}
    if baseline:
        functions["the baseline"] = apart
    times = alternately(functions, repeats, warmup=0)
    rows: list[Row] = [
        {"alternative": name, **_per_clip(values, videos), "data_seconds": float(np.median(data[name]))}
        for name, values in times.items()
    ]
    if baseline:
        differences = [np.abs(scores["this project", path] - scores["the baseline", path]).max() for path in paths]
        for row in rows:
            row["times_faster"] = rows[-1]["seconds_per_clip"] / row["seconds_per_clip"]
            row["largest_difference"] = float(max(differences))
    return rows


class CountingClipReader(ClipReader):
    """Counts the open files that it cuts test views from, and the frames that they decode."""

    def __init__(self, settings: ClipSettings) -> None:
        super().__init__(settings)
        self.opened: list[MediaReader] = []
        self.decoded_frames = 0

    def test_views(self, reader: MediaReader, **options: Any) -> dict[str, torch.Tensor]:
        """See `ClipReader.test_views`."""
        before = reader.decoded_frames
        views = super().test_views(reader, **options)
        if not any(reader is known for known in self.opened):
            self.opened.append(reader)
        self.decoded_frames += reader.decoded_frames - before
        return views


def opens_per_video(cfg: Cfg, path: str | os.PathLike[str]) -> dict[str, int]:
    """How often a test opens and decodes a video for all of its views: {"opens", "frames", "frames_in_file"}."""
    clip_reader = CountingClipReader(clip_settings(cfg))
    ClipDataset(Listing([Record(os.fspath(path))], labels="none"), clip_reader, NoLabel(), "test")[0]
    with VideoReader(os.fspath(path)) as reader:
        frames = round(reader.video.duration * reader.video.rate)
    return {"opens": len(clip_reader.opened), "frames": clip_reader.decoded_frames, "frames_in_file": frames}
