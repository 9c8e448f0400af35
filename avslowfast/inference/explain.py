"""Where the evidence for a class lies in a clip, and what each modality contributes to its score.

Evidence is Grad-CAM (arXiv 1610.02391) in its element-wise form (arXiv 2011.08891).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn, Tensor

from ..config.derived import head_classes, is_bgr, task_facts
from ..config.names import STAGES
from ..models.network import Network
from ..tasks.scores import ONLY
from ..utils.arguments import whole
from ..utils.errors import UserError
from .load import meta_of, network_of
from .scoring import check_finite, evaluating, network_inputs

# Fewer cells than this along the shorter side localise little; res5 has as many at 224 pixels, for which Grad-CAM's
# maps are known.
_CELLS = 7


class ExplanationError(UserError, ValueError):
    """A network or a stage that cannot be explained; the message says why."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """The evidence for one class in one clip.

    Attributes:
        class_id: The class.
        score: Its score, 0..1.
        visual: float32 [T, H, W], 0..1, over the frames of the Fast pathway (of Slow, where it is alone); None without
            frames.
        audio: float32 [T_A, F], 0..1, over the spectrogram; None without audio.
        frames: uint8 [T, H, W, 3] in the order R, G, B; None without frames.
        spectrogram: float32 [T_A, F] as the network gets it; None without audio.
        contributions: {"audiovisual", "without audio", "without frames": score of the class}; {} for a network with one
            modality.
        start: Second at which the clip begins.
    """

    class_id: int
    score: float
    visual: NDArray[np.float32] | None
    audio: NDArray[np.float32] | None
    frames: NDArray[np.uint8] | None
    spectrogram: NDArray[np.float32] | None
    contributions: dict[str, float]
    start: float

    def __repr__(self) -> str:
        return f"Explanation(class {self.class_id}, score {self.score:.3f}, clip at {self.start:.2f} s)"


@dataclass(frozen=True, eq=False)
class Evidence:
    """Where the evidence for a class lies in B clips.

    Attributes:
        class_ids: The class of each clip, [B].
        scores: Of all classes, [B, classes].
        cells: {pathway: positive evidence of each cell of its stage, [B, T, H, W] or, for audio, [B, T_A, F]}.
    """

    class_ids: Tensor
    scores: Tensor
    cells: dict[str, Tensor]

    def visual(self, shape: Sequence[int] | None = None) -> NDArray[np.float32] | None:
        """The evidence of all visual pathways together, as shares of the largest value of each clip.

        Args:
            shape: (T, H, W) to interpolate to; None takes the finest cells of any pathway.

        Returns:
            float32 [B, T, H, W], 0..1; None without frames.
        """
        maps = [self.cells[name] for name in ("slow", "fast") if name in self.cells]
        if not maps:
            return None
        shape = shape or [max(sizes) for sizes in zip(*(cells.shape[1:] for cells in maps))]
        return _relative(sum(_resized(cells, shape) for cells in maps))

    def audio(self, shape: Sequence[int] | None = None) -> NDArray[np.float32] | None:
        """The evidence of the spectrogram, as `visual`.

        Args:
            shape: (T_A, F) to interpolate to; None keeps the cells.

        Returns:
            float32 [B, T_A, F], 0..1; None where audio has no share in the scores.
        """
        cells = self.cells.get("audio")
        return None if cells is None else _relative(cells if shape is None else _resized(cells, shape))


def explain(
    model: nn.Module, clip: Mapping[str, Tensor], class_id: int | None = None, stage: str | None = None
) -> Explanation:
    """As `explain_clips`, for a single clip.

    Args:
        model: From `avslowfast.load_model`; a network with one classifier.
        clip: The inputs of one clip, e.g. `meta.preprocess(video, views=1, crops=1)`.
        class_id: The class; None is the one with the best score.
        stage: Stage whose features are examined; None is the deepest with at least seven cells along the shorter side.
    """
    return explain_clips(model, clip, class_id, stage)[0]


def explain_clips(
    model: nn.Module,
    clips: Mapping[str, Tensor],
    class_id: int | None = None,
    stage: str | None = None,
    source: object = "the clips",
) -> list[Explanation]:
    """Locate the evidence for a class in clips, and measure what each modality contributes, in one batch.

    Args:
        model: From `avslowfast.load_model`; a network with one classifier.
        clips: The inputs of B clips, e.g. `meta.preprocess(video)`.
        class_id: The class; None is the one with the best score of each clip.
        stage: Stage whose features are examined; None is the deepest with at least seven cells along the shorter side.
        source: Their file, for the message.

    Returns:
        An `Explanation` for each clip.

    Raises:
        ArgumentError: The network has no such class.
        ExplanationError: The network has several classifiers, classifies boxes, or does not have the stage.
        NotFiniteError: Scores are NaN or infinite.
    """
    network, inputs = network_of(model), _inputs(model, clips)
    found = _located(network, inputs, class_id, stage, source)
    with evaluating(network):
        shares = contributions(network, inputs, found)
    visual_input = inputs.get("fast", inputs.get("slow"))
    visual = audio = frames = spectrograms = None
    if visual_input is not None:
        visual, frames = found.visual(visual_input.shape[2:]), _rgb(visual_input, is_bgr(meta_of(model).cfg))
    if "audio" in inputs:
        audio, spectrograms = found.audio(inputs["audio"].shape[2:]), inputs["audio"][:, 0].cpu().numpy()
    return [
        Explanation(
            class_id=chosen,
            score=float(found.scores[i, chosen]),
            visual=None if visual is None else visual[i],
            audio=None if audio is None else audio[i],
            frames=None if frames is None else frames[i],
            spectrogram=None if spectrograms is None else spectrograms[i],
            contributions={case: float(values[i]) for case, values in shares.items()},
            start=float(clips["start"][i]),
        )
        for i, chosen in enumerate(found.class_ids.tolist())
    ]


def locate(
    model: nn.Module,
    clips: Mapping[str, Tensor],
    class_id: int | None = None,
    stage: str | None = None,
    source: object = "the clips",
) -> Evidence:
    """The scores of clips, and the evidence for a class of each in the cells of a stage; arguments as `explain_clips`.

    Raises:
        ArgumentError: The network has no such class.
        ExplanationError: The network has several classifiers, classifies boxes, or does not have the stage.
        NotFiniteError: Scores are NaN or infinite.
    """
    return _located(network_of(model), _inputs(model, clips), class_id, stage, source)


def _inputs(model: nn.Module, clips: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inputs of clips, each with its own audio, for a network that can be explained."""
    if not is_explainable(model):
        raise ExplanationError("only networks with a single classifier of clips can be explained")
    return with_own_audio(network_inputs(model, clips))


