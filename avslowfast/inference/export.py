"""Networks as programs that run without this project: torch.export and ONNX, compared with the network itself."""

import copy
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn, Tensor

from ..config.derived import Cfg, head_classes, is_bgr, pixel_mean, pixel_std, task_facts, task_name
from ..datasets.base import ClassNames
from ..models.build import input_shapes
from ..models.complexity import Positional
from ..tasks.scores import ONLY
from ..utils.errors import UserError
from ..utils.files import replacing
from .scoring import device_of

# The ending of the file of each target.
ENDINGS = {"torch-export": ".pt2", "onnx": ".onnx"}
# Largest difference of a score that counts as the same.
TOLERANCE = 1e-4

# Runs an exported program: inputs in order -> outputs in order.
Run = Callable[[tuple[Tensor, ...]], Sequence[Tensor]]


class ExportError(UserError, RuntimeError):
    """A network that cannot be exported, or whose export computes something else."""


def export_model(
    model: nn.Module,
    cfg: Cfg,
    target: str,
    out: str,
    class_names: ClassNames = None,
    boxes_per_clip: int = 2,
) -> dict[int, float]:
    """Write a network's computation in testing to a file, for any number of clips, and compare it with the network.

    The inputs of the program are those of the network, by name and in order: "slow", "fast" (floats, normalised with
    mean and standard deviation), "audio", "audio_mask", and "boxes" for detection; its outputs are "scores", or one per
    classifier. What is needed to use it is in the file as JSON under "avslowfast": shapes, order of inputs and outputs,
    class names, "bgr" (whether the channels have the order B, G, R), and "mean" and "std" of each channel in that
    order.

    Args:
        model: The network; it is left in evaluation mode. The program is made for the CPU, whatever device the network
            is on.
        cfg: Its configuration.
        target: "torch-export" (a .pt2 file) or "onnx".
        out: File to write.
        class_names: Names in order of the class ids, {classifier: names} for several classifiers, or None.
        boxes_per_clip: Boxes that the comparison uses.

    Returns:
        {number of clips: largest difference of a score from the network's}.

    Raises:
        ExportError: `out` has another ending, the network has no classifier, the exporter cannot take it, or a
            difference is above 1e-4.
    """
    if not out.endswith(ENDINGS[target]):
        raise ExportError(f"{out}: a file of {target} ends in {ENDINGS[target]}; name it so")
    if not task_facts(cfg).classifier:
        raise ExportError(
            f"the network has no classifier (TASK {task_name(cfg)}), and a program gives scores; export one that has"
        )
    shapes = input_shapes(cfg, cfg.DATA.TEST_CROP_SIZE)
    draw = _RandomInputs(cfg, shapes, boxes_per_clip)
    order = list(draw(2))
    outputs = ["scores" if head == ONLY else head for head in head_classes(cfg)]
    about = json.dumps(
        {
            "inputs": {name: [None, *shape[1:]] for name, shape in shapes.items()},
            "order": order,
            "outputs": outputs,
            "class_names": class_names,
            "mean": list(pixel_mean(cfg)),
            "std": list(pixel_std(cfg)),
            "bgr": is_bgr(cfg),
        }
    )
    model = model.eval()
    program = Positional(model if device_of(model).type == "cpu" else copy.deepcopy(model).cpu(), order).eval()
    exported = _export(program, tuple(draw(2).values()), order)
    with replacing(out) as part:
        if target == "torch-export":
            run = _write_torch(exported, part, about)
        else:
            run = _write_onnx(exported, part, order, outputs, about)
        differences = {clips: _difference(program, run, tuple(draw(clips).values())) for clips in (1, 2, 3)}
        for difference in differences.values():
            if not difference <= TOLERANCE:
                reason = "" if np.isfinite(difference) else "; check its weights for NaN"
                raise ExportError(
                    f"{out}: scores differ from the network's by {difference:.2g}, more than {TOLERANCE:g}, and no "
                    f"file is written{reason}"
                )
    return differences


