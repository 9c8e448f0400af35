"""What a reader of the documentation has, in small: videos, lists, runs, checkpoints, under the names of the pages."""

import csv
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pandas as pd
import torch

from avslowfast.datasets import epic
from avslowfast.datasets.kinetics_sounds import CLASSES_32
from avslowfast.synthav import class_names, render_dataset
from avslowfast.synthav.clips import Clips
from avslowfast.tasks.scores import ClassScores, ONLY, SavedScores

from . import ROOT
from .published import text_of as published_text
from .runs import ENV
from .sounds import write_words

GOLDEN = ROOT / "tests/golden"
CLASSES = {"clapping": "slide+tone", "dancing": "slide+beeps", "drumming": "bob+tone", "singing": "bob+beeps"}


def my_videos(folder, count=5, seed=3):
    """One folder per class, with `count` SynthAV clips in each."""
    names = class_names("pairs")
    for name in CLASSES:
        os.makedirs(folder / name)
    pairs, wanted = Clips("pairs"), {names.index(pair): name for name, pair in CLASSES.items()}
    for job in pairs.jobs({"train": 16 * count}):
        label = job.number % len(names)
        if label in wanted:
            pairs.write(str(folder.parent / "clips"), seed, job)
            path = pairs.path(job)
            os.rename(folder.parent / "clips" / path, folder / wanted[label] / os.path.basename(path))


# Programs of this environment, which need not be on PATH.
_PROGRAMS = {
    "python": "",
    "python3": "",
    "avslowfast": "-m avslowfast",
    "torchrun": "-m torch.distributed.run",
    "tensorboard": "-m tensorboard.main",
}


class Reader:
    """The folder of a reader: what its commands name is made when it is first needed.

    Args:
        folder: The folder.
        store: A reader whose stand-ins are copied; None makes them here.
    """

    def __init__(self, folder, store=None):
        self.folder, self.store = folder, store
        for name in ("benchmarks", "configs", "examples", "tests", "tools"):
            os.symlink(ROOT / name, folder / name)
        (folder / "bin").mkdir()
        for name, words in _PROGRAMS.items():
            path = folder / "bin" / name
            path.write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
            path.chmod(0o755)
        self.env = {
            **ENV,
            "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}",
        }

    def need(self, names):
        """Make what is there not yet.

        Args:
            names: Paths, relative to the folder, which stand-ins have or begin.
        """
        for name, make in STAND_INS.items():
            path = self.folder / name
            if not path.exists() and any(re.match(rf"{re.escape(name)}(/|#|$)", wanted) for wanted in names):
                path.parent.mkdir(parents=True, exist_ok=True)
                if self.store is None:
                    make(self, path)
                    continue
                made = self.store.has(name)
                if made.is_dir():
                    shutil.copytree(made, path)
                else:
                    shutil.copy(made, path)

    def run(self, *words):
        done = subprocess.run(
            [sys.executable, "-m", "avslowfast", *map(str, words)],
            cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=500,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]

    def has(self, name):
        """The path of a stand-in, made if it is not there."""
        self.need([name])
        return self.folder / name


# A training of seconds: one step, validation and test of one batch, everything in one process on the CPU.
SHORT = {
    "NUM_GPUS": 0, "DATA_LOADER.NUM_WORKERS": 0, "TRAIN.LIMIT_BATCHES": 1,
    "SOLVER.MAX_EPOCH": 1, "SOLVER.WARMUP_EPOCHS": 0,
    "TEST.NUM_ENSEMBLE_VIEWS": 1, "TEST.NUM_SPATIAL_CROPS": 1, "BN.NUM_BATCHES_PRECISE": 1, "LOG_MODEL_INFO": False,
}  # fmt: skip
# The same of a network of full size, whose weights keep their shapes.
SMALL = {
    **SHORT, "TRAIN.BATCH_SIZE": 2, "TEST.BATCH_SIZE": 2, "DATA.TRAIN_CROP_SIZE": 64, "DATA.TEST_CROP_SIZE": 64,
    "DATA.TRAIN_JITTER_SCALES": [64, 80], "TRAIN.MIXED_PRECISION": False,
}  # fmt: skip


