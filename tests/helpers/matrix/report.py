"""Check all files of the matrix and print a table of the pairs of container and codec, and what is wrong.

    python tests/helpers/matrix/report.py [--only TEXT] [--jobs N] [--torchcodec] [--files DIR] [--out FILE]

from the root of the repository. Without an `ffmpeg` program (or the package imageio-ffmpeg) the codecs that PyAV does
not encode are left out.
"""

import argparse
import os
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def main(args):
    """Check, print, and give whether anything is wrong."""
    from benchmarks.measure import table
    from benchmarks.torchcodec_clips import executor
    from helpers.matrix.cases import cases
    from helpers.matrix.check import check, other_opinion

    wanted = [case for case in cases() if all(text in str(case) for text in args.only)]
    here = [case for case in wanted if not case.missing()]
    other = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.files or scratch
        os.makedirs(folder, exist_ok=True)
        with ProcessPoolExecutor(args.jobs) as pool:
            results = list(pool.map(check, here, [folder] * len(here)))
        if args.torchcodec:
            with executor() as pool:
                other = {case: other_opinion(case, folder, pool) for case in here}
    lines = [table(list(rows(results))), ""]
    lines += [f"{result.case}: {text}" for result in results for text in result.wrong]
    lines += [f"torchcodec, {case}: {text}" for case, text in other.items() if text]
    absent = sorted({name for case in wanted for name in case.missing()})
    faulty = sum(bool(result.wrong) for result in results)
    lines.append(
        f"{len(results)} files, {sum(r.frames for r in results)} frames compared, {faulty} files with faults; "
        f"{len(wanted) - len(here)} files not rendered (no encoder {', '.join(absent) or '-'})"
    )
    text = "\n".join(lines)
    print(text)
    if args.out:
        Path(args.out).write_text(text + "\n")
    return faulty > 0


def rows(results):
    """One row for each pair of container and codec."""
    pairs = {}
    for result in results:
        pairs.setdefault((result.case.container, result.case.codec), []).append(result)
    for (container, codec), found in pairs.items():
        yield {
            "container": container,
            "codec": codec,
            "files": len(found),
            "frames": sum(result.frames for result in found),
            "wrong": sum(result.wrong_frames for result in found),
            "faulty files": sum(bool(result.wrong) for result in found),
            "sound ms": max((result.sound_ms for result in found), key=abs),
            "prepared": max((result.prepared_ms for result in found), key=abs),
            "decoding": "planned" if found[0].planned else "straight",
        }


if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[], help="words in the names of the files")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--torchcodec", action="store_true", help="compare torchcodec's frames as well")
    parser.add_argument("--files", help="folder of the rendered files, which is kept for the next time")
    parser.add_argument("--out", help="file for the table")
    sys.exit(main(parser.parse_args()))