def _difference(program: nn.Module, run: Run, inputs: tuple[Tensor, ...]) -> float:
    """Largest difference of a score between the network and what was exported."""
    with torch.no_grad():
        expected = _as_tuple(program(*inputs))
    # torch's maximum is NaN where a difference is.
    return float(torch.stack([(a - b).abs().max() for a, b in zip(expected, run(inputs))]).max())


def _as_tuple(scores: Any) -> tuple[Tensor, ...]:
    """What a program gives, as one tensor per output."""
    return scores if isinstance(scores, tuple) else (scores,)


class _RandomInputs:
    """Random inputs of a network for a number of clips.

    Args:
        cfg: Of the network.
        shapes: {input: shape}, the first axis counts clips.
        boxes_per_clip: For detection.
    """

    def __init__(self, cfg: Cfg, shapes: Mapping[str, Sequence[int]], boxes_per_clip: int) -> None:
        self._shapes = shapes
        self._boxes_per_clip = boxes_per_clip if task_facts(cfg).boxes else 0
        self._crop = int(cfg.DATA.TEST_CROP_SIZE)
        self._generator = torch.Generator().manual_seed(0)

    def __call__(self, clips: int) -> dict[str, Tensor]:
        g = self._generator
        inputs = {name: torch.randn(clips, *shape[1:], generator=g) for name, shape in self._shapes.items()}
        if {"audio", "slow"} <= set(inputs):
            inputs["audio_mask"] = torch.arange(clips) % 3 != 1
        if self._boxes_per_clip:
            index = torch.arange(clips).repeat_interleave(self._boxes_per_clip).float()
            corner = torch.rand(len(index), 2, generator=g) * self._crop / 2
            inputs["boxes"] = torch.cat([index[:, None], corner, corner + self._crop / 3], dim=1)
        return inputs


def _export(program: nn.Module, inputs: tuple[Tensor, ...], order: Sequence[str]) -> torch.export.ExportedProgram:
    clips, boxes = torch.export.Dim("clips"), torch.export.Dim("boxes")
    dynamic = tuple({0: boxes if name == "boxes" else clips} for name in order)
    try:
        return torch.export.export(program, inputs, dynamic_shapes=(dynamic,))
    except Exception as error:
        raise ExportError(f"torch.export cannot take this network: {_in_one_line(error)}") from error


def _write_torch(exported: torch.export.ExportedProgram, out: str, about: str) -> Run:
    # Through memory: torch's own writer of a file ends the process where the disk is full.
    content = io.BytesIO()
    torch.export.save(exported, content, extra_files={"avslowfast": about})
    Path(out).write_bytes(content.getbuffer())
    loaded = torch.export.load(out).module()

    def run(inputs: tuple[Tensor, ...]) -> Sequence[Tensor]:
        with torch.no_grad():
            return _as_tuple(loaded(*inputs))

    return run


def _write_onnx(
    exported: torch.export.ExportedProgram, out: str, names: Sequence[str], outputs: Sequence[str], about: str
) -> Run:
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  (torch's exporter needs it)
    except ImportError as error:
        raise ExportError(
            f"ONNX export needs the package {error.name}: pip install onnx onnxscript onnxruntime"
        ) from None
    try:
        program = torch.onnx.export(exported, dynamo=True, input_names=names, output_names=outputs, verbose=False)
    except Exception as error:
        raise ExportError(
            f"the ONNX exporter cannot take this network: {_in_one_line(error)}; try --to torch-export"
        ) from error
    if program is None:
        raise ExportError("the ONNX exporter gave no program; try --to torch-export")
    program.model.metadata_props["avslowfast"] = about
    program.save(out)
    session = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])

    def run(inputs: tuple[Tensor, ...]) -> Sequence[Tensor]:
        feed = {name: tensor.numpy() for name, tensor in zip(names, inputs)}
        return [torch.from_numpy(array) for array in session.run(None, feed)]

    return run


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
