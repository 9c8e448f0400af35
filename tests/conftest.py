"""Fixtures shared by all tests: tiny configurations, small rendered videos, the folder of real files."""

import os
import signal

import pytest
import torch
from helpers import SHARED, tiny_cfg
from helpers.runs import run, SHORT_RUN
from helpers.videos import write_long_video

import avslowfast
from avslowfast.config import names as registries
from avslowfast.inference.load import ModelMeta
from avslowfast.models import build_model
from avslowfast.synthav import render_dataset

# Tests send signals to processes, which inherit that nohup and shells ignore some for what they start in background.
for _number, _handler in ((signal.SIGHUP, signal.SIG_DFL), (signal.SIGINT, signal.default_int_handler)):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, _handler)

# xdist runs a test process a core; each keeps to its own.
torch.set_num_threads(int(os.environ.get("AVSLOWFAST_TEST_THREADS", "1")))


@pytest.fixture(scope="session")
def shared():
    """The folder of real clips and label files."""
    if not SHARED.is_dir():
        pytest.skip("the folder ../shared with real clips and label files is not here")
    return SHARED


def _session_folder(tmp_path_factory, name):
    # xdist's processes share one folder, so that each clip is rendered once.
    base = tmp_path_factory.getbasetemp()
    base = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    folder = base / name
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def synthav(tmp_path_factory):
    """A small SynthAV: 32 training, 16 validation and 16 test clips."""
    folder = _session_folder(tmp_path_factory, "synthav")
    render_dataset(folder, "pairs", {"train": 32, "val": 16, "test": 16}, seed=7)
    return folder


@pytest.fixture(scope="session")
def long_video(tmp_path_factory):
    """Folder of a long video that tells its seconds, see `helpers.videos.write_long_video`."""
    folder = tmp_path_factory.mktemp("long")
    write_long_video(folder)
    return folder


@pytest.fixture
def run_args(synthav, tmp_path):
    """Overrides for a run of the tiny network on the small SynthAV, with its output in a folder of its own."""
    return [
        "DATA.PATH_TO_DATA_DIR",
        str(synthav),
        "OUTPUT_DIR",
        str(tmp_path / "out"),
        "TRAIN.BATCH_SIZE",
        8,
        "SOLVER.MAX_EPOCH",
        2,
        "DATA_LOADER.NUM_WORKERS",
        0,
        "BN.NUM_BATCHES_PRECISE",
        2,
        "LOG_PERIOD",
        2,
        "TRAIN.EVAL_PERIOD",
        1,
        "TEST.NUM_ENSEMBLE_VIEWS",
        2,
        "TEST.NUM_SPATIAL_CROPS",
        1,
        "RESNET.WIDTH_PER_GROUP",
        8,
        "LOG_MODEL_INFO",
        False,
        # Its clips are decoded anew after every epoch.
        "TENSORBOARD.ENABLE",
        False,
    ]


@pytest.fixture(scope="session")
def trained(tmp_path_factory, synthav):
    """OUTPUT_DIR of a short run."""
    folder = tmp_path_factory.mktemp("run") / "out"
    run(
        [
            "DATA.PATH_TO_DATA_DIR",
            synthav,
            "OUTPUT_DIR",
            folder,
            *SHORT_RUN,
            "EMA.ENABLE",
            True,
            "EMA.DECAY",
            0.5,
            "DATA.LOGMEL_ON_DEVICE",
            True,
            "TEST.USE_BEST",
            True,
        ]
    )
    return folder


@pytest.fixture(scope="session")
def network(trained):
    """The network of the short run, as `load_model` gives it."""
    return avslowfast.load_model(trained, device="cpu")[0]


@pytest.fixture
def fresh():
    """A function of overrides: the tiny network with fresh weights, as `load_model` gives it."""

    def make(*overrides):
        cfg = tiny_cfg("RESNET.WIDTH_PER_GROUP", 8, *overrides)
        model = build_model(cfg).eval()
        model.meta = ModelMeta(cfg)
        return model

    return make


@pytest.fixture
def registry_of(monkeypatch):
    """A registry by its name, whose changes are undone afterwards."""

    def registry(name):
        found = getattr(registries, name)
        for table in ("_entries", "_facts"):
            monkeypatch.setattr(found, table, dict(getattr(found, table)))
        return found

    return registry
