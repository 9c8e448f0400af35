"""DropPathway: reproducible, complete, and at no cost; clips without audio behave as dropped."""

import pytest
import torch
from helpers.networks import count_convolutions, is_audio, loss_of, make

from avslowfast.config.names import LATERALS
from avslowfast.models.drop_pathway import DropPathway

NO_AVS = ("SLOWFAST.AVS_FLAG", [False] * 5)


def test_draws_depend_on_seed_and_iteration_alone():
    drops = [DropPathway(0.8, 3).draw(i) for i in range(2000)]
    assert drops == [DropPathway(0.8, 3).draw(i) for i in range(2000)]
    assert drops != [DropPathway(0.8, 4).draw(i) for i in range(2000)]
    assert 0.76 < sum(drops) / len(drops) < 0.84
    assert not any(DropPathway(0.0, 3).draw(i) for i in range(100)) and all(
        DropPathway(1.0, 3).draw(i) for i in range(100)
    )


def test_a_dropped_iteration_without_sync_runs_no_audio_convolution():
    model, inputs = make(*NO_AVS)
    dropped = count_convolutions(model, lambda: model(inputs, drop_audio=True))
    kept = count_convolutions(model, lambda: model(inputs, drop_audio=False))
    assert not [name for name, _ in dropped if is_audio(name)]
    assert [name for name, _ in kept if is_audio(name)]


@pytest.mark.parametrize("drop", [True, False])
def test_each_clip_goes_through_audio_once_with_easy_negatives(drop):
    model, inputs = make()
    seen = count_convolutions(model, lambda: model(inputs, drop_audio=drop))
    audio = [(name, n) for name, n in seen if is_audio(name)]
    assert len({name for name, _ in audio}) == len(audio) and {n for _, n in audio} == {3}


def test_hard_negatives_go_no_further_than_the_last_comparison():
    model, inputs = make()
    inputs["audio_hard_negative"] = torch.randn_like(inputs["audio"][:2])
    inputs["audio_hard_negative_index"] = torch.tensor([0, 2])
    seen = dict(count_convolutions(model, lambda: model(inputs, drop_audio=False)))
    # Audio joins at res3, so nothing is compared after it.
    assert (
        seen[
            "pathways.audio.res3.block1.branch2.a"
            if "pathways.audio.res3.block1.branch2.a" in seen
            else "pathways.audio.res3.block1.branch2.t"
        ]
        == 5
    )
    assert seen["pathways.audio.res4.block0.branch2.a"] == 3
    seen = dict(count_convolutions(model, lambda: model(inputs, drop_audio=True)))
    assert seen["pathways.audio.res5.block1.branch2.b"] == 5


def test_a_dropped_iteration_gives_audio_weights_no_gradient():
    model, inputs = make(*NO_AVS)
    loss_of(model(inputs, drop_audio=True)).backward()
    touched = {n for n, p in model.named_parameters() if p.grad is not None}
    assert touched == {n for n, _ in model.named_parameters() if not is_audio(n)}
    audio_columns = model.head.projection.weight.grad[:, -model.head.channels["audio"] :]
    assert audio_columns.abs().max() == 0


def test_dropped_features_do_not_depend_on_the_audio_even_if_it_is_nan():
    model, inputs = make()
    other = {**inputs, "audio": torch.full_like(inputs["audio"], float("nan"))}
    model.eval()
    with torch.no_grad():
        a, b = model(inputs, drop_audio=True)["scores"], model(other, drop_audio=True)["scores"]
    assert torch.equal(a, b)


@pytest.mark.parametrize("kind", LATERALS)
def test_a_clip_without_audio_behaves_as_dropped_for_itself_alone(kind):
    model, inputs = make("LATERAL.AUDIO", kind, "DATA.AUDIO_FRAME_NUM", 128, "SLOWFAST.AU_ALPHA", 32)
    model.eval()
    inputs["audio"][1] = float("nan")
    mask = torch.tensor([True, False, True])
    with torch.no_grad():
        masked = model({**inputs, "audio_mask": mask})["scores"]
        dropped = model(inputs, drop_audio=True)["scores"]
        full = model({**inputs, "audio": inputs["audio"].nan_to_num()})["scores"]
    torch.testing.assert_close(masked[1], dropped[1])
    torch.testing.assert_close(masked[[0, 2]], full[[0, 2]])
    assert not torch.allclose(full, dropped)


def test_masked_nan_reaches_no_weight_in_training():
    model, inputs = make()
    inputs["audio"][1] = float("nan")
    inputs["audio_mask"] = torch.tensor([True, False, True])
    for drop in (False, True):
        loss_of(model(inputs, drop_audio=drop)).backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_the_model_draws_by_itself_in_training_only():
    model, inputs = make("SLOWFAST.DROPPATHWAY_RATE", 1.0, *NO_AVS)
    assert not [n for n, _ in count_convolutions(model, lambda: model(inputs)) if is_audio(n)]
    model.eval()
    assert [n for n, _ in count_convolutions(model, lambda: model(inputs)) if is_audio(n)]


def test_a_dropped_iteration_may_keep_audio_in_the_head_alone():
    model, inputs = make("LATERAL.DROP_POOL5", False, *NO_AVS)
    other = {**inputs, "audio": torch.randn_like(inputs["audio"])}
    with torch.no_grad():
        seen = count_convolutions(model, lambda: model(inputs, drop_audio=True))
        logits, changed = (model(x, drop_audio=True)["logits"] for x in (inputs, other))
    assert [name for name, _ in seen if name.startswith("pathways.audio.res5")]
    assert not [name for name, _ in seen if name.startswith("audio_laterals")]
    # Visual features have not met audio: the difference comes from the head's columns for audio.
    audio = model.head.channels["audio"]
    model.head.projection.weight.data[:, -audio:] = 0
    with torch.no_grad():
        assert torch.equal(*(model(x, drop_audio=True)["logits"] for x in (inputs, other)))
    assert not torch.allclose(logits, changed)


def test_synchronisation_of_a_dropped_iteration_is_the_same_with_audio_in_the_head():
    losses = []
    for kept in (False, True):
        model, inputs = make("LATERAL.DROP_POOL5", not kept)
        inputs["audio_hard_negative"] = torch.randn(inputs["audio"].shape, generator=torch.Generator().manual_seed(1))
        out = model(inputs, drop_audio=True)
        loss_of(out).backward()
        losses.append(out["losses"])
    assert losses[0].keys() == losses[1].keys() == {"avs_res3", "avs_res4", "avs_res5"}
    assert all(torch.equal(losses[0][name], losses[1][name]) for name in losses[0])
    assert model.head.projection.weight.grad[:, -model.head.channels["audio"] :].abs().max() > 0


def test_in_testing_dropped_audio_is_out_of_the_head_in_any_case():
    model, inputs = make("LATERAL.DROP_POOL5", False, *NO_AVS)
    model.eval()
    assert not [n for n, _ in count_convolutions(model, lambda: model(inputs, drop_audio=True)) if is_audio(n)]
