"""Export a network for use without this project, and check that it computes the same.

Examples:
    avslowfast export SynthAV/AVSLOWFAST_TINY --weights output/synthav_avslowfast --to onnx --out tiny.onnx
    avslowfast export Kinetics/SLOWFAST_8x8_R50 --weights SLOWFAST_8x8_R50.pkl --to torch-export --out slowfast.pt2

Without --weights the network has fresh ones. ONNX needs: pip install onnx onnxscript onnxruntime. Exit codes: 0 done;
2 it cannot be done.
"""

import argparse
import os

from .parser import CommandParser, written_file

ENDINGS = {"torch-export": ".pt2", "onnx": ".onnx"}


def add_arguments(parser: CommandParser) -> None:
    """A configuration, weights, the format."""
    parser.add_configuration()
    parser.add_argument("--weights", help="OUTPUT_DIR of a run, or a checkpoint of any supported format")
    parser.add_argument("--to", required=True, choices=list(ENDINGS), help="what to write")
    parser.add_argument(
        "--out",
        type=written_file,
        help="file to write (default: model.pt2 or model.onnx in the configuration's OUTPUT_DIR)",
    )


def run(args: argparse.Namespace) -> int:
    """Export, check, say how large the differences are."""
    from ..config import import_modules, load_cfg

    import_modules(args.imports)
    # A mistake in the configuration ends here, before torch is imported.
    load_cfg(args.config, args.overrides)

    from ..inference.export import export_model
    from ..inference.load import load_model
    from ..utils.text import counted

    model, meta = load_model(args.config, args.weights, args.overrides, device="cpu")
    out = args.out or os.path.join(meta.cfg.OUTPUT_DIR, "model" + ENDINGS[args.to])
    differences = export_model(model, meta.cfg, args.to, out, meta.class_names)
    print(
        f"{out}: {os.path.getsize(out) / 2**20:.1f} MiB; largest difference of a score from the network's: "
        + ", ".join(f"{value:.1e} with {counted(clips, 'clip')}" for clips, value in differences.items())
    )
    return 0
