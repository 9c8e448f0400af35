"""The network as an object: what pathways report, the order of a stage's connections, copies, its summary."""

import copy
import dataclasses

import pytest
import torch
from helpers import tiny_cfg
from helpers.networks import make

from avslowfast.config.names import ARCHITECTURES, STAGES, TRANSFORMS
from avslowfast.evaluation.results import parameter_lines
from avslowfast.models import build_model
from avslowfast.models.audio_features import AudioFeatures
from avslowfast.models.blocks import BlockSpec, ResBlock
from avslowfast.models.complexity import count_parameters, parameters_by_part
from avslowfast.models.norm import is_batch_norm, NormSpec
from avslowfast.models.pathways import AudioPathway
from avslowfast.models.stage_join import StageJoin


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_pathways_report_what_their_stages_give(arch):
    model, inputs = make("MODEL.ARCH", arch, "SLOWFAST.FS_FUSION", [False] * 4)
    for name, pathway in model.pathways.items():
        x = inputs[name]
        for stage in STAGES:
            if (arch, name) == ("slowfast", "slow") and stage != "pool1":
                continue  # F->S appends channels to its input.
            x = pathway(x, stage)
            assert x.shape[1] == pathway.channels[stage]
            assert x.shape[2] * pathway.time_stride[stage] == inputs[name].shape[2]


@pytest.mark.parametrize(
    "name, dims", [(name, dims) for name in TRANSFORMS for dims in (2, 3) if dims == 2 or TRANSFORMS.facts(name).depths]
)
def test_a_block_strides_and_changes_channels_as_it_should(name, dims):
    kind = TRANSFORMS[name]
    spec = BlockSpec(dims=dims, dim_in=4, dim_out=8 * kind.expansion, dim_inner=8, stride=2, temporal_kernel=3)
    x = torch.randn(2, 4, 6, 8) if dims == 2 else torch.randn(2, 4, 3, 6, 8)
    block = ResBlock(name, spec, NormSpec())
    assert block(x).shape == (2, 8 * kind.expansion, *([3, 4] if dims == 2 else [3, 3, 4]))
    assert is_batch_norm(getattr(block.branch2, kind.final_bn))


class Recorder(torch.nn.Module):
    """Stands for a lateral and a synchronisation head; adds 1 and writes down when it was called."""

    def __init__(self, calls, target="slow"):
        super().__init__()
        self.calls, self.target = calls, target

    def fuse(self, x_visual, encoded, audio_mask):
        self.calls.append(f"audio to {self.target}")
        return x_visual + 1


@pytest.mark.parametrize(
    "target, order",
    [
        ("fast", ["compare", "audio to fast", "fast to slow"]),
        ("slow", ["fast to slow", "compare", "audio to slow"]),
    ],
)
def test_a_stage_is_joined_in_the_order_of_the_information_flow(target, order):
    calls = []

    def fast_to_slow(slow, fast):
        calls.append("fast to slow")
        return slow + fast

    def compare(x_visual, x_fast, x_audio, encoded):
        calls.append("compare")
        return x_visual.clone(), encoded

    join = StageJoin(fast_to_slow, Recorder(calls, target), compare, fuses=True)
    visual = {"slow": torch.zeros(2), "fast": torch.zeros(2)}
    audio = AudioFeatures(torch.zeros(2), encoded=torch.zeros(2))
    compared, _ = join.connect(visual, audio)
    assert calls == order
    assert compared.max() == 0
    assert visual["slow"].max() == 1


def test_a_join_without_audio_connects_fast_to_slow_alone():
    join = StageJoin(lambda slow, fast: slow + fast, Recorder([]), None, fuses=True)
    visual = {"slow": torch.zeros(2), "fast": torch.ones(2)}
    assert join.connect(visual, None) is None
    assert visual["slow"].tolist() == [1, 1]


