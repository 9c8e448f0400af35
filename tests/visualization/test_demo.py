"""Annotated copies of videos: length, audio, what is drawn at which time."""

import csv
import dataclasses
import functools
import http.server
import json
import os
import threading

import numpy as np
import pytest
from helpers.sounds import write_sound
from helpers.tools import command
from helpers.videos import click_times, flash_and_click

from avslowfast.inference.sliding_window import slide, Window
from avslowfast.media import transcode, VideoReader, write_video
from avslowfast.synthav.render import render_clip, SAMPLE_RATE
from avslowfast.visualization.colours import class_colour, class_rgb
from avslowfast.visualization.demo import DemoPainter, write_predictions
from avslowfast.visualization.media import Spectrogram
from avslowfast.visualization.text import fitted, font_for


@pytest.mark.parametrize("audio", [True, False])
def test_an_annotated_copy_has_the_length_and_the_audio_of_the_original(trained, tmp_path, audio):
    source = tmp_path / "in.mkv"
    if audio:
        flash_and_click(source, 25, rate=48000, audio_codec="libopus", audio_start=0.1)
    else:
        write_video(source, render_clip("pairs", 0, "test", 0).frames, 15)
    text = command("demo", "--weights", trained, "--input", source, "--output", tmp_path / "demo/out.mp4", "--topk", 3)
    assert "%" in text and ("with audio" in text) == audio
    with VideoReader(source) as old, VideoReader(tmp_path / "demo/out.mp4") as new:
        assert abs((old.video.end - old.video.start) - (new.video.end - new.video.start)) <= 1 / old.video.rate + 1e-3
        assert (new.audio is not None) == audio
        if audio:
            before, after = click_times(old, 0.0, 3.2), click_times(new, 0.0, 3.2)
            assert len(before) == 3 and max(abs(a - b) for a, b in zip(before, after)) < 0.020
        height = new.read_frames([1.0]).shape[1]
        assert height > old.read_frames([1.0]).shape[1] + 64
    content = json.load(open(tmp_path / "demo/predictions.json"))
    rows = list(csv.DictReader(open(tmp_path / "demo/predictions.csv")))
    assert len(rows) == 3 * len(content["windows"])
    assert set(rows[0]) == {"start", "end", "class", "score"} and content["segments"]
    assert abs(float(rows[0]["score"]) - content["windows"][0]["classes"][0]["score"]) < 1e-5


def test_the_frames_of_a_demo_show_the_present(network, synthav):
    video = synthav / "test/000002.mp4"
    windows = slide(network, video)
    painter = DemoPainter(windows, network.meta, video)
    height, width = painter.size(96, 128)
    assert height % 2 == width % 2 == 0
    pixels = np.full((96, 128, 3), 200, np.uint8)
    early, late = painter.paint(pixels, 0.2), painter.paint(pixels, 2.5)
    assert early.shape == late.shape == (height, width, 3)
    assert not np.array_equal(early[96 : 96 + 64], late[96 : 96 + 64])
    # The cursor of the timeline moves.
    cursors = [np.flatnonzero((frame[96 + 64 : 96 + 70] == 255).all(axis=(0, 2))) for frame in (early, late)]
    assert cursors[0].mean() < cursors[1].mean()


def painted(network, video, names, height, width):
    """The frame of a demo of a grey video, whose window has all classes, and the height of what is below the frame."""
    meta = dataclasses.replace(network.meta, class_names=names)
    scores = np.arange(len(names), 0, -1) / len(names) ** 2
    painter = DemoPainter([Window(0.0, 2.0, {"": scores})], meta, video)
    total, wide = painter.size(height, width)
    assert total % 2 == wide % 2 == 0
    frame = painter.paint(np.full((height, width, 3), 200, np.uint8), 1.0)
    assert frame.shape == (total, wide, 3)
    return frame, total - height


def test_letters_grow_with_the_frame_and_names_end_where_there_is_no_room(network, synthav):
    names = ["a class with a name that is so long that no frame has room for all of it " * 3, *"bcdef"]
    below = {}
    for height, width in ((240, 320), (720, 1280), (2160, 3840), (1280, 720)):
        frame, below[height, width] = painted(network, synthav / "test/000002.mp4", names, height, width)
        card = (frame[:height] != 200).any(axis=2)
        side = (frame.shape[1] - width) // 2
        shown = card[:, side : side + width]
        # The list of classes covers a part of the frame, and what it covers is at the top left.
        assert 0.4 < np.flatnonzero(shown.any(axis=0)).max() / width < 0.9
        assert 0.1 < np.flatnonzero(shown.any(axis=1)).max() / height < 0.62
    assert below[2160, 3840] == pytest.approx(3 * below[720, 1280], rel=0.01)
    assert below[1280, 720] == below[720, 1280] and below[240, 320] > 240 * below[720, 1280] / 720


