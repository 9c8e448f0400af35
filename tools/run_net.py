#!/usr/bin/env python3
"""Train and test a network that a configuration describes.

Examples:
    python tools/run_net.py --cfg configs/SynthAV/AVSLOWFAST_TINY.yaml
    python tools/run_net.py --cfg configs/SynthAV/AVSLOWFAST_TINY.yaml MODEL.ARCH slowfast OUTPUT_DIR output/synthav_slowfast
    torchrun --nproc_per_node=2 tools/run_net.py --cfg configs/SynthAV/AVSLOWFAST_TINY.yaml NUM_CPU_PROCESSES 2

Exit codes: 0 done; 2 a mistake in the configuration or the data; 75 stopped by a signal, state saved: the same command goes on.
"""

import argparse
import sys

from avslowfast.config import load_cfg
from avslowfast.engine.launch import launch
from avslowfast.engine.run import run
from avslowfast.utils.errors import UserError


def parse_args(argv=None):
    """The command line: --cfg FILE, then overrides with or without --opts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cfg", required=True, metavar="FILE", help="YAML configuration")
    parser.add_argument(
        "--opts",
        nargs=argparse.REMAINDER,
        default=[],
        metavar="KEY VALUE",
        help="overrides; they may also stand without --opts",
    )
    parser.add_argument(
        "--init_method", default=None, metavar="URL", help="where several machines meet, e.g. tcp://10.0.0.1:9999"
    )
    parser.add_argument("--shard_id", type=int, default=None, help="this machine's number (SHARD_ID)")
    parser.add_argument("--num_shards", type=int, default=None, help="machines (NUM_SHARDS)")
    parser.add_argument(
        "overrides", nargs=argparse.REMAINDER, metavar="KEY VALUE", help="keys of the configuration and their values"
    )
    args = parser.parse_args(argv)
    pairs = [*args.overrides, *args.opts]
    for key, value in (("SHARD_ID", args.shard_id), ("NUM_SHARDS", args.num_shards)):
        if value is not None:
            pairs += [key, value]
    args.overrides = [word for word in pairs if word != "--opts"]
    return args


def main():
    """Run; mistakes that a person can mend end with one line."""
    args = parse_args()
    try:
        cfg = load_cfg(args.cfg, args.overrides)
        sys.exit(launch(cfg, run, args.init_method))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
