"""The network: a stage loop over pathways and laterals (arXiv 2001.08740, figure 2).

Legend: B clips, N rows of audio, M hard negatives, T frames, T_A spectrogram steps, F mel bands, H W pixels, K classes,
D dimension.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import nn, Tensor

from ..config.names import STAGES
from .audio_features import AudioFeatures
from .avs import pair_up, sync_loss, SyncHead
from .complexity import count_parameters
from .drop_pathway import DropPathway
from .heads import Head
from .laterals.base import AudioLateral
from .laterals.fast_to_slow import FastToSlow
from .pathways import Pathway
from .side_stream import side_stream
from .stage_join import Comparison, StageJoin


@dataclass(frozen=True)
class AudioPlan:
    """What one forward pass does with audio, so that nothing is computed that nothing uses.

    Attributes:
        fuse: Stages whose audio lateral is applied.
        sync: Stages with a synchronisation loss.
        stages: Stages of the audio pathway that run, in order.
        head: The head gets audio features.
    """

    fuse: frozenset[str] = frozenset()
    sync: frozenset[str] = frozenset()
    stages: tuple[str, ...] = ()
    head: bool = False

    @property
    def last_sync(self) -> str | None:
        """The last stage with a synchronisation loss; hard negatives are of no use after it."""
        return max(self.sync, key=STAGES.index, default=None)


class Network(nn.Module):
    """Slow, Fast and Audio pathways with their laterals and a head; any of the pathways may be absent.

    Args:
        pathways: {slow | fast | audio: pathway}.
        fast_to_slow: {stage: F->S lateral}.
        audio_laterals: {stage: audio lateral}.
        sync_heads: {stage: synchronisation head}.
        head: Classifies clips or boxes.
        drop_pathway: Decides which training iterations drop the audio pathway; None never drops it.
        mean: Mean per channel in 0..1, in the order of the network's channels, for frames that arrive as uint8.
        std: Standard deviation per channel, likewise.
        sync_thresholds: Variance and similarity that decide which pairs count, see `avs.pair_up`.
        audio_stream: On a GPU the audio pathway runs on a second stream, in parallel with the visual stages.

    Attributes:
        meta: What a loaded network carries along (configuration, class names, preprocessing); set by
            `avslowfast.load_model`.
    """

    pixel_mean: Tensor
    pixel_std: Tensor
    meta: Any = None

    def __init__(
        self,
        pathways: Mapping[str, Pathway],
        fast_to_slow: Mapping[str, FastToSlow],
        audio_laterals: Mapping[str, AudioLateral],
        sync_heads: Mapping[str, SyncHead],
        head: Head,
        *,
        drop_pathway: DropPathway | None = None,
        mean: Sequence[float] = (0.45,) * 3,
        std: Sequence[float] = (0.225,) * 3,
        sync_thresholds: tuple[float, float] = (0.01, 0.99999),
        audio_stream: bool = False,
    ) -> None:
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
        self._frozen: tuple[str, ...] = ()

    def forward(
        self, inputs: Mapping[str, Tensor], boxes: Tensor | None = None, drop_audio: bool | None = None
    ) -> dict[str, Any]:
        """Classify clips, or boxes.

        Args:
            inputs: "slow" [B, 3, T/alpha, H, W] and "fast" [B, 3, T, H, W] (uint8 pixels, or floats that are normalised
                already), "audio" [B, 1, T_A, F] (normalised log-mel), those of the network's pathways. Optional
                "audio_mask" [B] bool, False for a clip without audio. In testing optional "audio_index" [B]: the row of
                "audio" and "audio_mask" of each clip, where clips share audio. In training optional
                "audio_hard_negative" [M, 1, T_A, F] with "audio_hard_negative_index" [M], their clips (absent: M = B,
                in order).
            boxes: [N, 5] (clip index, x1, y1, x2, y2 in input pixels) for detection.
            drop_audio: Drop the audio pathway (in training only its laterals, if DropPathway leaves audio in the head);
                None draws in training and keeps it in testing.

        Returns:
            Training: {"logits": [B, K], "losses": {"avs_res4": scalar, ...}}. Testing: {"scores": [B, K]}.
            A head with several classifiers gives {classifier: [B, K]} in place of a tensor; with boxes the rows are
            boxes.

        Raises:
            ValueError: An input is missing, or one that the network does not take is given.
        """
        self._check(inputs)
        plan = self._plan(self._draw_drop() if drop_audio is None else drop_audio)
        inputs = self.normalize(inputs)
        visual = {name: inputs[name] for name in self.pathways if name != "audio"}
        audio = AudioFeatures.from_inputs(inputs) if plan.stages else None
        negatives = None
        if audio is not None and plan.sync:
            hard, index = _hard_negatives(inputs)
            negatives = pair_up(audio.data, inputs.get("audio_mask"), hard, index, *self.sync_thresholds)
            audio = audio.with_hard_negatives(hard)
        audio, comparisons = self._run_stages(visual, audio, plan)
        features, mask = visual, None
        if plan.head and audio is not None:
            features, mask = {**visual, "audio": audio.data_of_clips()}, audio.mask
        out = _unwrapped(self.head(features, mask, boxes))
        if not self.training:
            return {"scores": out}
        losses = {}
        if negatives is not None:
            losses = {f"avs_{stage}": sync_loss(*pair, negatives) for stage, pair in comparisons.items()}
        return {"logits": out, "losses": losses}

    def _run_stages(
        self, visual: dict[str, Tensor], audio: AudioFeatures | None, plan: AudioPlan, last: str = STAGES[-1]
    ) -> tuple[AudioFeatures | None, dict[str, Comparison]]:
        """The figure of the paper: advance every pathway by a stage, then join them.

        Args:
            visual: {pathway: input}; the features after stage `last` replace it.
            audio: Spectrograms; None where no audio stage runs.
            plan: Which audio stages run, and what uses them.
            last: The last stage to run.

        Returns:
            The audio features after their last stage, and {stage: embeddings to be compared}.
        """
        comparisons = {}
        if audio is not None:
            audio = replace(audio, stream=side_stream(audio.data, self.audio_stream and "slow" in visual))
        for stage in STAGES[: STAGES.index(last) + 1]:
            join = self._join(stage, plan)
            if audio is not None and stage in plan.stages:
                audio = audio.advance(self._pathway("audio"), stage, join.audio_lateral)
            for name in visual:
                visual[name] = self._pathway(name)(visual[name], stage)
            comparison = join.connect(visual, audio)
            if comparison is not None:
                comparisons[stage] = comparison
            if audio is not None and stage == plan.last_sync:
                audio = audio.without_hard_negatives()
        if audio is not None:
            audio.wait()
        return audio, comparisons

    def _join(self, stage: str, plan: AudioPlan) -> StageJoin:
        """The lateral connections of a stage, as far as this pass uses them."""
        fuses, compares = stage in plan.fuse, stage in plan.sync
        used = (fuses or compares) and stage in self.audio_laterals
        return StageJoin(
            cast(FastToSlow, self.fast_to_slow[stage]) if stage in self.fast_to_slow else None,
            cast(AudioLateral, self.audio_laterals[stage]) if used else None,
            cast(SyncHead, self.sync_heads[stage]) if compares else None,
            fuses,
        )

    def _plan(self, drop_audio: bool) -> AudioPlan:
        """What `forward` does with audio."""
        if "audio" not in self.pathways:
            return AudioPlan()
        if "slow" not in self.pathways:
            return AudioPlan(stages=STAGES, head=True)
        fuse = frozenset() if drop_audio else frozenset(self.audio_laterals)
        # Comparing visual features that have met audio would be trivial: there are no losses after the first lateral.
        first = min((STAGES.index(s) for s in fuse), default=len(STAGES))
        sync = frozenset(s for s in self.sync_heads if STAGES.index(s) <= first) if self.training else frozenset()
        laterals_alone = self.training and self.drop_pathway is not None and not self.drop_pathway.pool5
        if "audio" in self.head.channels and (not drop_audio or laterals_alone):
            return AudioPlan(fuse, sync, STAGES, head=True)
        return AudioPlan(fuse, sync, _up_to_last(fuse | sync))

    def _check(self, inputs: Mapping[str, Tensor]) -> None:
        for name in self.pathways:
            if name not in inputs:
                raise ValueError(
                    f"the model has a pathway '{name}' but the inputs are {sorted(inputs)}; add \"{name}\""
                )
        for name in ("slow", "fast", "audio"):
            if name in inputs and name not in self.pathways:
                raise ValueError(
                    f"the model has no pathway '{name}' (it takes {', '.join(self.pathways)}); "
                    f'remove "{name}" from the inputs'
                )

    def _draw_drop(self) -> bool:
        if not self.training or self.drop_pathway is None:
            return False
        self._iteration += 1
        return self.drop_pathway.draw(self._iteration - 1)

    def _pathway(self, name: str) -> Pathway:
        return cast(Pathway, self.pathways[name])

    def normalize(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Raw uint8 frames as normalised floats, everything in the weights' type; floats count as normalised already.

        Args:
            inputs: See `forward`; not changed.

        Returns:
            A dict of all inputs.
        """
        out = dict(inputs)
        for name in ("slow", "fast"):
            if name in out and out[name].dtype == torch.uint8:
                mean, std = self.pixel_mean.float(), self.pixel_std.float()
                out[name] = (out[name].float().div_(255).sub_(mean)).div_(std)
        # The buffers follow model.half() and model.bfloat16(), as the weights do.
        dtype = self.pixel_mean.dtype
        return {
            name: x.to(dtype) if isinstance(x, Tensor) and x.is_floating_point() and x.dtype != dtype else x
            for name, x in out.items()
        }

    def sync_embeddings(self, inputs: Mapping[str, Tensor]) -> dict[str, Comparison]:
        """What the synchronisation heads compare, from visual features that have not met audio.

        Args:
            inputs: "slow", "fast" of B clips; "audio" [N, 1, T_A, F], any number of spectrograms.

        Returns:
            {stage: (visual [B, T, D], audio [N, T, D])}, at every stage with a head; T is 1 where the heads average
            over time.
        """
        inputs = self.normalize(inputs)
        visual = {name: inputs[name] for name in self.pathways if name != "audio"}
        audio = AudioFeatures(inputs["audio"])
        stages = _up_to_last(self.sync_heads)
        plan = AudioPlan(sync=frozenset(self.sync_heads), stages=stages)
        _, comparisons = self._run_stages(visual, audio, plan, stages[-1])
        return comparisons

    def pooled_features(
        self, inputs: Mapping[str, Tensor], stage: str = "res5", fuse: bool = True
    ) -> dict[str, Tensor]:
        """Features of a stage, averaged over all positions.

        Args:
            inputs: As for `forward`; without "audio" an audiovisual network gives its visual features alone.
            stage: Name of the stage.
            fuse: Audio joins the visual pathways (`audio_mask` counts); False keeps the modalities apart.

        Returns:
            {pathway: [B, C]}.
        """
        inputs = self.normalize(inputs)
        visual = {name: inputs[name] for name in self.pathways if name in inputs and name != "audio"}
        audio, plan = None, AudioPlan()
        if "audio" in self.pathways and "audio" in inputs:
            audio = AudioFeatures.from_inputs(inputs)
            joined = frozenset(self.audio_laterals) if fuse and "slow" in self.pathways else frozenset()
            # The last stages of an audio pathway are not built where nothing uses them.
            built = STAGES[: min(STAGES.index(stage), STAGES.index(self._pathway("audio").last_stage)) + 1]
            plan = AudioPlan(joined, stages=built)
        audio, _ = self._run_stages(visual, audio, plan, stage)
        features = visual if audio is None else {**visual, "audio": audio.data_of_clips()}
        return {name: x.mean(dim=tuple(range(2, x.dim()))) for name, x in features.items()}

    def freeze(self, parts: Sequence[str]) -> None:
        """Fix parts of the network.

        Their weights get no gradient; their batch norms stay in testing mode, statistics included.

        Args:
            parts: Pathways ("slow"), stages of every pathway with their laterals ("res2"), stages of one ("slow.res2"),
                or "laterals".
        """
        laterals = {"fast_to_slow": self.fast_to_slow, "audio_laterals": self.audio_laterals}
        frozen: list[str] = []
        for part in parts:
            if part in STAGES:
                frozen += [f"pathways.{name}.{part}" for name, p in self.pathways.items() if hasattr(p, part)]
                frozen += [f"{kind}.{part}" for kind, modules in laterals.items() if part in modules]
            else:
                frozen += list(laterals) if part == "laterals" else [f"pathways.{part}"]
        self._frozen = tuple(frozen)
        for name in frozen:
            self.get_submodule(name).requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> "Network":
        """Training or testing mode; frozen parts stay in testing mode.

        Args:
            mode: True for training.
        """
        super().train(mode)
        for name in self._frozen:
            self.get_submodule(name).eval()
        return self

    def __repr__(self) -> str:
        """A summary; `model.pathways` shows the whole tree of modules."""
        lines = []
        for name in self.pathways:
            channels = self._pathway(name).channels
            widths = ", ".join(f"{stage} {channels[stage]}" for stage in channels)
            lines.append(f"{name}: {type(self._pathway(name)).__name__}, channels {widths}")
        parts = {"F->S": self.fast_to_slow, "audio lateral": self.audio_laterals, "synchronisation": self.sync_heads}
        for kind, modules in parts.items():
            names = sorted({type(module).__name__ for module in modules.values()})
            lines += [f"{kind}: {', '.join(names)} at {', '.join(modules)}"] if modules else []
        lines.append(f"head: {type(self.head).__name__}")
        lines.append(f"parameters: {count_parameters(self) / 1e6:.2f} M")
        return "Network(\n" + "".join(f"  {line}\n" for line in lines) + ")"


def _up_to_last(stages: Iterable[str]) -> tuple[str, ...]:
    """All stages up to the last of some; () for none."""
    return STAGES[: max((STAGES.index(stage) + 1 for stage in stages), default=0)]


def _hard_negatives(inputs: Mapping[str, Tensor]) -> tuple[Tensor | None, Tensor | None]:
    """Hard negatives [M, 1, T_A, F] and the clip of each [M].

    Both are None where there are none; the second is None where they are in the order of the clips.

    Raises:
        ValueError: It is not said which clips the hard negatives belong to.
    """
    hard, index = inputs.get("audio_hard_negative"), inputs.get("audio_hard_negative_index")
    if hard is None or len(hard) == 0:
        return None, None
    if index is None and len(hard) != len(inputs["audio"]):
        raise ValueError(
            f"{len(hard)} hard negatives for {len(inputs['audio'])} clips: "
            'add "audio_hard_negative_index", the clip of each'
        )
    return hard, index


def _unwrapped(values: dict[str, Tensor]) -> Tensor | dict[str, Tensor]:
    """The tensor of a head with one unnamed classifier; {classifier: tensor} otherwise."""
    return values[""] if "" in values else values