def _located(
    network: Network, inputs: Mapping[str, Tensor], class_id: int | None, stage: str | None, source: object
) -> Evidence:
    stages = {name: _stage_of(pathway, inputs[name], stage) for name, pathway in network.pathways.items()}
    classes = int(meta_of(network).cfg.MODEL.NUM_CLASSES)
    wanted = None if class_id is None else whole("class_id", class_id, 0, classes - 1)
    with evaluating(network):
        scores, features = _forward(network, inputs, stages)
        class_ids = scores.argmax(dim=1) if wanted is None else torch.full_like(scores[:, 0], wanted).long()
        check_finite([scores], "scores", source)
        cells = _evidence(network, scores.gather(1, class_ids[:, None])[:, 0].float(), features)
    return Evidence(class_ids, scores.detach().float(), cells)


def is_explainable(model: nn.Module) -> bool:
    """Whether a network has a single classifier of clips, as `locate` needs.

    Args:
        model: From `load_model`.
    """
    cfg = meta_of(model).cfg
    facts = task_facts(cfg)
    return facts.classifier and not facts.boxes and list(head_classes(cfg)) == [ONLY]


def with_own_audio(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Inputs in which each clip has its own row of audio, where several crops share one.

    Args:
        inputs: Of B clips; with "audio_index" [B] the audio has fewer rows.
    """
    index = inputs.get("audio_index")
    if index is None:
        return dict(inputs)
    return {
        name: value[index] if name.startswith("audio") else value
        for name, value in inputs.items()
        if name != "audio_index"
    }


def _forward(
    network: nn.Module, inputs: Mapping[str, Tensor], stages: Mapping[str, str]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Scores [B, classes] of the clips, and the features of each pathway's stage, which keep their gradients."""
    features: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(module: nn.Module, args: Any, output: Tensor) -> None:
            if output.requires_grad:
                output.retain_grad()
            else:
                output.requires_grad_(True)
            features[name] = output

        return hook

    layers = {name: network.get_submodule(f"pathways.{name}.{stage}") for name, stage in stages.items()}
    hooks = [layer.register_forward_hook(keep(name)) for name, layer in layers.items()]
    try:
        with torch.enable_grad():
            return network(inputs)["scores"], features
    finally:
        for handle in hooks:
            handle.remove()


def _evidence(network: nn.Module, scores: Tensor, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """{pathway: positive part of the sum over channels of gradient x features, [B, one number per cell of the stage]}.

    Clips do not meet in a network that evaluates, so that the gradient of a sum over clips has each clip's own.
    """
    network.zero_grad(set_to_none=True)
    torch.log(scores.clamp_min(1e-12)).sum().backward()
    maps = {
        name: nn.functional.relu((x.grad * x).float().sum(dim=1)).detach()
        for name, x in features.items()
        if x.grad is not None
    }
    network.zero_grad(set_to_none=True)
    return maps


def _stage_of(pathway: nn.Module, x: Tensor, wanted: str | None) -> str:
    """The stage to examine: the wanted one, else the deepest that keeps enough cells along the shorter side."""
    built = [stage for stage in STAGES if hasattr(pathway, stage)]
    if wanted is not None:
        if wanted not in built:
            raise ExplanationError(f"there is no stage {wanted!r}; use one of {', '.join(built)}")
        return wanted
    # The stem divides the sides of frames by 4, those of spectrograms by 1; each stage after res2 halves both.
    side = min(x.shape[-2:]) / (4 if x.dim() == 5 else 1)
    sides = {stage: side / 2 ** max(i - 1, 0) for i, stage in enumerate(built)}
    enough = [stage for stage in built if sides[stage] >= _CELLS]
    return enough[-1] if enough else built[1]


def _resized(cells: Tensor, shape: Sequence[int]) -> Tensor:
    """Cells of B clips interpolated to a shape."""
    mode = "trilinear" if len(shape) == 3 else "bilinear"
    return nn.functional.interpolate(cells[:, None], tuple(shape), mode=mode, align_corners=False)[:, 0]


def _relative(evidence: Any) -> NDArray[np.float32]:
    """Evidence as shares of the largest value of its clip."""
    largest = evidence.flatten(1).amax(dim=1).clamp_min(1e-12)
    relative: NDArray[np.float32] = (evidence / largest.view(-1, *[1] * (evidence.dim() - 1))).cpu().numpy()
    return relative


def _rgb(clips: Tensor, bgr: bool) -> NDArray[np.uint8]:
    frames: NDArray[np.uint8] = clips.permute(0, 2, 3, 4, 1).cpu().numpy()
    return frames[..., ::-1] if bgr else frames


@torch.no_grad()
def contributions(model: nn.Module, inputs: Mapping[str, Tensor], found: Evidence) -> dict[str, Tensor]:
    """Scores of the class of each clip with both modalities and with either one removed.

    Args:
        model: The network.
        inputs: Of B clips, on the network's device.
        found: Their classes and scores.

    Returns:
        {"audiovisual", "without audio" (masked), "without frames" (blank): scores [B]}; {} for a network with one
        modality.
    """
    if not {"audio", "slow"} <= set(inputs):
        return {}
    scores = {
        "audiovisual": found.scores,
        "without audio": model(without_audio(inputs))["scores"],
        "without frames": model(without_frames(model, inputs))["scores"],
    }
    return {name: of_case.gather(1, found.class_ids[:, None])[:, 0].float().cpu() for name, of_case in scores.items()}


def without_audio(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Inputs whose audio is masked: the network treats the clips as silent.

    Args:
        inputs: Of an audiovisual network.
    """
    return {**inputs, "audio_mask": torch.zeros_like(inputs["audio"][:, 0, 0, 0], dtype=torch.bool)}


def without_frames(model: nn.Module, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Inputs whose frames are blank: every pixel has the mean colour.

    Args:
        model: The network.
        inputs: Of an audiovisual network.
    """
    blank = {name: _blank(model, inputs[name]) for name in ("slow", "fast") if name in inputs}
    return {**inputs, **blank}


def _blank(model: nn.Module, clip: Tensor) -> Tensor:
    if clip.dtype != torch.uint8:
        return torch.zeros_like(clip)
    mean = network_of(model).get_buffer("pixel_mean").float()
    return (mean * 255).round().to(torch.uint8).expand_as(clip).contiguous()
