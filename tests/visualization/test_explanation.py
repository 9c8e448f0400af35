"""Explanations as pictures and videos: the evidence lies where the network's crop lies, colours, axes, times."""

import numpy as np
import pytest
from helpers.tools import command
from helpers.videos import click_times, flash_and_click
from PIL import Image

from avslowfast.clips.places import band_frequencies, crop_box, row_times
from avslowfast.inference.explain import explain
from avslowfast.inference.moments import Moment
from avslowfast.inference.sliding_window import Window
from avslowfast.media import VideoReader, write_video
from avslowfast.visualization.evidence import COLOUR, OPACITY, overlaid, tinted
from avslowfast.visualization.explanation import draw_explanation
from avslowfast.visualization.explanation_video import EvidencePainter


@pytest.mark.parametrize(
    ("height", "width", "box"),
    [(200, 400, (100, 0, 300, 200)), (400, 200, (0, 100, 200, 300)), (96, 128, (16, 0, 112, 96))],
)
def test_the_crop_lies_where_the_network_takes_it_from(network, tmp_path, height, width, box):
    meta = network.meta
    found = crop_box(meta.clip_reader.settings, height, width)
    assert np.allclose(found, box, atol=max(height, width) / 96)
    left, top, right, bottom = (round(side) for side in found)
    frames = np.zeros((30, height, width, 3), np.uint8)
    frames[:, top:bottom, left:right] = 255
    write_video(tmp_path / "crop.mp4", frames, 15)
    crop = meta.preprocess(tmp_path / "crop.mp4", views=1, crops=1)["fast"][0].float()
    assert crop[..., 2:-2, 2:-2].min() > 230 and crop.min() > 100
    # What lies just inside of a side of the box is seen at that side.
    inner = np.zeros_like(frames)
    inner[:, top + 9 : bottom - 9, left + 9 : right - 9] = 255
    write_video(tmp_path / "inner.mp4", inner, 15)
    crop = meta.preprocess(tmp_path / "inner.mp4", views=1, crops=1)["fast"][0].float().mean((0, 1))
    assert max(crop[0].max(), crop[-1].max(), crop[:, 0].max(), crop[:, -1].max()) < 30


def test_colour_is_in_proportion_to_the_evidence_and_stays_in_the_crop():
    pixels = np.random.default_rng(0).integers(0, 256, (40, 80, 3), np.uint8)
    level = np.linspace(0, 1, 5, dtype=np.float32)[None]
    grey = np.full((1, 5, 3), 100, np.uint8)
    expected = 100 + OPACITY * level[0][:, None] * (np.array(COLOUR) - 100)
    assert np.abs(tinted(grey, level)[0] - expected).max() <= 0.5
    assert np.array_equal(overlaid(pixels, np.zeros((4, 4), np.float32), (20, 0, 60, 40)), pixels)
    changed = (overlaid(pixels, np.ones((4, 4), np.float32), (20, 0, 60, 40)) != pixels).any(axis=2)
    assert changed[:, 20:60].mean() > 0.99 and not changed[:, :20].any() and not changed[:, 60:].any()
    # A cell of four lies in its quarter of the crop.
    cells = np.zeros((2, 2), np.float32)
    cells[1, 0] = 1
    where = np.abs(overlaid(pixels, cells, (20, 0, 60, 40)).astype(int) - pixels).sum(axis=2)
    assert where[30:, 20:30].min() >= 0 and where[30:, 20:30].mean() > 5 * where[:10, 50:60].mean()


def test_rows_and_bands_of_the_spectrogram_have_their_seconds_and_hertz(network, tmp_path):
    settings = network.meta.clip_reader.settings
    rate, instant = 16000, 1.02
    audio = 0.001 * np.random.default_rng(0).standard_normal(2 * rate).astype(np.float32)
    audio[round(instant * rate) :][:800] += 0.5 * np.sin(2 * np.pi * 2000 * np.arange(800) / rate)
    write_video(tmp_path / "x.mp4", np.zeros((30, 64, 80, 3), np.uint8), 15, audio, rate)
    clip = network.meta.preprocess(tmp_path / "x.mp4", views=1, crops=1)
    spectrogram = clip["audio"][0, 0].numpy()
    row, band = np.unravel_index(spectrogram.argmax(), spectrogram.shape)
    times, bands = row_times(settings, settings.audio, float(clip["start"][0])), band_frequencies(settings.audio)
    assert len(times) == len(spectrogram) and len(bands) == spectrogram.shape[1]
    assert times[row] == pytest.approx(instant + 0.025, abs=0.03)
    assert bands[band] == pytest.approx(2000, rel=0.08)


