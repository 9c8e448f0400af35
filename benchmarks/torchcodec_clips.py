"""Frames, audio and training clips by torchcodec, to compare with: in a process of its own, with PyAV's FFmpeg.

torchcodec looks for the libraries of an FFmpeg on the machine. Those that PyAV brings have names of their own, so its
process gets a folder with links of the usual names. Both then decode by the same libraries.
"""

import contextlib
import functools
import os
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import av
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avslowfast.clips import spans
from avslowfast.clips.settings import ClipSettings

from .measure import processes

# libavcodec-0123abcd.so.62.28.102, as wheels of PyAV name it.
_LIBRARY = re.compile(r"^(lib(?:av|sw)\w+)-[0-9a-f]+(\.so\.\d+)\b")


def missing() -> str:
    """Why torchcodec cannot be used; "" where it is installed."""
    return "" if find_spec("torchcodec") else "torchcodec is not installed (pip install torchcodec)"


def load() -> str:
    """Import torchcodec: "", or why it cannot be loaded."""
    try:
        import torchcodec.decoders  # noqa: F401
    except (RuntimeError, OSError, ImportError) as error:
        return f"torchcodec cannot be loaded: {str(error).splitlines()[0]}"
    return ""


@contextlib.contextmanager
def executor() -> Iterator[ProcessPoolExecutor]:
    """A process in which torchcodec can be imported; the functions below run there."""
    known = os.environ.get("LD_LIBRARY_PATH")
    with tempfile.TemporaryDirectory() as folder:
        for path in (Path(av.__file__).parents[1] / "av.libs").glob("lib*"):
            if match := _LIBRARY.match(path.name):
                os.symlink(path, os.path.join(folder, "".join(match.groups())))
        # The loader reads the variable when a process starts, so this one is not affected.
        os.environ["LD_LIBRARY_PATH"] = os.pathsep.join([folder, *([known] if known else [])])
        try:
            with processes(1, "spawn") as pool:
                # Starts the process while the variable is set.
                pool.submit(os.getpid).result()
                yield pool
        finally:
            if known is None:
                del os.environ["LD_LIBRARY_PATH"]
            else:
                os.environ["LD_LIBRARY_PATH"] = known


def frames_at(path: str, times: Sequence[float]) -> NDArray[np.uint8]:
    """The frames that are shown at instants: RGB, uint8 [T, H, W, 3].

    Args:
        path: The file.
        times: Seconds, ascending.
    """
    from torchcodec.decoders import VideoDecoder

    decoder = VideoDecoder(path, dimension_order="NHWC")
    pixels: NDArray[np.uint8] = decoder.get_frames_played_at(list(times)).data.numpy()
    return pixels


def read_clips(paths: Sequence[str], starts: Sequence[float], settings: ClipSettings, seed: int) -> float:
    """Seconds that this process computes to read training clips, one of each file, with one thread.

    Args:
        paths: The files.
        starts: Of the clips, seconds.
        settings: With audio.
        seed: Of scales, crops and flips.
    """
    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    began = time.process_time()
    for path, start in zip(paths, starts):
        clip(path, start, settings, rng)
    return time.process_time() - began


def clip(path: str, start: float, settings: ClipSettings, rng: np.random.Generator) -> dict[str, Tensor]:
    """A training clip {"slow", "fast": uint8 [3, T, H, W], "audio": [1, T, F]}: torchcodec's frames, resize and audio.

    Args:
        path: The file.
        start: Seconds.
        settings: With audio.
        rng: Draws scale, crop and flip.
    """
    from torchcodec.decoders import AudioDecoder, VideoDecoder
    from torchcodec.transforms import Resize

    s, a = settings, settings.audio
    if a is None:
        raise ValueError("the clip needs a network with an audio pathway")
    height, width = _size(path)
    scale = int(rng.integers(s.scales[0], s.scales[1] + 1)) / min(height, width)
    size = round(height * scale), round(width * scale)
    decoder = VideoDecoder(path, seek_mode="approximate", num_ffmpeg_threads=1, transforms=[Resize(size)])
    times = spans.frame_times(start, s.num_frames, s.sampling_rate, s.target_fps)
    frames = decoder.get_frames_played_at(times.tolist()).data
    top, left = (int(rng.integers(0, side - s.crop + 1)) for side in size)
    fast = frames[:, :, top : top + s.crop, left : left + s.crop].transpose(0, 1)
    fast = (fast.flip(3) if rng.random() < 0.5 else fast).contiguous()
    begin, length = spans.audio_span(start, s.duration, a.num_frames, a.window, a.step)
    # Its audio begins where the file's does; what lies outside is filled with silence.
    heard = AudioDecoder(path, sample_rate=a.sample_rate, num_channels=1).get_samples_played_in_range(
        max(begin, 0.0), begin + length
    )
    waveform = torch.zeros(round(length * a.sample_rate))
    first = max(round((heard.pts_seconds - begin) * a.sample_rate), 0)
    count = min(heard.data.shape[1], len(waveform) - first)
    waveform[first : first + count] = heard.data[0, :count]
    slow = fast[:, torch.from_numpy(spans.slow_indices(s.num_frames, s.alpha))]
    return {"slow": slow, "fast": fast, "audio": a.front_end(waveform)}


@functools.cache
def _size(path: str) -> tuple[int, int]:
    """(height, width) of a file, asked for once: the resize has to be known before the file is opened."""
    from torchcodec.decoders import VideoDecoder

    metadata = VideoDecoder(path, seek_mode="approximate").metadata
    return metadata.height or 0, metadata.width or 0
