"""What a training imports: nothing that it does not use."""

import subprocess
import sys

from helpers import TINY
from helpers.runs import ENV

# Builds everything that a training and its test are made of, then prints the modules that have been imported.
SCRIPT = """
import sys
import torch
from avslowfast.config import load_cfg
cfg = load_cfg(sys.argv[1], sys.argv[2:])
import avslowfast.engine.run
from avslowfast.engine.hooks.build import build_hooks
from avslowfast.engine.trainer import Trainer
from avslowfast.engine.run_folder import RunData, RunFolder
from avslowfast.evaluation.build import build_protocol
from avslowfast.loading import build_dataset, build_loader
trainer = Trainer(cfg, torch.device("cpu"))
trainer.wrap()
datasets = {split: build_dataset(cfg, split) for split in ("train", "val")}
data = RunData.of(datasets)
folder = RunFolder.open(cfg, data, RunFolder.plan(cfg, data), trainer.device)
build_hooks(cfg, trainer, folder, datasets["val"])
for split, name in (("val", cfg.TRAIN.DATASET), ("test", cfg.TEST.DATASET)):
    build_protocol(cfg, build_loader(cfg, split).dataset, name)
trainer.run_step([next(iter(trainer.loader))])
print(*sys.modules)
"""
UNUSED = {"torchvision", "sklearn", "tensorboard", "matplotlib", "pandas", "soundfile"}


def imported(*overrides):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(TINY), *map(str, overrides)], env=ENV, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return {name.split(".")[0] for name in done.stdout.split("\n")[-2].split()}


def test_a_training_imports_nothing_that_it_does_not_use(run_args):
    assert imported(*run_args) & UNUSED == set()


def test_tensorboard_is_imported_where_it_is_enabled(run_args):
    assert imported(*run_args, "TENSORBOARD.ENABLE", True) & UNUSED == {"tensorboard"}
