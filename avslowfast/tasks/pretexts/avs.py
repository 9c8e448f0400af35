"""Audiovisual synchronisation at several depths (arXiv 2001.08740)."""

import torch

from ...models.network import Network
from .base import Pretext


def stage_distances(network: Network, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Distances of clips' visual embeddings from their audio and from other audio, at every stage that compares them.

    Args:
        network: With synchronisation heads.
        inputs: "slow", "fast", "audio", "audio_mask", and what the data set adds where synchronisation is measured:
            "audio_hard" and "audio_shifts" (audio of the same video at another time, and at S shifts), each with its
            mask.

    Returns:
        {"res4": [B, 2 + S] distances from the clip's audio, the hard negative and the shifted audio, "res4_visual",
        "res4_audio": [B, T, D] embeddings, ...}; NaN where there is no such audio.
    """
    shifts, count = inputs["audio_shifts"], len(inputs["audio"])
    audio = torch.cat([inputs["audio"], inputs["audio_hard"], shifts.flatten(0, 1)])
    masks = [inputs["audio_mask"][:, None], inputs["audio_hard_mask"][:, None], inputs["audio_shifts_mask"]]
    missing = ~torch.cat(masks, dim=1)
    embeddings = network.sync_embeddings({"slow": inputs["slow"], "fast": inputs["fast"], "audio": audio})
    arrays = {}
    for stage, (visual, embedded) in embeddings.items():
        in_sync, hard, shifted = embedded.split([count, count, len(embedded) - 2 * count])
        compared = torch.cat([in_sync[:, None], hard[:, None], shifted.unflatten(0, shifts.shape[:2])], dim=1)
        distances = (visual[:, None] - compared).norm(dim=-1).mean(dim=-1)
        arrays[stage] = distances.masked_fill(missing, float("nan"))
        arrays[f"{stage}_visual"] = visual
        arrays[f"{stage}_audio"] = in_sync.masked_fill(~inputs["audio_mask"][:, None, None], float("nan"))
    return arrays


class AvsPretext(Pretext):
    """The network's synchronisation heads learn it: their losses ("avs_STAGE") come from the network itself."""

    def score(self, network: Network, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """See `Pretext.score`: the distances that the synchronisation metrics are made of."""
        return stage_distances(network, inputs)
