"""What a network looks at and listens to (Grad-CAM, arXiv 1610.02391; its element-wise form, arXiv 2011.08891), and what each sense contributes."""

from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from ..config.names import STAGES
from ..utils.errors import UserError
from ..visualization.draw import plt, save

# Fewer cells than this along a side say little about where; res5 has as many at 224 pixels, for which Grad-CAM's maps are known.
_CELLS = 7


class CannotExplain(UserError, ValueError):
    """A network that this cannot explain; the message says why."""


class Explanation(NamedTuple):
    """Of one clip and one class.

    Attributes:
        index: the class. score: its score.
        visual: [T, H, W] over the Fast pathway's (or Slow's) frames, audio: [T_A, F] over the spectrogram; 0..1, None without the sense.
        frames: uint8 [T, H, W, 3]; spectrogram: [T_A, F] as the network gets it, or None.
        contributions: {"both", "without sound", "without pictures": score of the class}, as far as the network has both.
        start: seconds at which the clip begins.
    """

    index: int
    score: float
    visual: np.ndarray | None
    audio: np.ndarray | None
    frames: np.ndarray | None
    spectrogram: np.ndarray | None
    contributions: dict
    start: float


def explain(model, inputs, index=None, stage=None):
    """Where the evidence for a class lies in a clip, and what each sense contributes.

    Args:
        model: from `avslowfast.load_model`; one classifier.
        inputs: of one clip, e.g. model.meta.preprocess(video, views=1, crops=1). index: class; None is the best one.
        stage: whose features are looked at; None is the deepest with seven cells or more along the picture's side.

    Returns:
        An `Explanation`.

    Raises:
        CannotExplain: a network with several classifiers, or one of boxes.
    """
    cfg = model.meta.cfg
    if cfg.DETECTION.ENABLE or cfg.MULTI_HEAD.NAMES:
        raise CannotExplain("explanations are of networks with a single classifier of clips")
    device = next(model.parameters()).device
    tensors = {name: value.to(device) for name, value in inputs.items() if name not in ("start", "audio_index")}
    features, hooks = {}, []
    chosen = {name: _stage_of(pathway, tensors[name], stage) for name, pathway in model.pathways.items()}
    for name, pathway in model.pathways.items():
        layer = getattr(pathway, chosen[name])
        hooks.append(
            layer.register_forward_hook(lambda module, args, out, name=name: features.update({name: _kept(out)}))
        )
    try:
        with torch.enable_grad():
            scores = model(tensors)["scores"][0]
            best = int(scores.argmax()) if index is None else index
            model.zero_grad(set_to_none=True)
            torch.log(scores[best].clamp_min(1e-12)).backward()
    finally:
        for hook in hooks:
            hook.remove()
    maps = {name: F.relu((x.grad * x).sum(dim=1))[0].detach() for name, x in features.items() if x.grad is not None}
    model.zero_grad(set_to_none=True)
    picture = tensors.get("fast", tensors.get("slow"))
    visual = _visual(maps, picture.shape[2:]) if picture is not None else None
    audio = _grown(maps["audio"][None, None], tensors["audio"].shape[2:]) if "audio" in maps else None
    frames = picture[0].permute(1, 2, 3, 0).cpu().numpy() if picture is not None else None
    if frames is not None and cfg.DATA.REVERSE_INPUT_CHANNEL:
        frames = frames[..., ::-1]
    spectrogram = tensors["audio"][0, 0].cpu().numpy() if "audio" in tensors else None
    return Explanation(
        best,
        float(scores[best].detach()),
        visual,
        audio,
        frames,
        spectrogram,
        contributions(model, tensors, best),
        float(inputs["start"][0]),
    )


def _kept(x):
    x.retain_grad() if x.requires_grad else x.requires_grad_(True)
    return x


