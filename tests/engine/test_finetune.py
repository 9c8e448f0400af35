"""Fine-tuning: frozen parts, learning rates by part, runs that start from a checkpoint of other classes."""

import json
import os
import re

import pytest
import torch
from helpers import tiny_cfg
from helpers.lists import copy_lists
from helpers.networks import make
from helpers.runs import output_of, run, stats, weights, with_output

from avslowfast.checkpoint import states
from avslowfast.config import ConfigError
from avslowfast.engine.optim import build_optimizer, parameter_groups, set_lr
from avslowfast.engine.precise_bn import precise_bn
from avslowfast.engine.weights import warn_of_fresh_frozen
from avslowfast.models import build_model
from avslowfast.synthav import render_dataset
from avslowfast.tasks.build import build_task


def step(model, inputs):
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for drop in (False, True):
        out = model(inputs, drop_audio=drop)
        (out["logits"].square().sum() + sum(out["losses"].values())).backward()
        optimizer.step()


def test_a_stage_that_is_not_built_cannot_be_frozen():
    unused = ("LATERAL.AUDIO_POOL5", False, "SLOWFAST.AVS_FLAG", [False] * 5)
    with pytest.raises(ConfigError, match="nothing uses res5 of the audio pathway.*leave out audio.res5"):
        build_model(tiny_cfg(*unused, "FINETUNE.FREEZE", ["audio.res4", "audio.res5"]))


@pytest.mark.parametrize(
    "parts, frozen",
    [
        (["slow"], ["pathways.slow."]),
        (
            ["res2", "pool1"],
            [
                "pathways.slow.res2.",
                "pathways.fast.res2.",
                "pathways.audio.res2.",
                "pathways.slow.pool1.",
                "pathways.fast.pool1.",
                "pathways.audio.pool1.",
                "fast_to_slow.res2.",
                "fast_to_slow.pool1.",
            ],
        ),
        (["fast.res5", "laterals"], ["pathways.fast.res5.", "fast_to_slow.", "audio_laterals."]),
        (["slow", "fast", "audio", "laterals"], ["pathways.", "fast_to_slow.", "audio_laterals."]),
    ],
)
def test_frozen_parts_keep_weights_and_statistics_and_the_rest_learns(parts, frozen):
    model, inputs = make("FINETUNE.FREEZE", parts, "LATERAL.AUDIO", "a2fs")
    before = {n: t.clone() for n, t in model.state_dict().items()}
    model.train()
    step(model, inputs)
    precise_bn(model, build_task(tiny_cfg(), torch.device("cpu")), iter([inputs, inputs]), 2)
    model.train()
    after = model.state_dict()
    fixed = {n for n in before if n.startswith(tuple(frozen))}
    assert fixed
    assert all(torch.equal(before[n], after[n]) for n in fixed)
    still = {n for n in before if n not in fixed and torch.equal(before[n], after[n])}
    # A counter stands in a batch norm that has nothing else to say; everything else has moved.
    assert all(n.endswith("num_batches_tracked") for n in still), still


def test_freezing_spares_the_backward_pass_of_what_lies_below():
    model, inputs = make("MODEL.ARCH", "slow", "FINETUNE.FREEZE", ["pool1", "res2"])
    kept = {}
    for stage in ("res2", "res3"):
        getattr(model.pathways["slow"], stage).register_forward_hook(
            lambda m, i, out, stage=stage: kept.update({stage: out.requires_grad})
        )
    model.train()(inputs)
    assert kept == {"res2": False, "res3": True}


def test_every_part_has_its_share_of_the_learning_rate():
    cfg = tiny_cfg(
        "FINETUNE.LR_HEAD", 10.0, "FINETUNE.LR_AUDIO", 5.0, "FINETUNE.LR_REST", 0.5, "FINETUNE.FREEZE", ["fast"]
    )
    model = build_model(cfg)
    optimizer = build_optimizer(cfg, model)
    set_lr(optimizer, 0.01)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    for name, parameter in model.named_parameters():
        if name.startswith("pathways.fast."):
            assert id(parameter) not in rates
            continue
        audio = name.startswith(("pathways.audio.", "audio_laterals.", "sync_heads."))
        expected = 0.1 if name.startswith("head.") else 0.05 if audio else 0.005
        assert rates[id(parameter)] == pytest.approx(expected), name
    plain = parameter_groups(build_model(tiny_cfg()), 1e-4, 0.0)
    assert sorted(g["weight_decay"] for g in plain) == [0.0, 1e-4]
    assert all(g["lr_scale"] == 1 for g in plain)


