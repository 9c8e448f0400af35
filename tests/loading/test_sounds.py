"""Sound files as data of a network without frames."""

import numpy as np
import pytest
import torch
from helpers import tiny_cfg
from helpers.lists import clip_dataset
from helpers.sounds import write_sound
from helpers.videos import flash_and_click

from avslowfast.clips import ClipReader
from avslowfast.datasets import Record
from avslowfast.loading.build import clip_settings
from avslowfast.loading.samplers import SampleKey
from avslowfast.media import DecodeError, open_media, VideoReader, write_video

RATE = 16000
ONLY_SOUND = ("MODEL.ARCH", "audio")
# Seconds of a clip of the tiny network: its 8 frames 4 / 30 s apart, which its 64 spectrogram frames are within.
CLIP = 32 / 30


def clicks(seconds, *instants):
    samples = np.zeros(round(seconds * RATE), np.float32)
    for instant in instants:
        first = round(instant * RATE)
        samples[first : first + 400] = 0.8 * np.sin(np.arange(len(samples[first : first + 400])) * 0.6)
    return samples


def loud_frame(spectrogram):
    """Number of the spectrogram frame in which a click begins."""
    return int((spectrogram[0].mean(dim=1) > 0).nonzero()[0])


@pytest.mark.parametrize("ending", ["wav", "flac", "mp3", "ogg", "opus", "m4a", "aac", "aiff", "mka", "caf", "w64"])
def test_the_clock_of_a_sound_file_is_that_of_its_sound(tmp_path, ending):
    codec = {"ogg": "libopus", "opus": "libopus", "mka": "flac", "caf": "pcm_s16le"}.get(ending)
    write_sound(tmp_path / f"x.{ending}", clicks(3.0, 1.0), RATE, codec=codec)
    with open_media(tmp_path / f"x.{ending}", frames=False) as reader:
        assert reader.video is None
        assert reader.clock == reader.extent == reader.audio
        assert 2.99 <= reader.audio.duration < 3.2
        samples, has_audio = reader.read_audio(reader.audio.start, 3.0)
        # Formats that cannot say so begin with the encoder's delay, at most two frames of 1,024 samples.
        assert -0.001 <= np.flatnonzero(np.abs(samples) > 0.2)[0] / RATE - 1.0 < 0.13
        assert has_audio


def test_a_picture_on_the_cover_is_no_video(tmp_path):
    write_sound(tmp_path / "x.mp3", clicks(2.0, 1.0), RATE, cover=True)
    with open_media(tmp_path / "x.mp3", frames=False) as reader:
        assert reader.clock == reader.audio
    with pytest.raises(DecodeError, match="no video stream"):
        VideoReader(tmp_path / "x.mp3")


def test_a_short_sound_lies_anywhere_in_a_training_clip_and_in_the_middle_of_the_others(tmp_path):
    write_sound(tmp_path / "x.wav", clicks(0.4, 0.0), RATE)
    records = [Record(str(tmp_path / "x.wav"), 0)]
    train = clip_dataset(records, "train", *ONLY_SOUND)
    starts = [float(train[SampleKey(0, epoch, 0)]["start"]) for epoch in range(200)]
    assert min(starts) < 0.4 - CLIP + 0.02
    assert -0.02 < max(starts) <= 0.0
    assert abs(np.mean(starts) - (0.4 - CLIP) / 2) < 0.06
    for sample in (clip_dataset(records, split, *ONLY_SOUND)[0] for split in ("val", "test")):
        assert sample["start"].flatten().tolist() == pytest.approx([(0.4 - CLIP) / 2] * sample["start"].numel())
        spectrograms = sample["audio"].reshape(-1, 1, 64, 40)
        for spectrogram in spectrograms:
            # Silence, the click in the middle, silence; a window is 2 steps long.
            assert loud_frame(spectrogram) == pytest.approx((CLIP - 0.4) / 2 / (CLIP / 64), abs=2)
            assert (spectrogram[0, :16] < -1).all()
            assert (spectrogram[0, -8:] < -1).all()


def test_long_sounds_are_cut_at_random_and_seen_from_end_to_end(tmp_path):
    write_sound(tmp_path / "x.flac", clicks(6.0, 3.0), RATE)
    records = [Record(str(tmp_path / "x.flac"), 0)]
    starts = [float(clip_dataset(records, "train", *ONLY_SOUND)[SampleKey(0, n, 0)]["start"]) for n in range(60)]
    assert 0 <= min(starts) < 0.5
    assert 6 - CLIP - 0.5 < max(starts) <= 6 - CLIP
    views = clip_dataset(records, "test", *ONLY_SOUND, "TEST.NUM_ENSEMBLE_VIEWS", 5)[0]
    np.testing.assert_allclose(views["start"], np.linspace(0, 6 - CLIP, 5), atol=1e-6)
    assert views["audio_mask"].all()


