"""Mutated files of every kind that people give: no crash, no hang, no error but the project's own, in one line.

AVSLOWFAST_FUZZ_SEED changes the mutations, AVSLOWFAST_FUZZ_TIMES multiplies their number.
"""

import io
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import keys, ROOT, tiny_cfg
from helpers.fuzz import mutated, mutated_text, mutated_zip, run
from helpers.hostile import FILES
from safetensors.torch import save as safetensors_bytes

import avslowfast
from avslowfast.checkpoint import load_weights
from avslowfast.checkpoint.convert import convert
from avslowfast.config import load_cfg
from avslowfast.inference.boxes import read_boxes
from avslowfast.loading import build_dataset
from avslowfast.models import build_model
from avslowfast.synthav import render_dataset
from avslowfast.tasks.scores import SavedScores

pytestmark = pytest.mark.slow

SEED = os.environ.get("AVSLOWFAST_FUZZ_SEED", "0")
TIMES = float(os.environ.get("AVSLOWFAST_FUZZ_TIMES", "1"))
TINIEST = keys("RESNET.WIDTH_PER_GROUP 4 MODEL.ARCH slow RESNET.DEPTH 18 RESNET.TRANS_FUNC basic_transform")


def check(tmp_path, name, make, count, read):
    count = int(count * TIMES)
    problems, taken = run(name, make, count, read, str(tmp_path), SEED)
    print(f"{name}: {count} inputs, {taken} taken, {count - taken - len(problems)} refused in one line")
    assert problems == []
    # Inputs that are all taken, or all refused, try nothing.
    assert 0.01 * count < taken < 0.99 * count


def torch_bytes(content, **kwargs):
    out = io.BytesIO()
    torch.save(content, out, **kwargs)
    return out.getvalue()


@pytest.fixture(scope="module")
def small():
    """A network of the fewest weights."""
    return build_model(tiny_cfg(*TINIEST))


@pytest.fixture(scope="module")
def seeds(small):
    """{kind: bytes of a right checkpoint}."""
    state = {name: tensor for name, tensor in small.state_dict().items() if tensor.numel() < 600}
    content = {"model_state": state, "epoch": 3, "cfg": tiny_cfg(*TINIEST).dump(), "class_names": ["a", "b"]}
    blobs = {
        "conv1_w": state["pathways.slow.pool1.conv.weight"].numpy(),
        "lr": np.float32(0.1),
        "res_conv1_bn_s": np.zeros(4, ">f4"),
    }
    return {
        "zip": torch_bytes(content),
        "legacy": torch_bytes(content, _use_new_zipfile_serialization=False),
        "pickle": pickle.dumps({"blobs": blobs}, protocol=2),
        "pickle5": pickle.dumps({"blobs": blobs, "more": {"set": {1, (2, "a")}, "list": [1.5, b"x"]}}, protocol=5),
        "pickle0": pickle.dumps({"blobs": blobs}, protocol=0),
        "safetensors": safetensors_bytes({n: t.clone() for n, t in state.items()}, {"cfg": "a: b", "epoch": "3"}),
    }


@pytest.mark.parametrize(
    "kind, count",
    [("zip", 500), ("legacy", 400), ("pickle", 500), ("pickle5", 300), ("pickle0", 300), ("safetensors", 400)],
)
def test_checkpoints(tmp_path, small, seeds, kind, count):
    hostile = [content() for name, (content, _) in FILES.items() if "torch" not in name and "MB" not in name]
    hostile = [content for content in hostile if len(content) < 5000]

    def make(rng):
        if kind == "zip" and rng.random() < 0.6:
            return "x.pyth", mutated_zip(seeds[kind], rng)
        others = [*hostile, seeds[kind]]
        right = rng.choice(hostile) if kind == "pickle" and rng.random() < 0.3 else seeds[kind]
        return "x.safetensors" if kind == "safetensors" and rng.random() < 0.5 else "x.pkl", mutated(right, rng, others)

    check(tmp_path, kind, make, count, lambda path: load_weights(small, path))


