"""Decoding of rendered files: one clock for visual and audio, every layout, every start, damaged files."""

from fractions import Fraction

import av
import numpy as np
import pytest
from helpers import REAL_CLIPS
from helpers.videos import click_times, flash_and_click, flash_times, FLASHES

from avslowfast.media import DecodeError, Geometry, SoundReader, VideoReader, write_video


@pytest.mark.parametrize("fps", [24, 25, Fraction(30000, 1001), 60], ids=str)
@pytest.mark.parametrize("video_start, audio_start", [(0.0, 0.0), (0.4, 0.4), (0.0, 0.3), (0.3, 0.0)])
def test_frames_and_audio_are_in_sync_within_20_ms(tmp_path, fps, video_start, audio_start):
    path = tmp_path / "flash.mkv"
    flash_and_click(path, fps, video_start=video_start, audio_start=audio_start)
    with VideoReader(path) as reader:
        flashes, clicks = flash_times(reader, 0.0, 3.6), click_times(reader, 0.0, 3.6)
    assert len(flashes) == len(clicks) == 3
    for flash, shown, audible in zip((round(f * float(fps)) / float(fps) for f in FLASHES), flashes, clicks):
        assert abs(shown - (flash + video_start)) < 0.020
        assert abs((audible - audio_start) - (shown - video_start)) < 0.020


@pytest.mark.parametrize("suffix, codec", [("mp4", "aac"), ("mkv", "libopus"), ("mov", "pcm_s16le"), ("mkv", "flac")])
@pytest.mark.parametrize("span", [0.0, 1.05, 2.2])
def test_any_span_of_any_codec_is_in_sync(tmp_path, suffix, codec, span):
    path = tmp_path / f"flash.{suffix}"
    flash_and_click(path, 25, rate=48000, audio_codec=codec, gop=75)
    with VideoReader(path) as reader:
        flashes, clicks = flash_times(reader, span, span + 0.9), click_times(reader, span, span + 0.9)
    expected = [f for f in FLASHES if span < f < span + 0.9]
    assert len(flashes) == len(clicks) == len(expected) > 0
    assert max(abs(a - b) for a, b in zip(flashes, clicks)) < 0.020
    assert max(abs(a - round(b * 25) / 25) for a, b in zip(flashes, expected)) < 0.020


@pytest.mark.parametrize("audio_seconds", [1.8, 4.5])
def test_streams_of_unequal_length_stay_in_sync(tmp_path, audio_seconds):
    path = tmp_path / "flash.mp4"
    flash_and_click(path, 30, audio_seconds=audio_seconds)
    with VideoReader(path) as reader:
        assert abs(reader.video.end - 3.0) < 0.05 and abs(reader.audio.end - audio_seconds) < 0.1
        samples, has_audio = reader.read_audio(0.0, 3.0)
        flashes, clicks = flash_times(reader, 0.0, 3.0), click_times(reader, 0.0, 3.0)
    assert has_audio and len(samples) == 48000
    assert max(abs(a - b) for a, b in zip(flashes, clicks)) < 0.020
    if audio_seconds < 3:
        # Padded with silence, never stretched.
        assert len(clicks) == 2 and np.abs(samples[int(1.95 * 16000) :]).max() == 0


def test_only_the_frames_that_are_needed_are_decoded(tmp_path):
    path = tmp_path / "long.mp4"
    frames = np.random.RandomState(0).randint(0, 255, (300, 32, 32, 3), np.uint8)
    write_video(path, frames, 30, gop=30)
    with VideoReader(path) as reader:
        reader.read_frames(5.0 + np.arange(8) / 30)
        assert reader.decoded_frames < 60
        before = reader.decoded_frames
        # Views of one video come from one pass: thirty instants twice over cost no more than the file has frames.
        reader.read_frames(np.linspace(0, 9.9, 60))
        assert reader.decoded_frames - before <= 302


