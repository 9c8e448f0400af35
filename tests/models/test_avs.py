"""Synchronisation loss: the formula in float64, which pairs count, who is whose negative."""

import torch
from helpers.networks import make

from avslowfast.models.avs import contrastive_loss, pair_up, SyncHead


def formula(reference, positive, negative, valid):
    """The loss as the paper's authors wrote it, clip by clip."""
    total, count = 0.0, 0
    for r, p, n, ok in zip(reference.tolist(), positive.tolist(), negative.tolist(), valid.tolist()):
        if ok:
            count += 1
            total += sum((a - b) ** 2 for a, b in zip(r, p))
            total += max(0.99 - sum((a - b) ** 2 for a, b in zip(r, n)) ** 0.5, 0.0) ** 2
    return total / (2 * count + 1e-8)


def test_loss_equals_the_formula():
    torch.manual_seed(0)
    r, p, n = (0.5 * torch.nn.functional.normalize(torch.randn(9, 64, dtype=torch.float64), dim=1) for _ in range(3))
    for valid in (torch.ones(9, dtype=torch.bool), torch.arange(9) % 3 > 0, torch.zeros(9, dtype=torch.bool)):
        assert abs(contrastive_loss(r, p, n, valid).item() - formula(r, p, n, valid)) < 1e-12
    # Instant by instant it is the mean of the formula over the instants.
    r, p, n = (0.5 * torch.nn.functional.normalize(torch.randn(9, 3, 8, dtype=torch.float64), dim=2) for _ in range(3))
    valid = torch.arange(9) % 3 > 0
    expected = sum(formula(r[:, t], p[:, t], n[:, t], valid) for t in range(3)) / 3
    assert abs(contrastive_loss(r, p, n, valid).item() - expected) < 1e-12


def test_gradient_is_finite_where_negative_and_reference_coincide():
    r = torch.full((2, 4), 0.25, requires_grad=True)
    contrastive_loss(r, r.detach().clone(), r, torch.ones(2, dtype=torch.bool)).backward()
    assert torch.isfinite(r.grad).all()


def test_embeddings_have_length_one_half():
    head = SyncHead(6, 5, 8)
    assert torch.allclose(head.embed_visual(torch.randn(3, 6, 2, 4, 4)).norm(dim=2), torch.full((3, 1), 0.5))
    assert torch.allclose(head.embed_audio(torch.randn(3, 5, 7)).norm(dim=2), torch.full((3, 1), 0.5))
    head = SyncHead(6, 5, 8, pool="time")
    assert (
        head.embed_visual(torch.randn(3, 6, 2, 4, 4)).shape == head.embed_audio(torch.randn(3, 5, 2)).shape == (3, 2, 8)
    )


def test_silent_missing_and_equal_pairs_do_not_count():
    torch.manual_seed(0)
    audio = torch.randn(6, 1, 16, 8)
    assert pair_up(audio).valid.all()
    assert pair_up(audio, torch.tensor([1, 1, 0, 1, 1, 1]).bool()).valid.tolist() == [
        True,
        False,
        False,
        True,
        True,
        True,
    ]
    quiet = audio.clone()
    quiet[3] *= 1e-3
    assert pair_up(quiet).valid.tolist() == [True, True, False, False, True, True]
    equal = audio.clone()
    equal[5] = equal[4]
    assert pair_up(equal).valid.tolist() == [True, True, True, True, False, True]
    assert not pair_up(audio[:1]).valid.any()


def test_hard_negatives_replace_the_easy_ones_of_their_clips():
    torch.manual_seed(0)
    audio, hard = torch.randn(4, 1, 16, 8), torch.randn(2, 1, 16, 8)
    negatives = pair_up(audio, None, hard, torch.tensor([1, 3]))
    embedded = torch.arange(6.0)[:, None]
    assert negatives.select(embedded).flatten().tolist() == [1.0, 4.0, 3.0, 5.0]
    # A hard negative counts even where no other clip is in the batch.
    assert pair_up(audio[:1], None, hard[:1]).valid.all()


def test_gradients_reach_the_audio_pathway_through_the_loss_alone_when_dropped():
    model, inputs = make()
    out = model(inputs, drop_audio=True)
    out["logits"].sum().backward(retain_graph=True)
    audio = [p for n, p in model.named_parameters() if n.startswith("pathways.audio")]
    assert all(p.grad is None for p in audio)
    sum(out["losses"].values()).backward()
    assert all(p.grad.abs().sum() > 0 for p in audio)


def test_no_losses_and_no_comparison_in_evaluation():
    model, inputs = make()
    model.eval()
    calls = []
    for head in model.sync_heads.values():
        head.register_forward_hook(lambda *a: calls.append(1))
    assert "losses" not in model(inputs) and not calls


def test_weights_exist_only_where_a_gradient_can_come():
    model, _ = make("SLOWFAST.DROPPATHWAY_RATE", 0.0)
    assert list(model.sync_heads) == ["res3"]
    model, _ = make("LATERAL.AUDIO_POOL5", False, "SLOWFAST.AVS_FLAG", [False] * 5)
    assert not hasattr(model.pathways["audio"], "res5")
