"""Score results by the rules of a data set; prints JSON.

Examples:
    avslowfast evaluate ava --groundtruth ava_val_v2.2.csv --detections detections.csv --label-map map.pbtxt
    avslowfast evaluate epic55 --annotations epic55 --submission output/epic55/submission.json
    avslowfast evaluate epic100 --annotations epic100 --submission output/epic100/submission.zip
    avslowfast evaluate charades --scores output/charades/scores.pt
    avslowfast evaluate topk --scores output/kinetics/scores.pt
    avslowfast evaluate topk --scores output/kinetics/scores.pt --classes kinetics_sounds.txt
    avslowfast evaluate topk --scores output/kinetics/scores.pt --classes "playing drums" bowling --compare all
    avslowfast evaluate folds output/ucf101_1/results.json output/ucf101_2/results.json

Accuracies are percentages; AVA's mAP is in 0..1. Exit codes: 0 done; 2 a mistake, named in one line.
"""

import argparse
from typing import Any

import simplejson

from .parser import CommandParser, count_of


def add_arguments(parser: CommandParser) -> None:
    """The name of a rule, then what it needs."""
    # Plain parsers: they have no examples of their own.
    names = parser.add_subparsers(
        dest="name", required=True, metavar="NAME", parser_class=argparse.ArgumentParser, help="rule to score by"
    )
    p = names.add_parser("ava", help="frame mAP at IoU 0.5")
    p.add_argument("--groundtruth", required=True, help="CSV: video_id,second,x1,y1,x2,y2,action_id[,person_id]")
    p.add_argument("--detections", required=True, help="CSV: video_id,second,x1,y1,x2,y2,action_id,score")
    p.add_argument("--label-map", required=True, help="pbtxt with the classes that are evaluated")
    p.add_argument("--excluded", help="CSV of key frames that do not count: video_id,second")
    p.add_argument(
        "--max-boxes",
        type=count_of(0, 10**9),
        default=50,
        help="rows of a key frame that count, the best ones, as the official tool has it; 0 counts all rows, on every "
        "frame, as PySlowFast does (default: %(default)s)",
    )
    for name, text in (
        ("epic55", "the training CSV, whose kitchens P26 to P31 are scored"),
        ("epic100", "EPIC_100_validation.csv"),
    ):
        p = names.add_parser(name, help="verb, noun and action accuracy of a submission")
        p.add_argument("--annotations", required=True, help=f"folder with {text}")
        p.add_argument("--submission", required=True, help="JSON, or the zip that holds it")
    for name, text in (
        ("charades", "mAP by the official rule"),
        ("multilabel", "plain mAP"),
        ("topk", "top-1, top-5 (of AVE's segments: segment accuracy)"),
    ):
        p = names.add_parser(name, help=text)
        p.add_argument("--scores", required=True, help="scores.pt that a test has written")
        p.add_argument("--head", default="", help="classifier to score, of several, e.g. verb (default: all)")
        p.add_argument(
            "--classes",
            nargs="+",
            default=[],
            metavar="NAME",
            help="score some classes: names or numbers (from 0), or a file with one per line; "
            + ("of their videos alone" if name == "topk" else "their mean over all videos"),
        )
    p = names.choices["topk"]
    p.add_argument(
        "--compare",
        choices=("subset", "all"),
        default="subset",
        help="with --classes: a label's score is compared with those of these classes, or with those of all classes of "
        "the network (default: %(default)s)",
    )
    p.add_argument(
        "--ties",
        choices=("wrong", "argmax"),
        default="wrong",
        help="a class whose score equals the label's counts as better (wrong), or only if its number is lower, as by "
        "argmax (default: %(default)s)",
    )
    p = names.add_parser("folds", help="mean of several splits' results (UCF101, HMDB51)")
    p.add_argument("results", nargs="+", help="results.json of each split")


def run(args: argparse.Namespace) -> int:
    """Score and print."""
    # NaN, such as the mAP of classes that have no positive, is no JSON.
    print(simplejson.dumps(_score(args), indent=1, ignore_nan=True))
    return 0


def _score(args: argparse.Namespace) -> dict[str, Any]:
    from ..evaluation import scoring

    if args.name == "ava":
        return scoring.score_ava(args.groundtruth, args.detections, args.label_map, args.excluded, args.max_boxes)
    if args.name == "epic55":
        return scoring.score_epic55(args.annotations, args.submission)
    if args.name == "epic100":
        return scoring.score_epic100(args.annotations, args.submission)
    if args.name == "folds":
        return scoring.score_folds(args.results)
    if args.name == "topk":
        return scoring.score_file(args.scores, args.name, args.ties, args.classes, args.compare, args.head)
    return scoring.score_file(args.scores, args.name, classes=args.classes, head=args.head)
