"""Media files with mutated headers: DecodeError in one line or what can be read; no crash, no hang, no hunger.

AVSLOWFAST_FUZZ_SEED changes the mutations, AVSLOWFAST_FUZZ_TIMES multiplies their number.
"""

import os

import numpy as np
import pytest
from helpers import REAL_CLIPS, SHARED, tiny_cfg
from helpers.fuzz import mutated, run
from helpers.matrix.cases import CODECS as PICTURES
from helpers.matrix.cases import CONTAINERS, FPS, SOUNDS
from helpers.matrix.render import can_encode, render

from avslowfast.clips import ClipReader
from avslowfast.loading.build import clip_settings
from avslowfast.media import DecodeError, open_media, SoundReader, transcode
from avslowfast.utils.errors import UserError

SEED = os.environ.get("AVSLOWFAST_FUZZ_SEED", "0")
TIMES = float(os.environ.get("AVSLOWFAST_FUZZ_TIMES", "1"))
# Seconds that a file may keep a process busy, megabytes by which a process may grow over 200 of them.
LIMIT_S, LIMIT_MB = 10.0, 400
# One file of so many is transcoded as well.
TRANSCODED = 8

# {container: [(video codec, audio codec)]}, names of the matrix.
CODECS = {
    "mp4": [("h264", "aac"), ("av1_svt", "opus"), ("mpeg4", "mp3")],
    "mkv": [("hevc", "flac"), ("vp9", "opus"), ("mjpeg", "pcm")],
    "flv": [("flv1", "mp3"), ("h264", "aac")],
    "ts": [("h264", "aac"), ("mpeg2", "mp2"), ("hevc", "ac3")],
    "avi": [("mpeg4", "mp3"), ("h264", "pcm"), ("huffyuv", "adpcm")],
    "webm": [("vp8", "vorbis"), ("vp9", "opus")],
    "ogg": [("vp8", "opus"), ("vp8", "flac")],
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """{container: [bytes of a file of a second]}."""
    folder, found = tmp_path_factory.mktemp("sources"), {}
    times = [number / FPS for number in range(30)]
    for name, pairs in CODECS.items():
        for video, audio in pairs:
            container, picture, path = CONTAINERS[name], PICTURES[video], folder / "x"
            if can_encode(picture.encoder):
                structure = next(iter(picture.structures))
                render(path, picture, structure, times, FPS, container.format, container.options, SOUNDS[audio], 0.0)
                found.setdefault(name, []).append(path.read_bytes())
    return found


def mutated_header(data, rng, others):
    """A file that is changed where its header lies, or, more rarely, anywhere."""
    if rng.random() < 0.3:
        return mutated(data, rng, others)
    # The table of an mp4 lies behind its samples.
    first = max(data.find(b"moov") - 4, 0)
    last = first + rng.choice((64, 400, 2000))
    return data[:first] + mutated(data[first:last], rng, others) + data[last:]


def read(path):
    """Open, read frames and audio here and there, and sometimes transcode."""
    try:
        with open_media(path) as media:
            start, end = media.video.start, media.video.end
            assert np.isfinite([start, end, media.video.rate]).all()
            media.read_frames(sorted([start, start + 0.3, start + 0.35, end - 0.1]))
            media.read_audio(start + 0.2, 0.5)
            media.read_audio(end - 0.3, 0.5)
        if int(os.path.basename(path).split("-")[1]) % TRANSCODED == 0:
            transcode(path, f"{path}.out.mp4", short_side=32)
            os.remove(f"{path}.out.mp4")
    except DecodeError:
        raise
    except UserError as error:
        raise AssertionError(f"{type(error).__name__} is no DecodeError: {error}") from error


def check(folder, name, make, count, reading):
    problems, taken = run(name, make, count, reading, str(folder), SEED, LIMIT_S, LIMIT_MB)
    refused = count - taken - len(problems)
    print(f"{name}: {count} inputs, {taken} taken, {refused} refused in one line", *problems, sep="\n")
    assert problems == []
    return taken


@pytest.mark.parametrize("count", [14, pytest.param(720, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", CODECS)
def test_headers(tmp_path, sources, name, count):
    count = int(count * TIMES)

    def make(rng):
        data = rng.choice(sources[name])
        return f"x.{name}", mutated_header(data, rng, sources[name])

    taken = check(tmp_path, name, make, count, read)
    # Inputs that are all taken, or all refused, try nothing.
    assert 0.02 * count < taken < 0.99 * count or count < 50


def read_clips(path):
    """Test views, training clips and sound, as a loader cuts them."""
    reader = ClipReader(clip_settings(tiny_cfg()))
    with open_media(path) as media:
        reader.test_views(media, num_views=2, num_crops=1)
        reader.training_clips(media, epoch=0, index=0)
    with SoundReader(path) as sound:
        sound.read_audio(sound.audio.start, 0.5)


@pytest.mark.slow
def test_clips(tmp_path, sources):
    files = [(name, data) for name, found in sources.items() for data in found]

    def make(rng):
        name, data = rng.choice(files)
        return f"x.{name}", mutated(data, rng, [data])

    check(tmp_path, "clips", make, int(700 * TIMES), read_clips)


@pytest.mark.slow
@pytest.mark.shared
def test_real_files(tmp_path, shared):
    clips = [SHARED / "clips" / name for name in REAL_CLIPS]
    files = [(path.name, path.read_bytes()) for path in clips if path.stat().st_size < 2_000_000]

    def make(rng):
        name, data = rng.choice(files)
        return name, mutated(data, rng, [data])

    check(tmp_path, "real", make, int(200 * TIMES), read_clips)