def test_checkpoints_as_networks_and_as_other_formats(tmp_path, small):
    """What is in a checkpoint beside the weights: configuration, class names."""
    cfg = tiny_cfg(*TINIEST)
    state = small.state_dict()
    junk = [None, 5, "x", [1], {"a": 1}, {1: 2}, torch.zeros(3), np.zeros(2), (), b"x", float("nan"), [[]], 10**30]

    def make(rng):
        content = {"model_state": state, "cfg": cfg.dump(), "class_names": [f"c{i}" for i in range(16)], "epoch": 3}
        key = rng.choice(list(content))
        if key == "model_state":
            content[key] = {**state, rng.choice(list(state)): rng.choice(junk)}
        elif key == "cfg" and rng.random() < 0.8:
            content[key] = mutated_text(cfg.dump(), rng).decode("utf-8", "replace")
        else:
            content[key] = rng.choice(junk)
        return "x.pyth", torch_bytes(content)

    def read(path):
        convert(path, "out.pyth", "pyslowfast")
        avslowfast.load_model(path, device="cpu")

    check(tmp_path, "network", make, 150, read)


def test_scores(tmp_path):
    content = {
        "scores": torch.rand(4, 3),
        "labels": torch.arange(4) % 3,
        "paths": ["a"] * 4,
        "class_names": ["a", "b", "c"],
    }
    junk = [
        None,
        5,
        "x",
        [1],
        [1] * 4,
        ["a"] * 4,
        torch.zeros(4),
        torch.zeros(4, 3),
        {"verb": torch.zeros(2, 2)},
        torch.zeros(0),
        torch.zeros(3, dtype=torch.int8),
        {1: 2},
    ]

    def make(rng):
        if rng.random() < 0.5:
            return "scores.pt", mutated_zip(torch_bytes(content), rng)
        return "scores.pt", torch_bytes({**content, rng.choice(list(content)): rng.choice(junk)})

    check(tmp_path, "scores", make, 200, SavedScores.load)


YAML = sorted((ROOT / "configs").rglob("*.yaml"))


def test_configurations(tmp_path):
    texts = [path.read_text().replace("_BASE_: ", f"_BASE_: {path.parent}/") for path in YAML]

    def make(rng):
        return "x.yaml", mutated_text(rng.choice(texts), rng)

    check(tmp_path, "yaml", make, 600, load_cfg)


def test_overrides(tmp_path):
    words = [word for path in YAML[:10] for word in path.read_text().replace(":", " ").split()] + [
        "SOLVER.BASE_LR",
        "TRAIN",
    ]

    def make(rng):
        line = " ".join(rng.choice(words) for _ in range(2 * rng.randrange(1, 3)))
        return "x.txt", mutated_text(f"SOLVER.MAX_EPOCH 5 {line}", rng)

    def read(path):
        tiny_cfg(*Path(path).read_bytes().decode("utf-8", "replace").split())

    check(tmp_path, "overrides", make, 200, read)


LAYOUTS = {
    "pairs": ("AVSLOWFAST_TINY", {"train": 3, "val": 2, "test": 2}, 400),
    "epic": ("EPIC_AVSLOWFAST_TINY", {"train": 1}, 200),
    "charades": ("CHARADES_AVSLOWFAST_TINY", {"train": 3, "test": 2}, 200),
    "ava": ("AVA_AVSLOWFAST_TINY", {"train": 2, "val": 2}, 300),
}


@pytest.mark.parametrize("variant", LAYOUTS)
def test_lists_and_label_files(tmp_path, tmp_path_factory, variant):
    name, counts, count = LAYOUTS[variant]
    folder = tmp_path_factory.mktemp(variant)
    render_dataset(folder, variant, counts, seed=1)
    cfg = load_cfg(ROOT / f"configs/SynthAV/{name}.yaml", ["DATA.PATH_TO_DATA_DIR", str(folder)])
    files = [p for p in sorted(folder.rglob("*")) if p.suffix in (".csv", ".txt", ".pbtxt") and p.is_file()]
    right = {path: path.read_text() for path in files}

    def make(rng):
        path = rng.choice(files)
        return str(files.index(path)), mutated_text(right[path], rng)

    def read(path):
        target = files[int(path.rsplit("-", 1)[1])]
        target.write_bytes(Path(path).read_bytes())
        try:
            for split in ("train",) if variant == "epic" else ("train", "val", "test"):
                build_dataset(cfg, split)
        finally:
            target.write_text(right[target])

    check(tmp_path, variant, make, count, read)


def test_boxes_of_the_demo(tmp_path):
    text = "seconds,x1,y1,x2,y2\n0.5,0.1,0.1,0.5,0.5\n0.5,0.2,0.2,0.6,0.6\n1.0,0.1,0.1,0.5,0.5\n"
    check(tmp_path, "boxes", lambda rng: ("x.csv", mutated_text(text, rng)), 150, read_boxes)
