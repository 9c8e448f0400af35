"""Learning without labels: synchronisation of sight and sound at several depths (arXiv 2001.08740, section 3.4), rotation of the pictures."""

import torch

from ..models.heads import PretextHead
from ..utils import distributed
from ..utils.seeding import generator
from .classification import ClassificationTask


def turned(clips, turns):
    """Each clip's pictures turned by its number of quarter turns. clips: [B, C, T, H, W], H = W; turns: [B]."""
    out = torch.empty_like(clips)
    for k in range(PretextHead.TURNS):
        chosen = turns == k
        out[chosen] = torch.rot90(clips[chosen], k, dims=(3, 4))
    return out


def stage_distances(network, inputs):
    """Distances of clips' pictures from their own and from other sound, at every stage.

    Args:
        network: with synchronisation heads. inputs: "slow", "fast", "audio", "audio_mask", and what the data set adds where synchronisation is
            measured: "audio_hard", "audio_hard_mask", "audio_shifts", "audio_shifts_mask" (`negatives.measured_sounds`).

    Returns:
        {"res4": [B, 2 + S] distances from own, hard and shifted sound, "res4_visual", "res4_audio": [B, T, D] embeddings, ...}; NaN where a
        sound does not exist.
    """
    shifts, count = inputs["audio_shifts"], len(inputs["audio"])
    audio = torch.cat([inputs["audio"], inputs["audio_hard"], shifts.flatten(0, 1)])
    masks = torch.cat(
        [inputs["audio_mask"][:, None], inputs["audio_hard_mask"][:, None], inputs["audio_shifts_mask"]], dim=1
    )
    found = {}
    for stage, (visual, heard) in network.sync_embeddings(
        {"slow": inputs["slow"], "fast": inputs["fast"], "audio": audio}
    ).items():
        sounds = [
            heard[:count, None],
            heard[count : 2 * count, None],
            heard[2 * count :].unflatten(0, shifts.shape[:2]),
        ]
        distances = (visual[:, None] - torch.cat(sounds, dim=1)).norm(dim=-1).mean(dim=-1)
        found[stage] = distances.masked_fill(~masks, float("nan"))
        found[f"{stage}_visual"] = visual
        found[f"{stage}_audio"] = heard[:count].masked_fill(~inputs["audio_mask"][:, None, None], float("nan"))
    return found


class PretrainTask(ClassificationTask):
    """Synchronisation, rotation, or both (PRETRAIN.TASKS). Labels are not read.

    The pictures never meet sound here: with nothing to classify, fusion has no purpose, and every stage can be compared.
    """

    joins_views = False

    def __init__(self, cfg, device):
        super().__init__(cfg, device)
        learns = self._learns(cfg)
        self.rotates, self.synchronises = "rotation" in learns, "avs" in learns
        self.rotation_weight = cfg.PRETRAIN.ROTATION_WEIGHT
        self.idle_in_evaluation = () if self.synchronises else ("audio_laterals", "sync_heads")

    @staticmethod
    def _learns(cfg):
        return cfg.PRETRAIN.TASKS

    def losses(self, model, batch, drop_audio, iteration):
        """See `ClassificationTask.losses`; `drop_audio` has no meaning here."""
        inputs, parts = self.inputs(batch), {}
        turns = None
        if self.rotates:
            rng = generator(self.seed, iteration, distributed.rank(), "rotation")
            turns = torch.from_numpy(rng.integers(PretextHead.TURNS, size=len(inputs["slow"]))).to(self.device)
            inputs.update({name: turned(inputs[name], turns) for name in ("slow", "fast") if name in inputs})
        out = self._forward(model, inputs, True)
        if turns is not None:
            parts["loss_rotation"] = self.rotation_weight * torch.nn.functional.cross_entropy(
                out["logits"].float(), turns
            )
        return self._with_total(parts, out["losses"])

    def forward_as_evaluated(self, model, inputs):
        """See `ClassificationTask.forward_as_evaluated`: pictures never meet sound."""
        return model(inputs, drop_audio=True)

    def scores(self, model, batch, max_clips):
        """What the synchronisation metrics are made of, clip by clip, on the CPU.

        Returns:
            For each stage, "res4": [clips, 2 + S] distances of the picture from its own sound, from a hard negative and from its own sound
            at S shifts; "res4_visual", "res4_audio": [clips, T, D] embeddings; "rotation": [clips, 1], the share of the four turns that was told.
            NaN where a sound does not exist.
        """
        network = getattr(model, "module", model)
        parts = []
        for piece in self._pieces(batch, max_clips):
            inputs = self.inputs(piece)
            found = stage_distances(network, inputs) if self.synchronises else {}
            if self.rotates:
                found["rotation"] = self._told(network, inputs)
            parts.append(found)
        return {name: torch.cat([part[name] for part in parts]).float().cpu() for name in parts[0]}

    def _told(self, network, inputs):
        right = 0.0
        for k in range(PretextHead.TURNS):
            turns = torch.full((len(inputs["slow"]),), k, device=self.device)
            pictures = {name: turned(inputs[name], turns) for name in ("slow", "fast") if name in inputs}
            out = network({**inputs, **pictures}, drop_audio=True)
            right = right + (out["scores"].argmax(dim=1) == turns).float()
        return right[:, None] / PretextHead.TURNS


class SyncTask(PretrainTask):
    """Synchronisation alone, measured on held-out clips; tests any network with synchronisation heads."""

    @staticmethod
    def _learns(cfg):
        return ["avs"]
