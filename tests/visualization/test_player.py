"""The page to play with: what it holds, and what a browser makes of it."""

import base64
import dataclasses
import io
import json
import re
import shutil

import av
import numpy as np
import pytest
import torch
from helpers.sounds import write_sound
from helpers.tools import command
from PIL import Image

from avslowfast.clips.places import spectrogram_span
from avslowfast.config.derived import pathways
from avslowfast.inference.explain import explain
from avslowfast.inference.moments import moments
from avslowfast.inference.scoring import score_clips
from avslowfast.inference.sliding_window import slide
from avslowfast.media import VideoReader
from avslowfast.visualization.colours import class_colour
from avslowfast.visualization.player import write_player

VIDEO = "test/000003.mp4"


def data_of(page):
    return json.loads(re.search(r'id="data">(.*?)</script>', page.read_text(), re.S)[1])


def file_of(page):
    return base64.b64decode(re.search(r'id="file">(.*?)</script>', page.read_text(), re.S)[1])


@pytest.fixture(scope="module")
def found(network, synthav):
    return moments(network, synthav / VIDEO)


def test_moments_are_the_windows_with_either_modality_removed_and_their_evidence(network, synthav, found):
    windows = slide(network, synthav / VIDEO)
    assert [(m.window.start, m.window.stop) for m in found] == [(w.start, w.stop) for w in windows]
    reader = network.meta.clip_reader
    with reader.open(synthav / VIDEO) as media:
        clips = reader.clips_at(media, [found[1].window.start])
    for moment, window in zip(found, windows):
        assert np.allclose(moment.window.scores[""], window.scores[""], atol=1e-6)
        assert moment.class_id == window.scores[""].argmax()
    dropped = score_clips(network, {**clips, "audio_mask": ~clips["audio_mask"]}).only[0]
    assert clips["audio_mask"].all() and np.allclose(found[1].without_audio[""], dropped, atol=1e-6)
    grey = {name: torch.full_like(clips[name], round(255 * 0.45)) for name in ("slow", "fast")}
    assert network.meta.cfg.DATA.MEAN == [0.45, 0.45, 0.45]
    assert np.allclose(found[1].without_frames[""], score_clips(network, {**clips, **grey}).only[0], atol=1e-6)
    alone = explain(network, clips)
    # The cells of a stage are those of which an explanation interpolates its maps.
    assert found[1].visual.max() == found[1].audio.max() == pytest.approx(1)
    assert np.corrcoef(_shrunk(alone.audio, found[1].audio.shape), found[1].audio.ravel())[0, 1] > 0.9