def test_the_frame_is_the_nearest_one_and_geometry_is_applied_once(tmp_path):
    path = tmp_path / "count.mp4"
    frames = np.stack([np.full((48, 64, 3), 8 * i, np.uint8) for i in range(30)])
    write_video(path, frames, 10)
    calls = []

    def geometry(height, width):
        calls.append((height, width))
        return Geometry((24, 32), (4, 6, 10, 12))

    with VideoReader(path) as reader:
        out = reader.read_frames([0.0, 0.14, 0.16, 2.9, 2.9, 5.0], geometry)
    assert calls == [(48, 64)] and out.shape == (6, 10, 12, 3)
    assert [round(float(f.mean()) / 8) for f in out] == [0, 1, 2, 29, 29, 29]


def test_with_a_variable_frame_rate_a_frame_is_shown_until_the_next(tmp_path):
    path = tmp_path / "vfr.mkv"
    instants = [0.0, 0.04, 0.5, 0.52, 1.7]
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"preset": "ultrafast", "bf": "0"})
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for i, instant in enumerate(instants):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 40 * i + 20, np.uint8), format="rgb24")
            frame.pts, frame.time_base = round(instant * 1000), Fraction(1, 1000)
            for packet in stream.encode(frame):
                out.mux(packet)
        for packet in stream.encode(None):
            out.mux(packet)
    with VideoReader(path) as reader:
        seen = reader.read_frames([0.03, 0.2, 0.45, 0.515, 1.0, 1.3]).pixels.mean(axis=(1, 2, 3))
    assert [round((float(v) - 20) / 40) for v in seen] == [1, 1, 1, 3, 3, 3]


LAYOUTS = [("mono", 1), ("stereo", 2), ("5.1", 6), ("7.1", 8)]
PCM = ["pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_u8"]


@pytest.mark.parametrize("layout, channels", LAYOUTS)
@pytest.mark.parametrize("codec", PCM)
def test_pitch_and_level_survive_every_sample_format(tmp_path, layout, channels, codec):
    path = tmp_path / "tone.mkv"
    t = np.arange(2 * 22050) / 22050
    # A different level in each channel: the mono mix is their mean.
    levels = np.linspace(0.1, 0.8, channels)[:, None]
    write_video(
        path,
        np.zeros((50, 32, 32, 3), np.uint8),
        25,
        levels * np.sin(2 * np.pi * 440 * t),
        22050,
        audio_codec=codec,
        layout=layout,
    )
    with VideoReader(path) as reader:
        samples, has_audio = reader.read_audio(0.5, 1.0)
    assert has_audio and len(samples) == 16000
    spectrum = np.abs(np.fft.rfft(samples))
    assert abs(int(spectrum.argmax()) - 440) <= 1
    assert abs(np.sqrt(2 * np.mean(samples**2)) - levels.mean()) < 0.02


@pytest.mark.parametrize("suffix, codec", [("mkv", "libx264"), ("webm", "libvpx-vp9")])
def test_files_without_stored_stream_durations(tmp_path, suffix, codec):
    path = tmp_path / f"x.{suffix}"
    audio = "libopus" if suffix == "webm" else "aac"
    write_video(
        path,
        np.zeros((40, 32, 32, 3), np.uint8),
        20,
        np.zeros(48000, np.float32),
        48000,
        video_codec=codec,
        audio_codec=audio,
    )
    with VideoReader(path) as reader:
        assert abs(reader.video.end - 2.0) < 0.06 and abs(reader.audio.end - 1.0) < 0.06


def test_a_file_without_audio_is_silent(tmp_path):
    path = tmp_path / "mute.mp4"
    write_video(path, np.zeros((20, 32, 32, 3), np.uint8), 10)
    with VideoReader(path) as reader:
        samples, has_audio = reader.read_audio(0.0, 1.0)
    assert reader.audio is None and not has_audio and len(samples) == 16000 and not samples.any()


def test_files_that_are_no_videos_are_named(tmp_path):
    text = tmp_path / "notes.mp4"
    text.write_text("not a video")
    empty = tmp_path / "empty.mp4"
    empty.touch()
    audio = tmp_path / "audio.wav"
    with av.open(str(audio), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1600), np.int16), format="s16", layout="mono")
        frame.sample_rate = 16000
        for packet in stream.encode(frame):
            out.mux(packet)
    for path, words in (
        (text, "cannot be opened"),
        (empty, "cannot be opened"),
        (audio, "no video stream"),
        (tmp_path / "none.mp4", "No such file"),
    ):
        with pytest.raises(DecodeError) as error:
            VideoReader(path)
        assert path.name in str(error.value) and words in str(error.value) and "\n" not in str(error.value)


