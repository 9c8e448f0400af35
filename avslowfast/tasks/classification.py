"""Objectives. A task turns a batch into named losses (training) and scores (evaluation); the loop never asks which one it is."""

import torch
from torch.nn import functional as F

from ..clips.logmel import apply_spec_masks
from ..loading.build import audio_front_end
from ..utils.batches import pieces
from ..utils.seeding import generator
from .mixing import Mixing, soft_cross_entropy

# Inputs with another number of rows in each batch: a compiled network takes any number in one graph.
_RAGGED = ("audio_hard_negative", "audio_hard_negative_index", "boxes")


class ClassificationTask:
    """One or several labels a clip, with the model's synchronisation losses added.

    Args:
        cfg: the configuration. device: where batches go.

    Attributes:
        joins_views: the scores of a video's views are joined; else they stay side by side.
        idle_in_evaluation: parts of the network that evaluation does not run.
    """

    joins_views = True
    idle_in_evaluation = ("sync_heads",)

    def __init__(self, cfg, device):
        self.device = device
        self.seed = cfg.RNG_SEED
        self.compiles = cfg.TRAIN.COMPILE
        self.loss_name = cfg.MODEL.LOSS_FUNC
        self.avs_weight = cfg.LATERAL.AVS_WEIGHT
        self.head_weights = dict(zip(cfg.MULTI_HEAD.NAMES, cfg.MULTI_HEAD.LOSS_WEIGHTS))
        self.front_end = audio_front_end(cfg).to(device) if cfg.DATA.LOGMEL_ON_DEVICE else None
        m = cfg.MIXUP
        self.mixing = (
            Mixing(m.ALPHA, m.CUTMIX_ALPHA, m.PROB, m.SWITCH_PROB, m.LABEL_SMOOTH_VALUE, cfg.MODEL.NUM_CLASSES)
            if m.ENABLE
            else None
        )

    def inputs(self, batch):
        """The model's inputs out of a collated batch, on the device; log-mel spectrograms are computed there if they are not yet."""
        x = {k: v.to(self.device, non_blocking=True) for k, v in batch.items() if isinstance(v, torch.Tensor)}
        for name in [name for name in x if name.startswith("waveform")]:
            x[name.replace("waveform", "audio")] = self.front_end(x.pop(name))
        if "spec_masks" in x:
            x["audio"] = apply_spec_masks(x["audio"], x["spec_masks"])
        return {name: value for name, value in x.items() if name in ("slow", "fast") or name.startswith("audio")}

    def losses(self, model, batch, drop_audio, iteration):
        """Named scalar losses of a training batch; "loss" is what is minimised.

        Args:
            model: the network, or its data-parallel wrapper. drop_audio: this iteration goes without audio (None: no such pathway).
            iteration: of the whole training; seeds the mixing.
        """
        inputs = self.inputs(batch)
        labels = batch["label"].to(self.device, non_blocking=True)
        if self.mixing is not None:
            network = getattr(model, "module", model)
            inputs, labels = self.mixing(network.normalize(inputs), labels, generator(self.seed, iteration, "mixing"))
        out = self._forward(model, inputs, drop_audio)
        return self._with_total(self._classification(out["logits"], labels), out["losses"])

    def _forward(self, model, inputs, drop_audio):
        if self.compiles:
            for name in _RAGGED:
                if name in inputs:
                    torch._dynamo.maybe_mark_dynamic(inputs[name], 0)
        return model(inputs, boxes=inputs.get("boxes"), drop_audio=drop_audio)

    def _with_total(self, parts, sync_losses):
        """Named losses with those of synchronisation, and "loss", the weighted sum of all."""
        total = sum(parts.values())
        for value in sync_losses.values():
            total = total + self.avs_weight * value
        return {"loss": total, **parts, **sync_losses}

    def _classification(self, logits, labels):
        if isinstance(logits, dict):
            return {
                f"loss_{n}": self.head_weights[n] * self._loss(x, labels[:, i])
                for i, (n, x) in enumerate(logits.items())
            }
        return {"loss_cls": self._loss(logits, labels)}

    def _loss(self, logits, labels):
        if self.loss_name.startswith("bce"):
            return F.binary_cross_entropy_with_logits(logits.float(), labels.float())
        if labels.dim() == 2:
            return soft_cross_entropy(logits, labels)
        return F.cross_entropy(logits.float(), labels)

    def forward_as_evaluated(self, model, inputs):
        """Run the network as evaluation does, whatever its mode: precise batch norm takes its statistics from this. Testing always has audio."""
        return self._forward(model, inputs, False)

    def scores(self, model, batch, max_clips):
        """Scores [clips, K] (or a dict of them) of an evaluation batch, at most `max_clips` clips in a forward pass; on the CPU."""
        parts = [model(self.inputs(piece))["scores"] for piece in self._pieces(batch, max_clips)]
        if isinstance(parts[0], dict):
            return {name: torch.cat([part[name] for part in parts]).float().cpu() for name in parts[0]}
        return torch.cat(parts).float().cpu()

    @staticmethod
    def _pieces(batch, max_clips):
        """An evaluation batch in pieces of at most `max_clips` clips."""
        return pieces(batch, len(batch["clip_index"]), max_clips)


class DetectionTask(ClassificationTask):
    """Several labels a box, with the model's synchronisation losses added; clips may have any number of boxes, none included."""

    def inputs(self, batch):
        """See `ClassificationTask.inputs`; with "boxes" [K, 5]."""
        inputs = super().inputs(batch)
        if "boxes" in batch:
            inputs["boxes"] = batch["boxes"].to(self.device, non_blocking=True)
        return inputs

    def losses(self, model, batch, drop_audio, iteration):
        """See `ClassificationTask.losses`."""
        inputs, targets = self.inputs(batch), batch["targets"].to(self.device, non_blocking=True)
        out = self._forward(model, inputs, drop_audio)
        # Without a box in the batch there is nothing to learn from; a mean over nothing would be NaN.
        loss = self._loss(out["logits"], targets) if len(targets) else out["logits"].sum() * 0.0
        return self._with_total({"loss_cls": loss}, out["losses"])

    def scores(self, model, batch, max_clips):
        """Scores of the boxes of each clip: a list of [K, classes], on the CPU. Clips of one size go through the network together."""
        clips, found = batch["clips"], []
        first = 0
        while first < len(clips):
            last = first + 1
            while (
                last < len(clips)
                and last - first < max_clips
                and clips[last]["slow"].shape == clips[first]["slow"].shape
            ):
                last += 1
            group = clips[first:last]
            inputs = {
                name: torch.stack([clip[name] for clip in group])
                for name in group[0]
                if name not in ("boxes", "targets", "index")
            }
            counts = [len(clip["boxes"]) for clip in group]
            numbers = torch.arange(len(group)).repeat_interleave(torch.tensor(counts)).float()
            boxes = torch.cat([numbers[:, None], torch.cat([clip["boxes"] for clip in group])], dim=1)
            scores = model(self.inputs(inputs), boxes=boxes.to(self.device))["scores"].float().cpu()
            found += list(scores.split(counts))
            first = last
        return found