def test_a_class_has_one_colour_in_film_page_and_report(network, synthav):
    names = list("abcdefgh")
    frame, below = painted(network, synthav / "test/000002.mp4", names, 240, 320)
    # The first row of the timeline is that of the best class, whose score dims it.
    row = frame[-below + 60 + 4, frame.shape[1] // 2 + 20 :].astype(float)
    dim = np.array((20, 20, 24)) + (np.array(class_rgb(0)) - (20, 20, 24)) / len(names)
    assert np.abs(np.median(row, axis=0) - dim).max() <= 1
    assert class_colour(0) == "#{:02X}{:02X}{:02X}".format(*class_rgb(0))
    assert len({class_colour(i) for i in range(60)}) > 55


@pytest.mark.parametrize("text", ["плавание", "κολύμπι", "سباحة", "שחייה", "natação", "太鼓を叩く"])
def test_letters_that_a_font_has_are_no_boxes(text):
    font = font_for(text, 20)
    nothing = font.getmask("\U000fffff").getbbox(), bytes(font.getmask("\U000fffff"))
    boxes = [(font.getmask(letter).getbbox(), bytes(font.getmask(letter))) == nothing for letter in text]
    if all(boxes):
        pytest.skip("no font of this machine has these letters")
    assert not any(boxes)


def test_a_text_that_is_too_long_ends_with_an_ellipsis():
    font = font_for("abc", 12)
    assert fitted("clapping", font, 500) == "clapping" and fitted("clapping", font, 2) == ""
    short = fitted("playing the drums", font, 60)
    assert short.endswith("…") and "playing the drums".startswith(short[:-1]) and font.getlength(short) <= 60
    assert font.getlength(fitted("playing the drums", font, 80)) > 60


def test_a_folder_gives_one_folder_per_video_and_a_bad_one_does_not_stop_the_others(trained, synthav, tmp_path):
    (tmp_path / "in").mkdir()
    os.symlink(synthav / "test/000000.mp4", tmp_path / "in/good.mp4")
    (tmp_path / "in/bad.mp4").write_text("text")
    text = command("demo", "--weights", trained, "--input", tmp_path / "in", "--output", tmp_path / "out", code=2)
    assert "bad.mp4: cannot be opened" in text and (tmp_path / "out/good/annotated.mp4").exists()


def test_a_url_is_fetched_and_read_like_a_file(trained, synthav, tmp_path):
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=synthav / "test")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/000004.mp4"
        far = command("demo", "--weights", trained, "--input", url, "--output", tmp_path / "out.mp4").split("\n")
        missing = url.replace("000004", "none")
        assert "none.mp4: cannot be read (No such file or directory); check the address" in command(
            "demo", "--weights", trained, "--input", missing, code=2
        )
        server.shutdown()
    near = command("demo", "--weights", trained, "--input", synthav / "test/000004.mp4").split("\n")
    assert [line for line in far if "%" in line] == [line for line in near if "%" in line]
    assert (tmp_path / "out.mp4").stat().st_size > 1000


def test_a_spectrogram_shows_the_audio_in_its_place(tmp_path):
    # Longer than the pieces that are read at a time (30 s); the second click lies where two of them meet.
    rate, instants = 8000, (1.5, 30.0, 64.5)
    samples = np.zeros(70 * rate, np.float32)
    for instant in instants:
        samples[round(instant * rate) :][:400] = 0.8 * np.sin(np.arange(400))
    write_sound(tmp_path / "x.wav", samples, rate)
    spectrogram = Spectrogram(tmp_path / "x.wav")
    times = np.arange(-3, 75, 0.004)
    image = spectrogram.image(times, 64)
    assert image.shape == (64, len(times), 3) and spectrogram.exists
    loud = times[np.flatnonzero(image.mean(axis=(0, 2)) > 60)]
    for instant in instants:
        # An analysis window of 32 ms begins up to its length before what it hears, to half a step, which lasts 50 ms.
        of_click = loud[np.abs(loud - instant) < 0.5]
        assert len(of_click) and instant - 0.042 < of_click.min() <= of_click.max() < instant + 0.07
    assert all(min(abs(time - instant) for instant in instants) < 0.5 for time in loud)
    assert not image[:, (times < -0.01) | (times > 70.02)].any()
    # Any part of it is the same.
    assert np.array_equal(spectrogram.image(times[8000:9000], 64), image[:, 8000:9000])


def test_a_painter_changes_the_frames_and_nothing_else(tmp_path):
    class Red:
        def size(self, height, width):
            return height, width

        def paint(self, pixels, seconds):
            return np.full_like(pixels, (255, 0, 0) if seconds < 1 else (0, 0, 0))

    clip = render_clip("pairs", 0, "test", 0)
    write_video(tmp_path / "a.mp4", clip.frames, 15, clip.audio, SAMPLE_RATE)
    transcode(tmp_path / "a.mp4", tmp_path / "b.mp4", painter=Red())
    with VideoReader(tmp_path / "b.mp4") as reader:
        early, late = reader.read_frames([0.5, 2.0]).pixels.mean(axis=(1, 2))
    assert early[0] > 200 and early[1] < 40 and late.max() < 20


def test_a_time_just_before_a_minute_is_the_minute(network):
    windows = [Window(0.0, 59.97, {"": np.eye(16, dtype=np.float32)[0]})]
    (line,) = write_predictions(windows, network.meta, "x.mp4", None)
    assert line.startswith("0:00.0 - 1:00.0  100 %")