def _stage_of(pathway, x, wanted):
    """The stage to look at: the wanted one, else the deepest that keeps enough cells along the shorter side."""
    built = [stage for stage in STAGES if hasattr(pathway, stage)]
    if wanted is not None:
        if wanted not in built:
            raise CannotExplain(f"there is no stage {wanted!r}; use one of {', '.join(built)}")
        return wanted
    # Pictures are a quarter of their size after the stem, spectrograms whole; both halve at every stage after res2.
    side = min(x.shape[-2:]) / (4 if x.dim() == 5 else 1)
    sides = {stage: side / 2 ** max(i - 1, 0) for i, stage in enumerate(built)}
    enough = [stage for stage in built if sides[stage] >= _CELLS]
    return enough[-1] if enough else built[1]


def _grown(x, shape):
    """[1, 1, ...] cells to a shape, scaled to 0..1."""
    mode = "trilinear" if len(shape) == 3 else "bilinear"
    grown = F.interpolate(x, tuple(shape), mode=mode, align_corners=False)[0, 0]
    return (grown / grown.amax().clamp_min(1e-12)).cpu().numpy()


def _visual(maps, shape):
    """Slow's and Fast's evidence, each as large as it is, together over the frames."""
    parts = [
        F.interpolate(maps[name][None, None], tuple(shape), mode="trilinear", align_corners=False)[0, 0]
        for name in ("slow", "fast")
        if name in maps
    ]
    total = sum(parts)
    return (total / total.amax().clamp_min(1e-12)).cpu().numpy()


@torch.no_grad()
def contributions(model, tensors, index):
    """The class's score with both senses, with the sound masked, and with the pictures blank (the mean colour); {} for a network of one sense."""
    if not ("audio" in tensors and "slow" in tensors):
        return {}
    silent = {
        **tensors,
        "audio_mask": torch.zeros(len(tensors["audio"]), dtype=torch.bool, device=tensors["audio"].device),
    }
    blank = {name: blanked(model, value) if name in ("slow", "fast") else value for name, value in tensors.items()}
    cases = {"both": tensors, "without sound": silent, "without pictures": blank}
    return {name: float(model(case)["scores"][0, index]) for name, case in cases.items()}


def blanked(model, clip):
    """Pictures of the mean colour alone, of a clip's shape: nothing can be seen in them."""
    if clip.dtype == torch.uint8:
        return (model.pixel_mean * 255).round().to(torch.uint8).expand_as(clip).contiguous()
    return torch.zeros_like(clip)


def draw_explanation(found, meta, path, title="", frames=6):
    """Frames with their evidence, the spectrogram with its own, and the contributions of the senses, as one picture."""
    seen, heard = found.frames is not None, found.spectrogram is not None
    rows = int(seen) + int(heard)
    figure = plt.figure(figsize=(12, 2.6 * rows + 0.4))
    grid = figure.add_gridspec(rows, frames + 2)
    if seen:
        for column, i in enumerate(np.linspace(0, len(found.frames) - 1, frames).astype(int)):
            axes = figure.add_subplot(grid[0, column])
            axes.imshow(found.frames[i])
            axes.imshow(found.visual[i], cmap="inferno", alpha=0.45, vmin=0, vmax=1)
            axes.set(xticks=[], yticks=[], xlabel=f"frame {i}")
    if heard:
        for half, evidence in ((slice(0, frames // 2), None), (slice(frames // 2, frames), found.audio)):
            axes = figure.add_subplot(grid[rows - 1, half])
            axes.imshow(
                found.spectrogram.T, origin="lower", aspect="auto", cmap="gray" if evidence is not None else "magma"
            )
            if evidence is not None:
                axes.imshow(evidence.T, origin="lower", aspect="auto", cmap="inferno", alpha=0.5, vmin=0, vmax=1)
            axes.set(
                xlabel="spectrogram step" + (", evidence" if evidence is not None else ""),
                ylabel="mel band" if evidence is None else "",
            )
    if found.contributions:
        axes = figure.add_subplot(grid[:, frames:])
        axes.barh(list(found.contributions), list(found.contributions.values()), color="#0072B2")
        axes.set(xlim=(0, 1), xlabel=f"score of {meta.class_name(found.index)}")
        axes.yaxis.tick_right()
        axes.invert_yaxis()
    figure.suptitle(f"{title}  {meta.class_name(found.index)}: {100 * found.score:.0f} %".strip())
    figure.tight_layout()
    save(figure, path)
