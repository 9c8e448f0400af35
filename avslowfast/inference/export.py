"""Networks as programs that run without this project: torch.export and ONNX, checked against the network itself."""

import json
import os

import torch

from ..models.build import input_shapes
from ..models.complexity import Positional
from ..utils.errors import UserError

ENDINGS = {"torch-export": ".pt2", "onnx": ".onnx"}
# Largest difference of a score that counts as the same.
TOLERANCE = 1e-4


class ExportError(UserError, RuntimeError):
    """A network that cannot be exported, or whose export computes something else."""


def export_model(model, cfg, target, out, class_names=None, boxes_per_clip=2):
    """Write a network's testing computation to a file, for any number of clips, and check it against the network.

    Its inputs are those of the network, by name and in order: "slow", "fast" (floats, normalised with the configuration's mean and
    standard deviation), "audio", "audio_mask", and "boxes" for detection; its outputs "scores", or one a classifier. What is needed to
    use it (shapes, normalisation, class names) stands in the file as JSON under "avslowfast".

    Args:
        model: the network; it is left in eval mode. cfg: its configuration.
        target: torch-export (a .pt2 file) | onnx.
        boxes_per_clip: of the boxes that the check uses.

    Returns:
        {number of clips: largest difference of a score from the network's}.

    Raises:
        ExportError: another ending of `out`, a network that the exporter cannot take, or a difference above 1e-4.
    """
    if not out.endswith(ENDINGS[target]):
        raise ExportError(f"{out}: a file of {target} ends in {ENDINGS[target]}; name it so")
    model = model.eval()
    shapes = input_shapes(cfg, cfg.DATA.TEST_CROP_SIZE)
    draw = _Draw(cfg, shapes, boxes_per_clip)
    names = list(draw(2))
    program = Positional(model, names).eval()
    os.makedirs(os.path.dirname(os.path.abspath(out)), exist_ok=True)
    outputs = list(cfg.MULTI_HEAD.NAMES) or ["scores"]
    about = json.dumps(
        {
            "inputs": {name: [None, *shape[1:]] for name, shape in shapes.items()},
            "order": names,
            "outputs": outputs,
            "class_names": class_names,
            "mean": list(cfg.DATA.MEAN),
            "std": list(cfg.DATA.STD),
            "bgr": cfg.DATA.REVERSE_INPUT_CHANNEL or cfg.DATA.USE_BGR_ORDER,
        }
    )
    exported = _export(program, tuple(draw(2).values()), names)
    run = (
        _write_torch(exported, out, about)
        if target == "torch-export"
        else _write_onnx(exported, out, names, outputs, about)
    )
    differences = {}
    for clips in (1, 2, 3):
        inputs = tuple(draw(clips).values())
        with torch.no_grad():
            expected = program(*inputs)
        pairs = zip(expected if isinstance(expected, tuple) else (expected,), run(inputs))
        differences[clips] = max(float((a - b).abs().max()) for a, b in pairs)
    if max(differences.values()) > TOLERANCE:
        os.remove(out)
        raise ExportError(
            f"{out}: scores differ from the network's by {max(differences.values()):.2g}, more than {TOLERANCE:g}; removed again"
        )
    return differences


class _Draw:
    """Random inputs of a network for a number of clips."""

    def __init__(self, cfg, shapes, boxes_per_clip):
        self.cfg, self.shapes, self.boxes_per_clip = cfg, shapes, boxes_per_clip
        self.generator = torch.Generator().manual_seed(0)

    def __call__(self, clips):
        g = self.generator
        inputs = {name: torch.randn(clips, *shape[1:], generator=g) for name, shape in self.shapes.items()}
        if "audio" in inputs and "slow" in inputs:
            inputs["audio_mask"] = torch.arange(clips) % 3 != 1
        if self.cfg.DETECTION.ENABLE:
            index = torch.arange(clips).repeat_interleave(self.boxes_per_clip).float()
            corner = torch.rand(len(index), 2, generator=g) * self.cfg.DATA.TEST_CROP_SIZE / 2
            inputs["boxes"] = torch.cat([index[:, None], corner, corner + self.cfg.DATA.TEST_CROP_SIZE / 3], dim=1)
        return inputs


def _export(program, inputs, names):
    clips, boxes = torch.export.Dim("clips"), torch.export.Dim("boxes")
    dynamic = tuple({0: boxes if name == "boxes" else clips} for name in names)
    try:
        return torch.export.export(program, inputs, dynamic_shapes=(dynamic,))
    except Exception as error:
        raise ExportError(f"torch.export cannot take this network: {' '.join(str(error).split())[:300]}") from error


def _write_torch(exported, out, about):
    torch.export.save(exported, out, extra_files={"avslowfast": about})
    loaded = torch.export.load(out).module()

    def run(inputs):
        with torch.no_grad():
            scores = loaded(*inputs)
        return scores if isinstance(scores, tuple) else (scores,)

    return run


def _write_onnx(exported, out, names, outputs, about):
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  (what torch's exporter is made of)
    except ImportError as error:
        raise ExportError(
            f"ONNX export needs the package {error.name}: pip install onnx onnxscript onnxruntime"
        ) from None
    try:
        program = torch.onnx.export(exported, dynamo=True, input_names=names, output_names=outputs, verbose=False)
    except Exception as error:
        raise ExportError(
            f"the ONNX exporter cannot take this network: {' '.join(str(error).split())[:300]}; try --to torch-export"
        ) from error
    program.model.metadata_props["avslowfast"] = about
    program.save(out)
    session = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])

    def run(inputs):
        feed = {name: tensor.numpy() for name, tensor in zip(names, inputs)}
        return [torch.from_numpy(array) for array in session.run(None, feed)]

    return run