def test_a_clip_is_as_long_as_its_spectrogram():
    settings = clip_settings(tiny_cfg(*ONLY_SOUND, "DATA.AUDIO_FRAME_NUM", 128, "SLOWFAST.AU_ALPHA", 32))
    assert settings.duration == pytest.approx(127 * 0.016 + 0.032)
    assert clip_settings(tiny_cfg("DATA.AUDIO_FRAME_NUM", 128, "SLOWFAST.AU_ALPHA", 32)).duration == pytest.approx(CLIP)


def test_the_sound_of_a_video_is_read_without_its_frames(tmp_path):
    flash_and_click(tmp_path / "x.mkv", 25, video_start=0.5, audio_start=0.5)
    frames, sound = (ClipReader(clip_settings(tiny_cfg(*args))) for args in ((), ONLY_SOUND))
    with frames.open(tmp_path / "x.mkv") as video, sound.open(tmp_path / "x.mkv") as reader:
        assert reader.video is None
        assert reader.decoded_frames == 0
        assert reader.clock == video.clock
        # A segment lies where it lies for a network with frames.
        assert sound.bounds(reader, (1.0, 2.5)) == frames.bounds(video, (1.0, 2.5)) == (1.5, 3.0)
        at = (0.8, 2.0)
        a, b = (r.test_views(m, span=at, num_views=1, num_crops=1) for r, m in ((frames, video), (sound, reader)))
        assert torch.equal(a["audio"], b["audio"])
        with pytest.raises(DecodeError, match="sound alone"):
            reader.read_frames([1.0])


def test_frames_that_nothing_decodes_do_not_matter_to_a_network_without(tmp_path):
    flash_and_click(tmp_path / "x.mkv", 25, audio_codec="flac", rate=RATE)
    content = (tmp_path / "x.mkv").read_bytes()
    assert content.count(b"V_MPEG4/ISO/AVC") == 1
    (tmp_path / "x.mkv").write_bytes(content.replace(b"V_MPEG4/ISO/AVC", b"V_MPEG9/ISO/AVC"))
    with pytest.raises(DecodeError):
        VideoReader(tmp_path / "x.mkv")
    sample = clip_dataset([Record(str(tmp_path / "x.mkv"), 0)], "test", *ONLY_SOUND)[0]
    assert "failure" not in sample
    assert sample["audio_mask"].any()


def test_a_still_picture_does_not_shorten_its_sound(tmp_path):
    samples = clicks(8.0, 1.0, 7.0)
    write_video(tmp_path / "x.mp4", np.zeros((1, 64, 64, 3), np.uint8), 25, samples, RATE)
    views = clip_dataset([Record(str(tmp_path / "x.mp4"), 0)], "test", *ONLY_SOUND, "TEST.NUM_ENSEMBLE_VIEWS", 3)[0]
    assert float(views["start"][-1]) == pytest.approx(8 - CLIP, abs=0.1)


def test_videos_without_sound_are_silent_and_files_without_either_fail(tmp_path):
    write_video(tmp_path / "silent.mp4", np.zeros((50, 64, 64, 3), np.uint8), 25)
    (tmp_path / "text.wav").write_text("text")
    silent, text = (Record(str(tmp_path / name), 0) for name in ("silent.mp4", "text.wav"))
    dataset = clip_dataset([silent, text], "test", *ONLY_SOUND)
    assert not dataset[0]["audio_mask"].any()
    assert "cannot be opened" in dataset[1]["failure"]


def test_a_network_with_frames_says_what_a_sound_file_lacks(tmp_path):
    write_sound(tmp_path / "x.wav", clicks(2.0, 1.0), RATE)
    assert clip_dataset([Record(str(tmp_path / "x.wav"), 0)], "test")[0]["failure"] == (
        "no video stream in it, only audio, which networks without frames (MODEL.ARCH audio) use"
    )


def test_a_segment_counts_along_the_sound_and_has_to_begin_within_it(tmp_path):
    write_sound(tmp_path / "x.wav", clicks(4.0, 2.2), RATE)
    path = str(tmp_path / "x.wav")
    inside, beyond = (Record(path, 0, span=span) for span in ((2.0, 2.6), (5.0, 6.0)))
    dataset = clip_dataset([inside, beyond], "test", *ONLY_SOUND)
    assert float(dataset[0]["start"][0]) == pytest.approx(2.3 - CLIP / 2)
    assert "lies after its end at 4.00 s" in dataset[1]["failure"]