def flat(keys):
    return [str(word).replace(" ", "") for pair in keys.items() for word in pair]


def _synthav(variant, counts):
    return lambda reader, path: render_dataset(path, variant, counts, seed=7)


def _run(config, data, *words):
    def make(reader, path):
        reader.has(data)
        keys = {
            **SHORT,
            "OUTPUT_DIR": os.path.relpath(path, reader.folder),
            "TRAIN.BATCH_SIZE": 8,
            "DATA.PATH_TO_DATA_DIR": data,
        }
        reader.run("train", config, *flat(keys), *words)

    return make


def _lists(folder, names=True):
    """Lists of a folder; without the names of its classes they fit a network of any number of classes."""

    def make(reader, path):
        reader.run("lists", reader.has(folder), "--out", path, "--val", "0.2", "--test", "0.2")
        if not names:
            (path / "classes.txt").unlink()

    return make


def _copy(source):
    return lambda reader, path: shutil.copy(source, path)


def _video(reader, path):
    shutil.copy(next(iter(sorted((reader.has("my_videos") / "clapping").iterdir()))), path)


def _new_videos(reader, path):
    shutil.copytree(reader.has("my_videos") / "dancing", path)


def _list_of_new(reader, path):
    videos = sorted(reader.has("root/data/videos").iterdir())
    path.write_text("".join(f"{video.resolve()} {n}\n" for n, video in enumerate(videos)))


def _caffe2(kernel):
    """A Caffe2 file of random weights; `kernel` is the length of F->S."""

    def make(reader, path):
        rng, blobs = np.random.default_rng(0), {}
        for name, _, sizes in json.loads((GOLDEN / "caffe2_slowfast_8x8_r50_names.json").read_text()):
            shape = [kernel if name.endswith("subsample_w") and n == 7 else n for n in sizes]
            # Variances and scales of batch normalisation near 1 and zero-mean weights keep activations finite.
            value = rng.standard_normal(shape, np.float32) / np.sqrt(np.prod(shape[1:]) if len(shape) > 1 else 100)
            blobs[name] = 1 + 0.1 * np.abs(value) if name.endswith(("_bn_riv", "_bn_s")) else value
        path.write_bytes(pickle.dumps({"blobs": blobs}, protocol=2))

    return make


def _weights(config):
    def make(reader, path):
        import avslowfast

        torch.manual_seed(0)
        torch.save({"model_state": avslowfast.build_model(avslowfast.load_cfg(config)).state_dict()}, path)

    return make


def _annotations(reader, path):
    """The crawler's lists of 400 classes, with a video of each in either split; the reader has five of each split."""
    path.mkdir()
    for split in ("train", "val"):
        with open(path / f"kinetics-400_{split}.csv", "w", newline="") as f:
            table = csv.writer(f)
            table.writerow(["label", "youtube_id", "time_start", "time_end", "split", "is_cc"])
            for n in range(400):
                table.writerow([f"action {n:03d}", f"{split}{n}", 0, 10, split, 0])


def _downloads(reader, path):
    path.mkdir()
    videos = sorted(reader.has("my_videos").rglob("*.mp4"))
    for n in range(10):
        shutil.copy(videos[n], path / f"{('train', 'val')[n // 5]}{n % 5}_000000_000010.mp4")


def _kinetics_sounds(reader, path):
    path.mkdir()
    videos = sorted(reader.has("my_videos").rglob("*.mp4"))
    for split in ("train", "val"):
        with open(path / f"kinetics-400_{split}.csv", "w", newline="") as f:
            table = csv.writer(f)
            table.writerow(["label", "youtube_id", "time_start", "time_end", "split"])
            for n, label in enumerate(sorted(CLASSES_32)):
                table.writerow([label, f"{split}{n}", 0, 10, split])
                (path / label).mkdir(exist_ok=True)
                shutil.copy(videos[n % len(videos)], path / label / f"{split}{n}_000000_000010.mp4")