def test_training_starts_at_epoch_one_from_a_checkpoint_of_other_classes(run_args, synthav, tmp_path):
    eight = copy_lists(synthav, tmp_path, lambda split, lines: [line for line in lines if int(line.split()[-1]) < 8])
    source = with_output(run_args, tmp_path / "source")
    short = ("TRAIN.EVAL_PERIOD", 2, "TEST.ENABLE", False)
    run(source, "DATA.PATH_TO_DATA_DIR", eight, "MODEL.NUM_CLASSES", 8, *short)
    start = states.checkpoint_path(output_of(source), 2, 0)
    parts = ("FINETUNE.FREEZE", ["slow", "fast.res2"], "FINETUNE.LR_HEAD", 2.0)
    finetuning = ("TRAIN.CHECKPOINT_FILE_PATH", start, *parts, *short)
    run(run_args, *finetuning)
    log = open(os.path.join(output_of(run_args), "stdout.log")).read()
    assert "training starts at epoch 1 of 2 from these weights, with a fresh optimizer" in log
    assert "resumed" not in log
    assert re.search(r"fresh +2 tensors  \(another shape in the file\)", log)
    steps = stats(output_of(run_args), "train_iter")
    assert [s["epoch"] for s in steps] == ["1/2", "1/2", "2/2", "2/2"]
    old, new = (
        torch.load(path, weights_only=True)["model_state"]
        for path in (start, states.checkpoint_path(output_of(run_args), 2, 0))
    )
    for name in new:
        if name.startswith(("pathways.slow.", "pathways.fast.res2.")):
            assert torch.equal(old[name], new[name]), name
    assert not torch.equal(
        old["pathways.fast.res3.block0.branch2.a.weight"], new["pathways.fast.res3.block0.branch2.a.weight"]
    )
    assert len(new["head.projection.bias"]) == 16
    # The same command resumes from the saved state, not from the start weights again.
    run(run_args, *finetuning)
    assert "resumed from" in open(os.path.join(output_of(run_args), "stdout.log")).read()
    assert len(stats(output_of(run_args), "train_iter")) == 4
    assert weights(output_of(run_args))["class_names"] == (synthav / "classes.txt").read_text().split("\n")[:-1]


def test_a_poor_match_ends_the_run_before_it_starts(run_args, tmp_path):
    state = build_model(tiny_cfg(*run_args, "SLOWFAST.FUSION_KERNEL_SZ", 7)).state_dict()
    torch.save({"model_state": state}, tmp_path / "other.pyth")
    done = run(run_args, "TRAIN.CHECKPOINT_FILE_PATH", tmp_path / "other.pyth", code=2)
    # Five: the laterals after four stages and the one that synchronisation has at res5.
    assert (
        "5 tensors of the network do not come from it as they should, the first fast_to_slow.pool1.conv_f2s.weight"
        in done.stderr
    )
    assert "TRAIN.CHECKPOINT_REQUIRED none" in done.stderr
    assert "Traceback" not in done.stderr
    run(
        run_args,
        "TRAIN.CHECKPOINT_FILE_PATH",
        tmp_path / "other.pyth",
        "TRAIN.CHECKPOINT_REQUIRED",
        "none",
        "SOLVER.MAX_EPOCH",
        1,
        "SOLVER.WARMUP_EPOCHS",
        0,
    )
    assert json.load(open(os.path.join(output_of(run_args), "results.json")))["videos"] == 16


