#!/usr/bin/env python3
"""Export a network for use without this project, and check that it computes the same.

Examples:
    python tools/export.py --cfg configs/SynthAV/AVSLOWFAST_TINY.yaml --weights output/synthav_avslowfast --to onnx --out tiny.onnx
    python tools/export.py --cfg configs/Kinetics/SLOWFAST_8x8_R50.yaml --weights SLOWFAST_8x8_R50.pkl --to torch-export --out slowfast.pt2

Without --weights the network has fresh ones. ONNX needs: pip install onnx onnxscript onnxruntime. Exit codes: 0 done; 2 it cannot be done.
"""

import argparse
import os
import sys

from avslowfast.inference.export import ENDINGS, export_model
from avslowfast.inference.load import load_model
from avslowfast.utils.errors import UserError


def main(argv=None):
    """Export, check, say how large the differences are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cfg", required=True, metavar="FILE", help="YAML configuration, or the name of one")
    parser.add_argument("--weights", help="OUTPUT_DIR of a run, or a checkpoint of any supported format")
    parser.add_argument("--to", required=True, choices=list(ENDINGS), help="what to write")
    parser.add_argument(
        "--out", help="file to write (default: model.pt2 or model.onnx in the configuration's OUTPUT_DIR)"
    )
    parser.add_argument(
        "overrides", nargs=argparse.REMAINDER, metavar="KEY VALUE", help="keys of the configuration and their values"
    )
    args = parser.parse_args(argv)
    try:
        model, meta = load_model(args.cfg, args.weights, args.overrides)
        out = args.out or os.path.join(meta.cfg.OUTPUT_DIR, "model" + ENDINGS[args.to])
        differences = export_model(model, meta.cfg, args.to, out, meta.class_names)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(
        f"{out}: {os.path.getsize(out) / 2**20:.1f} MiB; largest difference of a score from the network's: "
        + ", ".join(f"{value:.1e} with {clips} clip{'s' if clips > 1 else ''}" for clips, value in differences.items())
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
