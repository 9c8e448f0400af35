"""What a network makes of a file over time: with both modalities and without either, and where the evidence lies."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from ..tasks.scores import FloatArray, ONLY
from ..utils.arguments import whole
from ..utils.batches import chunks
from .explain import is_explainable, locate, without_audio, without_frames
from .load import network_of
from .scoring import score_clips
from .sliding_window import clips_of_windows, Window

# Clips with gradients in one pass.
_EXPLAINED = 4


@dataclass(frozen=True, eq=False)
class Moment:
    """A window of a file, as `slide` gives it, and what its scores rest on.

    Attributes:
        window: With the scores of both modalities together.
        start: Second at which its clip begins; one that is longer than a file without frames begins before it.
        without_audio: {classifier: scores with the audio masked}; None for a network with one modality.
        without_frames: {classifier: scores with blank frames}; None for a network with one modality.
        class_id: The class for which there is evidence; None without evidence.
        visual: Its evidence in the frames: shares of the largest value, float32 [T, H, W] in the cells of a stage;
            None without frames or evidence.
        audio: The same in the spectrogram, [T_A, F].
    """

    window: Window
    start: float
    without_audio: dict[str, FloatArray] | None = None
    without_frames: dict[str, FloatArray] | None = None
    class_id: int | None = None
    visual: NDArray[np.float32] | None = None
    audio: NDArray[np.float32] | None = None

    def __repr__(self) -> str:
        return f"Moment({self.window.start:.2f}-{self.window.stop:.2f} s)"


def moments(
    model: nn.Module,
    video: str | os.PathLike[str],
    step: float | None = None,
    batch: int = 8,
    progress: bool = True,
    class_id: int | None = None,
    stage: str | None = None,
) -> list[Moment]:
    """Score and explain windows over the whole length of a file.

    Args:
        model: From `avslowfast.load_model`.
        video: The file; one of sound for a network without frames.
        step: Seconds from one window to the next; None is half a window.
        batch: Windows in one forward pass.
        progress: Show a progress bar on a terminal.
        class_id: Class for which evidence is located; None is the best one of each window.
        stage: Stage whose features are examined, see `explain.explain_clips`.

    Returns:
        A `Moment` for each window. Networks with several classifiers have no evidence.

    Raises:
        ArgumentError: A number that makes no sense, or something else than a path.
        ExplanationError: The network does not have the stage.
        SlidingWindowError: The network classifies boxes.
        NoClassifierError: The network has no classifier.
        DecodeError: The file cannot be read.
    """
    network, found = network_of(model), []
    both = {"audio", "slow"} <= set(network.pathways)
    for spans, clips in clips_of_windows(model, video, step, whole("batch", batch), progress):
        cases = {"deaf": without_audio(clips), "blind": without_frames(model, clips)} if both else {}
        evidence: list[dict[str, Any]] = [{} for _ in spans]
        scores: dict[str, dict[str, FloatArray]] = {}
        if is_explainable(model):
            parts = [locate(model, part, class_id, stage, video) for part in chunks(clips, len(spans), _EXPLAINED)]
            evidence = [row for part in parts for row in _rows(part.class_ids.tolist(), part.visual(), part.audio())]
            scores["both"] = {ONLY: np.concatenate([part.scores.cpu().numpy() for part in parts])}
        else:
            cases["both"] = clips
        scores |= {case: score_clips(model, inputs, batch, video).heads for case, inputs in cases.items()}
        for i, span in enumerate(spans):
            of_case = {case: {head: rows[i] for head, rows in heads.items()} for case, heads in scores.items()}
            window, start = Window(*span, of_case["both"]), float(clips["start"][i])
            found.append(Moment(window, start, of_case.get("deaf"), of_case.get("blind"), **evidence[i]))
    return found


def _rows(class_ids: list[int], *maps: NDArray[np.float32] | None) -> list[dict[str, Any]]:
    """What each clip of a batch adds to its `Moment`."""
    names = ("visual", "audio")
    return [
        {"class_id": chosen, **{name: None if m is None else m[i] for name, m in zip(names, maps)}}
        for i, chosen in enumerate(class_ids)
    ]