def _shrunk(values, shape):
    (h, w), (rows, columns) = values.shape, shape
    return (
        values[: h // rows * rows, : w // columns * columns].reshape(rows, h // rows, columns, -1).mean((1, 3)).ravel()
    )


def test_a_page_holds_the_file_the_scores_and_the_spectrogram(network, synthav, found, tmp_path):
    page = tmp_path / "deep" / "page.html"
    written = write_player(network, synthav / VIDEO, page, found=found, topk=3)
    data, text = data_of(page), page.read_text()
    assert written.size == page.stat().st_size and written.windows == len(found) == len(data["windows"])
    assert not re.search(r"""(src|href)=["']?(https?:)?//|@import|url\(|fetch\(""", text)
    (tmp_path / "file.mp4").write_bytes(file_of(page))
    with VideoReader(tmp_path / "file.mp4") as inside, VideoReader(synthav / VIDEO) as source:
        assert inside.audio is not None
        assert inside.video.duration == pytest.approx(source.video.duration, abs=0.05)
        assert data["duration"] == pytest.approx(source.clock.duration, abs=0.01)
    names = network.meta.class_names
    assert all(colour == class_colour(names.index(name)) for name, colour in data["classes"])
    for case, scores in (("both", found[0].window.scores), ("mute", found[0].without_audio)):
        best = [(data["classes"][number][0], score) for number, score in data["cases"][case]["best"][0]]
        order = np.argsort(-scores[""], kind="stable")[:3]
        assert best == [(names[i], pytest.approx(scores[""][i], abs=1e-4)) for i in order]
    settings = network.meta.clip_reader.settings
    begins = [moment.start for moment in found]
    assert data["evidence"]["spans"] == {
        "visual": [pytest.approx((start, start + settings.duration), abs=2e-3) for start in begins],
        "audio": [pytest.approx(spectrogram_span(settings, settings.audio, start), abs=2e-3) for start in begins],
    }
    shape = data["evidence"]["visual"]["shape"]
    values = base64.b64decode(data["evidence"]["visual"]["values"])
    assert len(values) == len(found) * np.prod(shape) and max(values) == 255
    image = Image.open(io.BytesIO(base64.b64decode(data["spectrogram"]["images"][0].split(",")[1])))
    assert image.width == np.ceil(data["duration"] * data["spectrogram"]["rate"])
    assert np.asarray(image.convert("RGB")).std() > 10


def test_a_network_that_only_sees_or_only_hears_has_what_it_has(fresh, synthav, tmp_path):
    for arch in ("slow", "audio"):
        page = tmp_path / f"{arch}.html"
        model = fresh("MODEL.ARCH", arch)
        write_player(model, synthav / VIDEO, page)
        data = data_of(page)
        assert list(data["cases"]) == ["both"] and 'id="mute"' not in page.read_text()
        assert (data["evidence"]["visual"] is None, data["evidence"]["audio"] is None) == (
            ("slow" not in pathways(model.meta.cfg)),
            ("audio" not in pathways(model.meta.cfg)),
        )


def test_a_sound_becomes_a_page_with_a_player_of_sound(fresh, tmp_path):
    page, sound = tmp_path / "page.html", tmp_path / "sound.wav"
    write_sound(sound, np.sin(np.arange(48000) / 5), 16000)
    write_player(fresh("MODEL.ARCH", "audio"), sound, page)
    data = data_of(page)
    assert data["type"] == "audio/mp4" and "<audio id='media'" in page.read_text()
    with av.open(io.BytesIO(file_of(page))) as inside:
        assert inside.duration / 1e6 == pytest.approx(data["duration"], abs=0.1)


def test_names_of_files_and_classes_cannot_leave_their_place(fresh, synthav, tmp_path):
    model = fresh("MODEL.NUM_CLASSES", 2)
    names = ["</script><script>alert(1)</script>", "a<b>&amp;$x"]
    model.meta = dataclasses.replace(model.meta, class_names=names)
    path = tmp_path / "<img src=x onerror=alert(1)>.mp4"
    shutil.copyfile(synthav / VIDEO, path)
    write_player(model, path, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert text.count("</script>") == 3 and "<img" not in text
    assert {name for name, _ in data_of(tmp_path / "page.html")["classes"]} == set(names)


def test_the_demo_writes_pages(network, synthav, tmp_path):
    words = ["demo", "--weights", network.meta.source, "--input", synthav / VIDEO]
    assert "opens in a browser" in command(*words, "--html", tmp_path / "page.html")
    assert data_of(tmp_path / "page.html")["cases"].keys() == {"both", "mute", "blind"}
    command(*words, "--html", tmp_path / "pages")
    assert (tmp_path / "pages/000003.html").exists()
    words[-1] = synthav / "test"
    assert "name a folder as output" in command(*words, "--html", tmp_path / "page.html", code=2)


@pytest.mark.slow
def test_a_browser_plays_seeks_and_toggles(network, synthav, found, tmp_path):
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("there is no chromium here")
    page = tmp_path / "page.html"
    write_player(network, synthav / VIDEO, page, found=found)
    data, said = data_of(page), []
    with playwright.sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        for width, scheme in ((390, "light"), (800, "dark"), (1600, "light")):
            tab = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            tab.on("console", lambda message: said.append(message.text))
            tab.on("pageerror", lambda error: said.append(str(error)))
            tab.on("request", lambda request: said.append(request.url) if request.url.startswith("http") else None)
            tab.goto(page.as_uri())
            tab.wait_for_function("document.getElementById('media').readyState >= 2")
            assert tab.evaluate("document.documentElement.scrollWidth") == width
            _use(tab, data)
            tab.close()
        chromium.close()
    assert said == []


def _use(tab, data):
    """Click, type and play in a page, and compare what it shows with its data."""

    def time():
        return tab.evaluate("document.getElementById('media').currentTime")

    def shown(case):
        middles = [sum(window) / 2 for window in data["windows"]]
        index = int(np.argmin([abs(middle - time()) for middle in middles]))
        return [data["classes"][number][0] for number, _ in data["cases"][case]["best"][index]]

    def bars():
        return [item.split("\n")[0] for item in tab.locator("#bars li").all_inner_texts()]

    box = tab.locator("#timeline").bounding_box()
    tab.mouse.click(box["x"] + 0.7 * box["width"], box["y"] + 10)
    tab.wait_for_timeout(300)
    assert time() == pytest.approx(0.7 * data["duration"], abs=0.05)
    assert bars() == shown("both")
    tab.click("#mute")
    assert bars() == shown("mute") and tab.get_attribute("#mute", "aria-pressed") == "true"
    tab.click("#blind")
    assert bars() == [] and "neither" in tab.inner_text("#status")
    tab.click("#mute")
    assert bars() == shown("blind")
    tab.click("#blind")
    tab.click("#evidence")
    heat = "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.reduce((a, b) => Math.max(a, b), 0)"
    assert tab.locator("#heat").evaluate(heat) > 0
    tab.focus("#timeline")
    tab.keyboard.press("Home")
    tab.wait_for_timeout(300)
    assert time() == 0 and tab.get_attribute("#timeline", "aria-valuetext").startswith("0:00.0: ")
    tab.keyboard.press("ArrowRight")
    tab.wait_for_timeout(300)
    assert time() == pytest.approx(data["windows"][1][0] - data["windows"][0][0], abs=0.1)
    tab.click("summary")
    tab.locator("#segments button").last.click()
    tab.wait_for_timeout(300)
    assert time() == pytest.approx(data["cases"]["both"]["segments"][-1][0], abs=0.05)
    tab.keyboard.press("Tab")
    tab.evaluate("media => { media = document.getElementById('media'); media.currentTime = 0; media.muted = true }")
    tab.focus("#timeline")
    tab.keyboard.press(" ")
    tab.wait_for_timeout(800)
    assert time() > 0.2
