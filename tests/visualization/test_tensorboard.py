"""What TensorBoard shows of a run: read from its files, and asked of TensorBoard itself over HTTP."""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
import wave

import numpy as np
import pytest
import torch
from helpers.runs import ENV, run
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from avslowfast.evaluation.protocols.base import Evaluation
from avslowfast.tasks.scores import ClassScores
from avslowfast.visualization.matrix import draw_named
from avslowfast.visualization.tensorboard import TensorBoardLogger
from avslowfast.watching.base import LoggedRun

OPTIONS = {"LOG_DIR": "", "CONFUSION_MATRIX": True, "CLIPS": 2, "HISTOGRAMS": True}
SETTINGS = {"SOLVER.BASE_LR": 0.1, "MODEL.ARCH": "avslowfast", "DATA.MEAN": [0.5, 0.25], "OUTPUT_DIR": "/anywhere"}


def logger_of(folder, **more):
    return TensorBoardLogger(OPTIONS, LoggedRun("id", str(folder), SETTINGS, **more))


def events_of(folder):
    events = EventAccumulator(str(folder / "tensorboard"), size_guidance={"images": 0, "audio": 0, "tensors": 0})
    events.Reload()
    return events


def test_frames_and_audio_of_clips_have_tags_of_their_own(synthav, tmp_path):
    logger = logger_of(tmp_path)
    logger.write_epoch(torch.nn.Linear(1, 1), [str(synthav / f"test/00000{i}.mp4") for i in range(3)], 5)
    logger.close(True)
    events = events_of(tmp_path)
    tags = events.Tags()
    assert set(tags["images"]) == {"clips/0/frames", "clips/1/frames"}
    assert set(tags["audio"]) == {"clips/0/audio", "clips/1/audio"}
    assert set(tags["histograms"]) == {"weight", "bias"}
    assert events.Audio("clips/0/audio")[0].sample_rate == 16000
    assert "SOLVER.BASE_LR: 0.1" in events.Tensors("configuration/text_summary")[0].tensor_proto.string_val[0].decode()


@pytest.mark.parametrize(("classes", "tags"), [(3, {"val/confusion"}), (60, {"val/confusion", "val/confusion_all"})])
def test_the_confusion_matrix_is_labelled_whatever_the_number_of_classes(tmp_path, classes, tags):
    scores = np.eye(classes, dtype=np.float32)
    scores[[0, 1]] = scores[[1, 0]]
    names = ["плавание", "$x$ <b>", *(f"a class with quite a long name, number {i}" for i in range(2, classes))]
    logger = logger_of(tmp_path, class_names=names)
    logger.write_evaluation(Evaluation(ClassScores({"": scores}), np.arange(classes), ["a"] * classes), 1)
    logger.close(True)
    events = events_of(tmp_path)
    assert set(events.Tags()["images"]) == tags
    for tag in tags:
        pixels = np.asarray(Image.open(io.BytesIO(events.Images(tag)[0].encoded_image_string)))
        assert min(pixels.shape[:2]) > 300 and (pixels < 100).any()
    counts = np.eye(classes, dtype=np.int64)[[1, 0, *range(2, classes)]]
    axes = draw_named(counts, names, [0, 1, 2]).axes[0]
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [label.get_text() for label in labels] == ["плавание", "$x$ <b>", "a class with quite a long name,…"]
    assert axes.images[0].get_array().tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1]]


# ---- TensorBoard itself ----------------------------------------------------------------------------------------------


class Server:
    """A TensorBoard process on a folder."""

    def __init__(self, folder, fast):
        words = ["--logdir", str(folder), "--host", "127.0.0.1", "--port", "0", f"--load_fast={fast}"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tensorboard.main", *words], env=ENV, stderr=subprocess.PIPE, text=True
        )
        self.said = []
        for line in self.process.stderr:
            self.said.append(line)
            if found := re.search(r"http://127\.0\.0\.1:\d+/", line):
                self.address = found[0]
                break
        else:
            raise AssertionError("".join(self.said))
        # A full pipe would stop it.
        threading.Thread(target=self.process.stderr.read, daemon=True).start()

    def fetch(self, route, body=None, **query):
        address = f"{self.address}data/plugin/{route}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.read()

    def ask(self, route, body=None, **query):
        return json.loads(self.fetch(route, body, **query))

    def ask_until(self, complete, route, body=None):
        """The answer once it is complete: the files are read in the background."""
        for _ in range(100):
            answer = self.ask(route, body)
            if complete(answer):
                return answer
            time.sleep(0.2)
        raise AssertionError(answer)


