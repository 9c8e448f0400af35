"""The network: a stage loop over pathways and laterals (arXiv 2001.08740, figure 2)."""

from dataclasses import dataclass

import torch
from torch import nn

from ..config.names import STAGES
from .avs import pair_up, sync_loss
from .lateral import keep_clips_with_sound
from .side_stream import beside

_LAST = len(STAGES) - 1


@dataclass(frozen=True)
class AudioPlan:
    """What one forward pass does with audio, so that nothing is computed that nothing uses.

    Attributes:
        fuse: stages whose audio lateral is applied.
        sync: stages with a synchronisation loss.
        last: index of the last audio stage to run, -1 for none.
        head: the head sees audio.
    """

    fuse: frozenset
    sync: frozenset
    last: int
    head: bool

    @property
    def last_sync(self):
        """The stage after which hard negatives have served; None without any."""
        return max(self.sync, key=STAGES.index, default=None)


class Network(nn.Module):
    """Slow, Fast and Audio pathways with their laterals and a head; any of them may be absent.

    Args:
        pathways: {"slow" | "fast" | "audio": Pathway}.
        fast_to_slow: {stage: FastToSlow}.
        audio_laterals: {stage: audio lateral} (see `lateral.py`).
        sync_heads: {stage: SyncHead}.
        head: see `heads.py`.
        drop_pathway: decides which training iterations go without audio; None never drops.
        mean, std: pixel statistics for clips that arrive as uint8.
        sync_thresholds: (variance, similarity) of `avs.pair_up`.
        audio_stream: on a GPU audio runs on a stream of its own, beside the visual stages.
    """

    def __init__(
        self,
        pathways,
        fast_to_slow,
        audio_laterals,
        sync_heads,
        head,
        drop_pathway=None,
        mean=(0.45,) * 3,
        std=(0.225,) * 3,
        sync_thresholds=(0.01, 0.99999),
        audio_stream=False,
    ):
        super().__init__()
        self.pathways = nn.ModuleDict(pathways)
        self.fast_to_slow = nn.ModuleDict(fast_to_slow)
        self.audio_laterals = nn.ModuleDict(audio_laterals)
        self.sync_heads = nn.ModuleDict(sync_heads)
        self.head = head
        self.drop_pathway = drop_pathway
        self.sync_thresholds = sync_thresholds
        self.audio_stream = audio_stream
        self.register_buffer("pixel_mean", torch.tensor(mean).view(-1, 1, 1, 1), persistent=False)
        self.register_buffer("pixel_std", torch.tensor(std).view(-1, 1, 1, 1), persistent=False)
        self._iteration = 0
        self._frozen = ()

    def freeze(self, parts):
        """Fix parts of the network: their weights get no gradient, their batch norms stay as in testing, statistics included.

        Args:
            parts: pathways ("slow"), stages of every pathway with their laterals ("res2"), stages of one ("slow.res2"), or "laterals".
        """
        laterals = {"fast_to_slow": self.fast_to_slow, "audio_laterals": self.audio_laterals}
        frozen = []
        for part in parts:
            if part in STAGES:
                frozen += [
                    f"pathways.{name}.{part}" for name, pathway in self.pathways.items() if hasattr(pathway, part)
                ]
                frozen += [f"{kind}.{part}" for kind, modules in laterals.items() if part in modules]
            else:
                frozen += list(laterals) if part == "laterals" else [f"pathways.{part}"]
        self._frozen = tuple(frozen)
        for name in frozen:
            self.get_submodule(name).requires_grad_(False)
        self.train(self.training)

    def train(self, mode=True):
        """Training or testing mode; frozen parts stay in testing mode."""
        super().train(mode)
        for name in self._frozen:
            self.get_submodule(name).eval()
        return self

    def normalize(self, inputs):
        """Raw uint8 clips as normalised floats; floats count as normalised already. A dict comes back, the argument is unchanged."""
        out = dict(inputs)
        for name in ("slow", "fast"):
            if name in out and out[name].dtype == torch.uint8:
                out[name] = (out[name].float().div_(255).sub_(self.pixel_mean)).div_(self.pixel_std)
        return out

    def forward(self, inputs, boxes=None, drop_audio=None):
        """Classify clips.

        Args:
            inputs: "slow" [B, 3, T/alpha, H, W], "fast" [B, 3, T, H, W] (uint8 pixels, or floats normalised already),
                "audio" [B, 1, T_A, F] (normalised log-mel); optional "audio_mask" [B] bool (False: no sound); in testing optional "audio_index"
                [B], the row of "audio" and "audio_mask" that each clip hears, where several share one; in training also
                "audio_hard_negative" [N, 1, T_A, F] with "audio_hard_negative_index" [N], their clips (absent: N = B, in order).
            boxes: [K, 5] for detection.
            drop_audio: go without audio; None draws (in training) or keeps it (in testing).

        Returns:
            Training: {"logits", "losses"}. Testing: {"scores"}. See `heads.py`.

        Raises:
            ValueError: inputs are missing, or there is one that the model does not take.
        """
        self._check(inputs)
        inputs = self.normalize(inputs)
        if drop_audio is None:
            drop_audio = self._draw()
        plan = self._plan(drop_audio)
        features = {name: inputs[name] for name in self.pathways}
        mask, negatives = self._prepare_audio(inputs, features, plan)
        losses = {}

        def compare(stage, visual, audio):
            losses[f"avs_{stage}"] = sync_loss(visual, audio, negatives)

        index = inputs.get("audio_index")
        self._run_stages(features, mask, plan, compare, negatives.num_clips if negatives else None, index=index)
        if not plan.head:
            features.pop("audio", None)
        elif index is not None:
            features["audio"] = features["audio"].index_select(0, index)
        out = self.head(features, mask, boxes)
        if self.training:
            out["losses"] = losses
        return out

    def sync_embeddings(self, inputs):
        """What the synchronisation heads compare, from pictures that have met no sound.

        Args:
            inputs: "slow", "fast" of B clips; "audio" [N, 1, T_A, F], any number of spectrograms.

        Returns:
            {stage: (visual [B, T, D], audio [N, T, D])}, at every stage with a head; T is 1 where the heads average over time.
        """
        inputs = self.normalize(inputs)
        features = {name: inputs[name] for name in self.pathways}
        plan = AudioPlan(frozenset(), frozenset(self.sync_heads), max(STAGES.index(s) for s in self.sync_heads), False)
        found = {}
        self._run_stages(
            features, None, plan, lambda stage, visual, audio: found.update({stage: (visual, audio)}), last=plan.last
        )
        return found

    def pooled_features(self, inputs, stage="res5", fuse=True):
        """Features of a stage, averaged over all positions: {pathway: [B, C]}.

        Args:
            inputs: as for `forward`; without "audio" an audiovisual network gives its visual features alone.
            fuse: let audio join the visual pathways (`audio_mask` counts); False keeps sight and sound apart.
        """
        inputs = self.normalize(inputs)
        features = {name: inputs[name] for name in self.pathways if name in inputs}
        heard = "audio" in features
        mask = inputs.get("audio_mask")
        if heard:
            features["audio"] = keep_clips_with_sound(features["audio"], mask)
        last = STAGES.index(stage)
        alone = "slow" not in self.pathways
        joined = frozenset(self.audio_laterals) if fuse and heard and not alone else frozenset()
        # Where nothing uses them, the audio pathway's last stages are not built.
        built = [i for i in range(last + 1) if heard and hasattr(self.pathways["audio"], STAGES[i])]
        plan = AudioPlan(joined, frozenset(), max(built, default=-1), heard)
        index = inputs.get("audio_index") if heard else None
        self._run_stages(features, mask if index is None or mask is None else mask[index], plan, last=last, index=index)
        if index is not None:
            features["audio"] = features["audio"].index_select(0, index)
        return {name: x.mean(dim=tuple(range(2, x.dim()))) for name, x in features.items()}

    def _run_stages(self, features, mask, plan, compare=None, num_clips=None, last=_LAST, index=None):
        """The stage loop; `features` changes in place.

        Args:
            compare: called with (stage, visual, audio embeddings) at the stages of plan.sync.
            num_clips: clips in `features["audio"]`, which hard negatives follow; they go no further than the last comparison.
            last: index of the last stage to run.
            index: [B] row of the audio features that each clip hears; None: its own.
        """
        side = beside(features.get("audio"), self.audio_stream and "slow" in features and plan.last >= 0)
        for number, stage in enumerate(STAGES[: last + 1]):
            encoded = None
            if number <= plan.last:
                with side.work():
                    features["audio"] = self.pathways["audio"](features["audio"], stage)
                    encoded = self._encode(stage, features["audio"], plan)
            for name in features:
                if name != "audio":
                    features[name] = self.pathways[name](features[name], stage)
            if stage in plan.fuse | plan.sync:
                side.join(encoded, features["audio"])
            self._join(stage, features, encoded, mask, plan, compare, num_clips, index)
            if num_clips is not None and stage == plan.last_sync:
                features["audio"] = features["audio"][:num_clips]
        side.join(features.get("audio"))

    def _encode(self, stage, audio, plan):
        """What the stage's lateral makes of audio, where something uses it."""
        lateral = self.audio_laterals[stage] if stage in self.audio_laterals else None
        return lateral.encode(audio) if lateral is not None and stage in plan.fuse | plan.sync else None

    def _check(self, inputs):
        for name in self.pathways:
            if name not in inputs:
                raise ValueError(
                    f"the model has a pathway '{name}' but the inputs are {sorted(inputs)}; add \"{name}\""
                )
        for name in ("slow", "fast", "audio"):
            if name in inputs and name not in self.pathways:
                raise ValueError(
                    f"the model has no pathway '{name}' (it takes {', '.join(self.pathways)}); remove \"{name}\" from the inputs"
                )

    def _draw(self):
        if not self.training or self.drop_pathway is None:
            return False
        self._iteration += 1
        return self.drop_pathway.draw(self._iteration - 1)

    def _plan(self, drop_audio):
        if "audio" not in self.pathways:
            return AudioPlan(frozenset(), frozenset(), -1, False)
        if "slow" not in self.pathways:
            return AudioPlan(frozenset(), frozenset(), len(STAGES) - 1, True)
        fuse = frozenset() if drop_audio else frozenset(self.audio_laterals)
        # Visual features that have met audio would make the task of telling sync trivial: nothing after the first lateral.
        first = min((STAGES.index(s) for s in fuse), default=len(STAGES))
        sync = frozenset(s for s in self.sync_heads if STAGES.index(s) <= first) if self.training else frozenset()
        head = not drop_audio and "audio" in self.head.channels
        last = max((STAGES.index(s) for s in fuse | sync), default=-1)
        return AudioPlan(fuse, sync, len(STAGES) - 1 if head else last, head)

    def _prepare_audio(self, inputs, features, plan):
        """Puts the spectrograms that are needed into `features`: clips, then hard negatives."""
        if plan.last < 0:
            features.pop("audio", None)
            return None, None
        mask = inputs.get("audio_mask")
        audio = keep_clips_with_sound(features["audio"], mask)
        hard = negatives = None
        if plan.sync:
            hard = inputs.get("audio_hard_negative")
            index = inputs.get("audio_hard_negative_index")
            if hard is not None and len(hard) == 0:
                hard = None
            if hard is not None and index is None and len(hard) != len(audio):
                raise ValueError(
                    f'{len(hard)} hard negatives for {len(audio)} clips: add "audio_hard_negative_index", the clip of each'
                )
            negatives = pair_up(audio, mask, hard, index, *self.sync_thresholds)
        features["audio"] = audio if hard is None else torch.cat([audio, hard])
        if mask is not None and "audio_index" in inputs:
            mask = mask[inputs["audio_index"]]
        return mask, negatives

    def _join(self, stage, features, encoded, mask, plan, compare, num_clips, index):
        """The laterals of one stage, in the order of the information flow: A->F, F->S, A->FS; and its comparison of sight and sound."""
        lateral = self.audio_laterals[stage] if stage in self.audio_laterals else None
        fuses, syncs = stage in plan.fuse, stage in plan.sync
        # Hard negatives, which stand behind the clips, serve synchronisation alone.
        own = encoded if encoded is None or num_clips is None else encoded[:num_clips]
        own = own if own is None or index is None else own.index_select(0, index)
        early = lateral is not None and lateral.target == "fast"
        if syncs and early:
            compare(stage, *self.sync_heads[stage](features["fast"], encoded))
        if fuses and early:
            features["fast"] = lateral.fuse(features["fast"], own, mask)
        if stage in self.fast_to_slow:
            features["slow"] = self.fast_to_slow[stage](features["slow"], features["fast"])
        if syncs and not early:
            compare(stage, *self._embed_slow(stage, features, encoded))
        if fuses and not early:
            features["slow"] = lateral.fuse(features["slow"], own, mask)

    def _embed_slow(self, stage, features, encoded):
        head = self.sync_heads[stage]
        visual = features["slow"] if head.join_fast is None else head.join_fast(features["slow"], features["fast"])
        return head(visual, encoded if head.encoder is None else head.encoder(features["audio"]))