def _ucf101(reader, path):
    path.mkdir()
    videos = sorted(reader.has("my_videos").rglob("*.mp4"))
    names = [f"Class{n:03d}" for n in range(101)]
    (path / "classInd.txt").write_text("".join(f"{n + 1} {name}\n" for n, name in enumerate(names)))
    lines = []
    for n, name in enumerate(names):
        (path / name).mkdir()
        shutil.copy(videos[n % len(videos)], path / name / "v_g01.avi")
        lines.append((f"{name}/v_g01.avi", n + 1))
    (path / "trainlist01.txt").write_text("".join(f"{file} {n}\n" for file, n in lines))
    (path / "testlist01.txt").write_text("".join(f"{file}\n" for file, _ in lines))


def _hmdb51(reader, path):
    path.mkdir()
    videos = sorted(reader.has("my_videos").rglob("*.mp4"))
    for n in range(51):
        name = f"class{n:02d}"
        (path / name).mkdir()
        for part in (1, 2):
            shutil.copy(videos[n % len(videos)], path / name / f"{part}.avi")
        (path / f"{name}_test_split1.txt").write_text("1.avi 1\n2.avi 2\n")


def _label_map(reader, path):
    path.write_text("".join(f'item {{\n  name: "action {i}"\n  id: {i}\n}}\n' for i in range(1, 81)))


def _epic(version):
    """The label files of SynthAV's kitchens, and a submission for their validation segments."""

    def make(reader, path):
        kitchens = reader.has("data/synthav_epic")
        shutil.copytree(kitchens, path, ignore=shutil.ignore_patterns("videos"))
        if version == "epic100":
            table = pd.read_csv(path / "EPIC_train_action_labels.csv")
            table = table[table.participant_id >= "P26"].rename(columns={"uid": "narration_id"})
            table.to_csv(path / "EPIC_100_validation.csv", index=False)
            pd.DataFrame({"participant_id": ["P26"]}).to_csv(
                path / "EPIC_100_unseen_participant_ids_validation.csv", index=False
            )
            for part in ("verb", "noun"):
                pd.DataFrame({part: [0]}).to_csv(path / f"EPIC_100_tail_{part}s.csv", index=False)

    return make


def _submission(version, annotations):
    def make(reader, path):
        folder = str(reader.has(annotations))
        sizes, segments = epic.count_classes(version, folder), epic.read_validation(version, folder).name
        scores = {head: {str(n): 1 / (n + 1) for n in range(size)} for head, size in sizes.items()}
        content = {"version": "0.1" if version == "epic55" else "0.2", "challenge": "action_recognition"}
        content["results"] = {
            str(name): {**scores, **({"action": {"0,0": 1.0}} if version == "epic55" else {})} for name in segments
        }
        if version == "epic55":
            path.write_text(json.dumps(content))
            return
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("test.json", json.dumps({**content, "sls_pt": 2, "sls_tl": 3, "sls_td": 4}))

    return make


def _scores(names, several=False):
    """A scores.pt of a few videos, as a test writes it."""

    def make(reader, path):
        rng, count = np.random.default_rng(0), 40
        labels = np.arange(count) % len(names)
        if several:
            labels = np.eye(len(names), dtype=np.float32)[labels]
        scores = ClassScores({ONLY: rng.random((count, len(names)), dtype=np.float32)})
        paths = [f"{n}.mp4" for n in range(count)]
        SavedScores(scores, labels, paths, names).save(str(path.with_suffix("")))

    return make


def _yaml(text, *more):
    return lambda reader, path: path.write_text(text)


def _program(reader, path):
    os.symlink(reader.folder / "bin/avslowfast", path)