def test_a_picture_shows_the_frames_of_the_source(network, synthav, tmp_path):
    video = synthav / "test/000003.mp4"
    explanation = explain(network, network.meta.preprocess(video, views=1, crops=1))
    sizes = []
    for name, source in (("crop", None), ("source", video)):
        draw_explanation(explanation, network.meta, str(tmp_path / f"{name}.png"), "a title", video=source)
        sizes.append(Image.open(tmp_path / f"{name}.png").size)
    # Frames of the source are wider than high, the crop is square: three rows become two.
    assert sizes[0][0] == pytest.approx(sizes[1][0], rel=0.05) and sizes[0][1] > sizes[1][1]


def moment_at(start, stop, visual, audio=None):
    scores = {"": np.array([0.25, 0.75])}
    return Moment(Window(start, stop, scores), start, scores, scores, 1, visual, audio)


def test_evidence_over_time_is_that_of_the_windows(network, synthav):
    seconds = network.meta.clip_reader.settings.duration
    first = np.zeros((2, 4, 4), np.float32)
    first[0, 1, 1] = first[1, 2, 2] = 1
    found = [moment_at(0.0, seconds, first), moment_at(seconds, 2 * seconds, np.full((2, 4, 4), 0.5, np.float32))]
    painter = EvidencePainter(found, network.meta, 1, synthav / "test/000003.mp4")
    assert np.allclose(painter.evidence_at(seconds / 4), first[0])
    assert np.allclose(painter.evidence_at(3 * seconds / 4), first[1])
    assert np.allclose(painter.evidence_at(seconds / 2), first.mean(axis=0))
    assert np.allclose(painter.evidence_at(1.6 * seconds), 0.5)
    height, width = painter.size(240, 320)
    pixels = np.full((240, 320, 3), 90, np.uint8)
    shown = painter.paint(pixels, seconds / 4)
    assert shown.shape == (height, width, 3)
    top, left = (shown[:, width // 2 - 155] == 90).all(axis=1).argmax(), (width - 320) // 2
    frame = shown[top : top + 240, left : left + 320]
    # 320 x 240: the crop lies between columns 40 and 280; the cell of evidence in the second row and column of four.
    tinted_at = np.argwhere((frame != 90).any(axis=2))
    assert tinted_at[:, 0].mean() == pytest.approx(90, abs=3) and tinted_at[:, 1].mean() == pytest.approx(130, abs=3)
    # The position moves along the log-mel, whose labels lie on the left.
    places = []
    for share in (0.25, 0.5):
        strip = painter.paint(pixels, share * 2 * seconds)[top + 240 + 4]
        places.append(np.flatnonzero((strip == 255).all(axis=1)).mean())
    wide = width - painter._labels
    assert places[1] - places[0] == pytest.approx(0.25 * wide, abs=2)
    assert places[0] == pytest.approx(painter._labels + 0.25 * wide, abs=2)


def test_the_command_writes_a_video_with_the_sound_and_the_times_of_its_source(trained, tmp_path):
    source = tmp_path / "in.mkv"
    flash_and_click(source, 25, rate=48000, audio_codec="libopus", audio_start=0.1)
    words = ("explain", "--weights", trained, "--video", "--out", tmp_path / "out", source)
    assert "with audio" in command(*words)
    with VideoReader(source) as old, VideoReader(tmp_path / "out/in.mp4") as new:
        assert new.video.duration == pytest.approx(old.video.duration, abs=1 / 25 + 1e-3)
        before, after = click_times(old, 0.0, 3.2), click_times(new, 0.0, 3.2)
        assert len(before) == 3 and max(abs(a - b) for a, b in zip(before, after)) < 0.02
        height, width = new.read_frames([0.0]).shape[1:3]
        assert width > 80 and height > 64 + 100
    assert (tmp_path / "out/in.png").exists() and (tmp_path / "out/in.json").exists()