def test_rows_of_audio_belong_to_clips():
    audio = AudioFeatures(torch.arange(3), index=torch.tensor([2, 2, 0, 1]), encoded=torch.arange(3, 6))
    assert audio.data_of_clips().tolist() == [2, 2, 0, 1]
    assert audio.encoded_of_clips().tolist() == [5, 5, 3, 4]


def test_hard_negatives_stand_behind_the_clips_and_are_not_theirs():
    audio = AudioFeatures(torch.arange(3)).with_hard_negatives(torch.arange(7, 9))
    assert audio.data.tolist() == [0, 1, 2, 7, 8]
    assert dataclasses.replace(audio, encoded=audio.data).encoded_of_clips().tolist() == [0, 1, 2]
    assert audio.without_hard_negatives().data_of_clips().tolist() == [0, 1, 2]


def test_a_copy_shares_nothing_with_its_network():
    model, inputs = make()
    model.eval()
    with torch.no_grad():
        before = model(inputs)["scores"]
        other = copy.deepcopy(model)
        for parameter in other.parameters():
            parameter.zero_()
        assert torch.equal(model(inputs)["scores"], before)
        assert not torch.equal(other(inputs)["scores"], before)


def test_a_replaced_part_is_used():
    model, inputs = make()
    model.eval()
    calls = []
    replaced = copy.deepcopy(model.fast_to_slow["res2"])
    replaced.register_forward_hook(lambda *_: calls.append(1))
    model.fast_to_slow["res2"] = replaced
    model(inputs)
    assert calls == [1]


class Quiet(AudioPathway):
    """An audio pathway with a factor on its input."""

    def __init__(self, spec, *, factor, **settings):
        super().__init__(spec, **settings)
        self.factor = factor

    @classmethod
    def options(cls, cfg):
        return {"factor": cfg.DATA.LOGMEL_STD}


def test_a_pathway_of_a_plugin_is_chosen_by_its_key_and_built_with_its_options(registry_of):
    registry_of("PATHWAYS").register("quiet")(Quiet)
    model, inputs = make("PATHWAY.AUDIO", "quiet", "DATA.LOGMEL_STD", 2.0)
    assert model.pathways["audio"].factor == 2.0
    assert model.eval()(inputs)["scores"].shape == (3, 16)


def test_a_network_carries_nothing_along_before_it_is_loaded():
    assert make()[0].meta is None


def test_a_network_is_summarised_in_a_few_lines():
    model, _ = make()
    text = repr(model)
    assert "audio: AudioPathway, channels pool1 4, res2 4, res3 8, res4 16, res5 32" in text
    assert "audio lateral: AudioToFastSlow at res3, res4" in text
    assert f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M" in text
    assert text.count("\n") < 12


def test_parameters_are_counted_by_part_with_those_that_are_trained():
    model = build_model(tiny_cfg("FINETUNE.FREEZE", ["slow", "laterals"]))
    parts = parameters_by_part(model)
    assert sum(count for count, _ in parts.values()) == count_parameters(model)
    names = ["slow pathway", "fast pathway", "audio pathway", "Fast-to-Slow laterals", "audio laterals"]
    assert list(parts) == [*names, "synchronisation heads", "head"]
    assert [name for name, (_, trained) in parts.items() if not trained] == [names[0], *names[3:]]
    head = model.head
    assert parts["head"] == (sum(p.numel() for p in head.parameters()),) * 2
    lines = parameter_lines(model.train(), trains=True)
    assert lines[1].split() == ["slow", "pathway", f"{parts[names[0]][0]:,}", "none:", "frozen"]
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert lines[8].split() == ["all", f"{count_parameters(model):,}", f"{trained:,}"]
    held = sum(
        is_batch_norm(m)
        for part in (model.pathways["slow"], model.fast_to_slow, model.audio_laterals)
        for m in part.modules()
    )
    assert lines[9] == f"batch norms of frozen parts, whose statistics stay: {held}"