_TINY_TEXT = "_BASE_: configs/SynthAV/AVSLOWFAST_TINY.yaml\n"
_PUBLISHED = "configs/Kinetics/SLOWFAST_8x8_R50.yaml"
_CRAWLED = ("data/k400/lists", "lists/k400", "lists", "shards/k400")
# {name on a page: function of reader and path that makes it}; an absolute name lies below the folder's root/.
STAND_INS = {
    ".venv/bin/avslowfast": _program,
    "my_videos": lambda reader, path: my_videos(path),
    "new_videos": _new_videos,
    **dict.fromkeys(("video.mp4", "new_video.mp4"), _video),
    "folder": _new_videos,
    "own40": lambda reader, path: my_videos(path),
    "my_sounds": lambda reader, path: write_words(path, {"train": 3, "val": 2, "test": 2}),
    "my_lists": _lists("my_videos"),
    **dict.fromkeys(_CRAWLED, _lists("my_videos", names=False)),
    **dict.fromkeys(("root/videos", "root/data/videos", "root/data/k400", "data/k400/videos"), _new_videos),
    "my_videos.csv": _list_of_new,
    "A": _annotations,
    "V": _downloads,
    "data/synthav": _synthav("pairs", {"train": 32, "val": 16, "test": 16}),
    # For trainings with larger batches and uneven classes.
    "data/synthav_many": _synthav("pairs", {"train": 128, "val": 16, "test": 16}),
    "data/synthav_bounces": _synthav("bounces", {"train": 16, "val": 16, "test": 8}),
    "data/synthav_epic": _synthav("epic", {"train": 4, "val": 2}),
    "data/synthav_charades": _synthav("charades", {"train": 4, "test": 4}),
    "data/synthav_ava": _synthav("ava", {"train": 2, "val": 2}),
    "data/kinetics_sounds": _kinetics_sounds,
    **dict.fromkeys(("data/ucf101", "root/data/ucf101/lists", "root/data/ucf101/videos"), _ucf101),
    "data/hmdb51": _hmdb51,
    **dict.fromkeys(
        ("output/synthav_avslowfast", "RUN", "OUTPUT_DIR"), _run("SynthAV/AVSLOWFAST_TINY", "data/synthav")
    ),
    "output/synthav_slowfast": _run("SynthAV/AVSLOWFAST_TINY", "data/synthav", "MODEL.ARCH", "slowfast"),
    "output/synthav_sync": _run("SynthAV/SYNC_AVSLOWFAST_TINY", "data/synthav_bounces"),
    "output/synthav_pretrain": _run("SynthAV/PRETRAIN_AVSLOWFAST_TINY", "data/synthav_bounces"),
    **dict.fromkeys(
        ("output/own_videos", "output/own_frozen", "RUN1", "RUN2"),
        _run("OwnVideos/AVSLOWFAST_TINY", "my_lists", "MODEL.NUM_CLASSES", 4),
    ),
    "SLOWFAST_8x8_R50.pkl": _caffe2(7),
    "SLOWFAST_4x16_R50.pkl": _caffe2(5),
    "standin_slowfast.pyth": _weights("OwnVideos/AVSLOWFAST_TINY"),
    "weights.pyth": _weights("Kinetics/AVSLOWFAST_4x16_R50"),
    "CHECKPOINT": _weights("SynthAV/AVSLOWFAST_TINY"),
    **dict.fromkeys(("FILE", "CONFIG", "my.yaml", "my_config.yaml"), _yaml(_TINY_TEXT)),
    "my_pyslowfast.yaml": lambda reader, path: path.write_text(published_text("PySlowFast", _PUBLISHED)),
    "my_plugin.py": _copy(ROOT / "examples/plugin/my_plugin.py"),
    "my_network.yaml": _copy(ROOT / "examples/plugin/my_network.yaml"),
    "ava_val_v2.2.csv": _copy(GOLDEN / "ava_eval_gt.csv"),
    "detections.csv": _copy(GOLDEN / "ava_eval_det.csv"),
    "excluded.csv": _copy(GOLDEN / "ava_eval_excluded.csv"),
    "map.pbtxt": _label_map,
    "root/data/epic55/annotations": _epic("epic55"),
    "root/data/epic100/annotations": _epic("epic100"),
    "output/EPIC55_AVSLOWFAST_8x8_R50/submission.json": _submission("epic55", "root/data/epic55/annotations"),
    "output/EPIC100_AVSLOWFAST_8x8_R50/submission.zip": _submission("epic100", "root/data/epic100/annotations"),
    "output/Charades_AVSLOWFAST_16x8_R50/scores.pt": _scores([f"c{n:03d}" for n in range(157)], several=True),
    "output/AVSLOWFAST_8x8_R50/scores.pt": _scores(sorted(CLASSES_32)),
    "kinetics_sounds.txt": lambda reader, path: path.write_text("\n".join(sorted(CLASSES_32)[:9]) + "\n"),
}