def test_a_truncated_file_gives_what_is_there_or_an_error(tmp_path):
    whole, cut = tmp_path / "whole.mkv", tmp_path / "cut.mkv"
    frames = np.random.RandomState(0).randint(0, 255, (100, 48, 48, 3), np.uint8)
    write_video(whole, frames, 10, gop=10)
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with VideoReader(cut) as reader:
        assert reader.read_frames([0.0, 1.0, 2.0]).shape[0] == 3
        with pytest.raises(DecodeError, match="frames are missing around 9"):
            reader.read_frames([1.0, 9.0])


@pytest.mark.shared
@pytest.mark.parametrize("name", REAL_CLIPS)
def test_real_files_decode(shared, name):
    with VideoReader(shared / "clips" / name) as reader:
        length = reader.video.end - reader.video.start
        assert length > 0.3
        frames = reader.read_frames(reader.video.start + np.linspace(0, length, 12))
        samples, has_audio = reader.read_audio(reader.video.start, 2.0)
    assert frames.shape[0] == 12 and frames.pixels.std() > 0
    assert has_audio == (name in ("flipping_a_pancake.mkv", "nasa_13013.mp4", "big_buck_bunny_30s.webm"))
    assert len(samples) == 32000 and (samples.std() > 0) == has_audio
    if "rotated" in name:
        assert frames.shape[1] > frames.shape[2]


@pytest.mark.shared
def test_a_seek_gives_the_same_frames_as_reading_through(shared):
    path = shared / "clips" / "flipping_a_pancake.mkv"
    times = 6.0 + np.arange(16) / 15
    with VideoReader(path) as reader:
        sought = reader.read_frames(times)
    with VideoReader(path) as reader:
        through = reader.read_frames(np.concatenate([np.arange(0, 6, 0.5), times]))[12:]
    assert np.array_equal(sought, through)


def test_a_stream_of_an_unknown_codec_is_one_line(tmp_path):
    flash_and_click(tmp_path / "x.avi", 25, video_codec="mpeg4", audio_codec="pcm_s16le")
    data = (tmp_path / "x.avi").read_bytes()
    assert b"FMP4" in data
    (tmp_path / "x.avi").write_bytes(data.replace(b"FMP4", b"QQQQ"))
    with pytest.raises(DecodeError, match=r"x.avi: nothing decodes its video stream \(an unknown codec\)"):
        VideoReader(tmp_path / "x.avi")


def test_recordings_that_were_joined_as_they_are_are_named(tmp_path):
    for layout in ("mono", "stereo"):
        flash_and_click(tmp_path / f"{layout}.ts", 25, layout=layout)
    joined = (tmp_path / "mono.ts").read_bytes() + (tmp_path / "stereo.ts").read_bytes()
    (tmp_path / "x.ts").write_bytes(joined)
    # At one instant there would be frames of the one with the audio of the other.
    for reader in (SoundReader, VideoReader):
        with pytest.raises(DecodeError, match="x.ts: its time stamps begin anew at (2.9|3.0)"):
            reader(tmp_path / "x.ts")


@pytest.mark.parametrize("tag", ["nan:00:01", "00:00:nan", "00:00:inf", "x", "00:00:1e400"])
def test_a_length_that_is_none_is_measured(tmp_path, tag):
    flash_and_click(tmp_path / "x.mkv", 25)
    data = (tmp_path / "x.mkv").read_bytes()
    assert b"00:00:03.0" in data
    (tmp_path / "x.mkv").write_bytes(data.replace(b"00:00:03.000000000"[: len(tag)], tag.encode()))
    with VideoReader(tmp_path / "x.mkv") as reader:
        assert abs(reader.video.duration - 3) < 0.1