def test_frozen_parts_train_on_two_processes(run_args):
    run(
        run_args,
        "NUM_CPU_PROCESSES",
        2,
        "FINETUNE.FREEZE",
        ["slow", "audio.pool1"],
        "SOLVER.MAX_EPOCH",
        1,
        "SOLVER.WARMUP_EPOCHS",
        0,
        "SLOWFAST.DROPPATHWAY_RATE",
        0.5,
        "LATERAL.DROP_POOL5",
        False,
        "BN.NORM_TYPE",
        "frozen_batchnorm",
        "BN.AUDIO_NORM_TYPE",
        "batchnorm",
    )
    first = build_model(tiny_cfg(*run_args)).state_dict()
    last = weights(output_of(run_args), 1)["model_state"]
    assert all(
        torch.equal(first[n], last[n]) for n in first if n.startswith(("pathways.slow.", "pathways.audio.pool1."))
    )
    assert not torch.equal(first["pathways.fast.pool1.conv.weight"], last["pathways.fast.pool1.conv.weight"])
    for part, learns in (("fast.pool1", False), ("audio.pool1", False), ("audio.res2.block0.branch2", True)):
        means = [n for n in first if n.startswith(f"pathways.{part}") and n.endswith("running_mean")]
        assert means
        assert [not torch.equal(first[n], last[n]) for n in means] == [learns] * len(means)


@pytest.mark.slow
def test_fine_tuning_beats_the_same_epochs_from_nothing(tmp_path):
    for name, seed, counts in (("first", 0, (640, 96, 16)), ("second", 5, (320, 96, 320))):
        render_dataset(tmp_path / name, "pairs", dict(zip(("train", "val", "test"), counts)), seed, os.cpu_count() or 1)
    twelve = tmp_path / "twelve"
    twelve.mkdir()
    for split in ("train", "val", "test"):
        lines = [
            line
            for line in (tmp_path / f"first/{split}.csv").read_text().split("\n")[:-1]
            if int(line.split()[-1]) < 12
        ]
        (twelve / f"{split}.csv").write_text("".join(f"{tmp_path}/first/{line}\n" for line in lines))
    run(
        [
            "DATA.PATH_TO_DATA_DIR",
            twelve,
            "MODEL.NUM_CLASSES",
            12,
            "OUTPUT_DIR",
            tmp_path / "source",
            "TEST.ENABLE",
            False,
        ]
    )
    top1 = {}
    for name, start in (("nothing", ""), ("weights", states.best_path(tmp_path / "source"))):
        run(
            [
                "DATA.PATH_TO_DATA_DIR",
                tmp_path / "second",
                "OUTPUT_DIR",
                tmp_path / name,
                "SOLVER.MAX_EPOCH",
                3,
                "TRAIN.CHECKPOINT_FILE_PATH",
                start,
            ]
        )
        top1[name] = json.load(open(tmp_path / name / "results.json"))["top1"]
    # One standard deviation of a difference of two shares of 320 clips is at most 4 points.
    assert top1["weights"] > top1["nothing"] + 18, top1


def test_frozen_batch_norms_without_statistics_are_named(caplog):
    frozen = ("RESNET.WIDTH_PER_GROUP", 8, "BN.NORM_TYPE", "frozen_batchnorm")
    visual, both = (build_model(tiny_cfg(*frozen, "MODEL.ARCH", arch)) for arch in ("slowfast", "avslowfast"))
    with caplog.at_level("WARNING"):
        warn_of_fresh_frozen(both, [*visual.state_dict()])
    words = r"\d+ of \d+ frozen batch norms .*\(the first: pathways.audio.pool1.bn\); BN.AUDIO_NORM_TYPE batchnorm"
    assert re.search(words, caplog.text)
    caplog.clear()
    with caplog.at_level("WARNING"):
        warn_of_fresh_frozen(visual, [*visual.state_dict()])
        learns = build_model(tiny_cfg(*frozen, "BN.AUDIO_NORM_TYPE", "batchnorm"))
        warn_of_fresh_frozen(learns, [*visual.state_dict()])
    assert caplog.text == ""
    with caplog.at_level("WARNING"):
        warn_of_fresh_frozen(visual, [])
    assert "BN.NORM_TYPE batchnorm lets them" in caplog.text
