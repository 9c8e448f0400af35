"""The app: what it takes, what it gives back, what it keeps to itself."""

import html
import json
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from helpers import ROOT
from helpers.runs import ENV

from avslowfast.inference.predictor import predict
from avslowfast.visualization.app import AppError, serving

pytestmark = pytest.mark.slow
gradio = pytest.importorskip("gradio", reason="gradio is not installed")
VIDEO = "test/000003.mp4"


@pytest.fixture(scope="module")
def app(network):
    with serving([network, network], port=0, max_seconds=5, max_megabytes=1, topk=3) as running:
        yield running


def client_of(app):
    from gradio_client import Client

    return Client(app.local_url, verbose=False)


def ask(app, path):
    from gradio_client import handle_file

    return client_of(app).predict(handle_file(str(path)), api_name="/recognise")


def test_a_video_is_recognised_by_each_network_and_comes_with_a_page(app, network, synthav):
    first, page, second, _ = ask(app, synthav / VIDEO)
    best = predict(network, synthav / VIDEO, 3)
    assert [(row["label"], pytest.approx(row["confidence"], abs=1e-5)) for row in first["confidences"]] == [
        (name, pytest.approx(score, abs=1e-5)) for name, _, score in best
    ]
    assert second == first
    inside = html.unescape(re.search(r"srcdoc='(.*)'></iframe>", page, re.S)[1])
    assert "sandbox='allow-scripts'" in page
    assert len(json.loads(re.search(r'id="data">(.*?)</script>', inside, re.S)[1])["windows"]) >= 1


def test_what_cannot_be_used_is_one_line_without_a_place_of_this_machine(app, tmp_path, long_video):
    (tmp_path / "broken.mp4").write_bytes(b"no video" * 100)
    long = next(path for path in long_video.iterdir() if path.suffix == ".mp4")
    for path, words in ((tmp_path / "broken.mp4", "broken.mp4"), (long, "s long, and 5 s are taken")):
        with pytest.raises(Exception, match=re.escape(words)) as error:
            ask(app, path)
        assert "avslowfast_app_" not in str(error.value) and "Traceback" not in str(error.value)


def test_larger_files_are_refused(app, tmp_path):
    (tmp_path / "large.mp4").write_bytes(bytes(2_000_000))
    with pytest.raises(Exception, match="(?i)size|large|exceeds"):
        ask(app, tmp_path / "large.mp4")


def test_nothing_else_can_be_read_through_it(app):
    for path in ("/etc/passwd", str(ROOT / "setup.py"), "setup.py", "../setup.py", "/proc/self/environ"):
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(f"{app.local_url}gradio_api/file={path}")
        assert error.value.code in (403, 404)


def test_it_listens_at_this_machine_alone(app):
    port = int(app.local_url.rstrip("/").rsplit(":", 1)[1])
    rows = [line.split() for path in ("tcp", "tcp6") for line in open(f"/proc/net/{path}").readlines()[1:]]
    # State 0A is listening; addresses are in hexadecimal, least significant byte first.
    listening = [row[1].split(":")[0] for row in rows if row[3] == "0A" and int(row[1].split(":")[1], 16) == port]
    assert listening == ["0100007F"]


def test_a_port_that_is_taken_is_named(app, network):
    port = int(app.local_url.rstrip("/").rsplit(":", 1)[1])
    with pytest.raises(AppError, match=f"--port {port} at 127.0.0.1 cannot be used"), serving([network], port=port):
        pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_removes_what_was_uploaded(network, synthav, tmp_path, number):
    words = [sys.executable, "-m", "avslowfast", "app", "--weights", network.meta.source, "--port", "0"]
    process = subprocess.Popen(
        words, env={**ENV, "TMPDIR": str(tmp_path)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    address = process.stdout.readline().split()[0]
    boundary = "x" * 20
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="a.mp4"\r\n\r\n'.encode()
        + (synthav / VIDEO).read_bytes()
        + f"\r\n--{boundary}--\r\n".encode()
    )
    request = urllib.request.Request(
        f"{address}gradio_api/upload", body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    )
    stored = json.load(urllib.request.urlopen(request))[0]
    assert stored.startswith(str(tmp_path)) and os.path.exists(stored)
    process.send_signal(number)
    process.wait(30)
    assert list(tmp_path.glob("avslowfast_app_*")) == []


def test_a_browser_uploads_a_file_and_plays_the_page(app, synthav):
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("there is no chromium here")
    said, asked = [], []
    with playwright.sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        tab = chromium.new_page(viewport={"width": 1600, "height": 1200})
        tab.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(app.local_url)
        tab.set_input_files("input[type=file]", str(synthav / VIDEO))
        tab.wait_for_selector("video")
        tab.get_by_role("button", name="Recognise").click()
        frame = tab.frame_locator("iframe").first
        frame.locator("#bars li").first.wait_for(timeout=60000)
        frame.locator("#mute").click()
        assert "does not hear" in frame.locator("#status").inner_text()
        tab.screenshot(path=os.environ.get("APP_SCREENSHOT", os.devnull), type="png", full_page=True)
        chromium.close()
    assert [text for text in said if "fonts" in text] == []
    outside = [url for url in asked if not url.startswith((app.local_url, "data:", "blob:", "about:"))]
    assert outside == []


def test_without_a_network_there_is_nothing_to_serve():
    with pytest.raises(AppError, match="give one or more with --weights"), serving([]):
        pass


def test_the_public_space_is_the_same_app(network, monkeypatch):
    monkeypatch.setenv("WEIGHTS", network.meta.source)
    space = runpy.run_path(str(ROOT / "examples/space/app.py"))["app"]
    assert [fn.api_name for fn in space.fns.values()] == ["recognise"]