@contextlib.contextmanager
def tensorboard(folder, fast):
    server = Server(folder, fast)
    try:
        yield server
    finally:
        server.process.terminate()
        server.process.wait(20)


@pytest.fixture(scope="module")
def two_runs(synthav, tmp_path_factory):
    """Folder of two short trainings that differ in a rate."""
    folder = tmp_path_factory.mktemp("runs")
    for name, rate in (("slow", 0.01), ("quick", 0.05)):
        run(
            ["DATA.PATH_TO_DATA_DIR", synthav, "OUTPUT_DIR", folder / name, "TRAIN.BATCH_SIZE", 8],
            *("SOLVER.MAX_EPOCH", 1, "SOLVER.WARMUP_EPOCHS", 0, "SOLVER.BASE_LR", rate, "DATA_LOADER.NUM_WORKERS", 0),
            *("BN.NUM_BATCHES_PRECISE", 2, "RESNET.WIDTH_PER_GROUP", 8, "LOG_MODEL_INFO", False),
            *("TENSORBOARD.CLIPS", 2, "TEST.ENABLE", False, "LOG_PERIOD", 2),
        )
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("fast", ["true", "false"])
def test_tensorboard_lists_and_gives_images_sounds_text_and_hyperparameters(two_runs, fast):
    names = [os.path.join(name, "tensorboard") for name in ("slow", "quick")]
    with tensorboard(two_runs, fast) as server:
        images = server.ask_until(lambda found: len(found) == 2, "images/tags")
        audio, texts = server.ask("audio/tags"), server.ask("text/tags")
        for name in names:
            assert set(images[name]) == {"val/confusion", "clips/0/frames", "clips/1/frames"}
            assert set(audio[name]) == {"clips/0/audio", "clips/1/audio"}
            assert texts[name] == ["configuration/text_summary"]
            of_image = {"run": name, "tag": "clips/0/frames", "sample": 0}
            (found,) = server.ask("images/images", **of_image)
            pixels = Image.open(io.BytesIO(server.fetch(f"images/individualImage?{found['query']}")))
            assert pixels.height == 96 and np.asarray(pixels).std() > 10
            of_audio = {"run": name, "tag": "clips/0/audio", "sample": 0}
            (found,) = server.ask("audio/audio", **of_audio)
            with wave.open(io.BytesIO(server.fetch(f"audio/individualAudio?{found['query']}"))) as sound:
                samples = np.frombuffer(sound.readframes(sound.getnframes()), np.int16)
                assert sound.getframerate() == 16000 and 1.5 < len(samples) / 16000 <= 4 and samples.std() > 100
            (text,) = server.ask("text/text", run=name, tag="configuration/text_summary")
            assert "SOLVER.BASE_LR: 0.0" in text["text"]
        check_hyperparameters(server, names)


def check_hyperparameters(server, names):
    experiment = server.ask("hparams/experiment", {"experimentName": "", "hparamsLimit": 0})
    known = {info["name"]: info for info in experiment["hparamInfos"]}
    assert known["SOLVER.BASE_LR"]["differs"] and not known["MODEL.ARCH"].get("differs")
    assert "OUTPUT_DIR" not in known and {"RNG_SEED", "TRAIN.BATCH_SIZE", "DATA.MEAN"} <= known.keys()
    metrics = {(info["name"].get("group", ""), info["name"]["tag"]) for info in experiment["metricInfos"]}
    assert {("", "val/top1"), ("", "epoch/loss"), ("", "train/loss")} <= metrics
    wanted = [{"hparam": name} for name in ("SOLVER.BASE_LR", "MODEL.ARCH")]
    body = {
        "experimentName": "",
        "allowedStatuses": ["STATUS_SUCCESS", "STATUS_RUNNING", "STATUS_FAILURE", "STATUS_UNKNOWN"],
        "colParams": [*wanted, {"metric": {"tag": "val/top1", "group": ""}, "includeInResult": True}],
        "startIndex": 0,
        "sliceSize": 10,
    }
    found = {}
    for group in server.ask("hparams/session_groups", body)["sessionGroups"]:
        (session,) = group["sessions"]
        found[session["name"]] = group["hparams"]["SOLVER.BASE_LR"], session
    assert {name: rate for name, (rate, _) in found.items()} == dict(zip(names, (0.01, 0.05)))
    for name, (_, session) in found.items():
        assert session["status"] == "STATUS_SUCCESS"
        at_end = {value["name"]["tag"]: value for value in session["metricValues"]}
        events = server.ask("scalars/scalars", run=name, tag="val/top1")
        assert at_end["val/top1"]["value"] == pytest.approx(events[-1][2])
