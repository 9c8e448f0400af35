#!/usr/bin/env python3
"""Score results by the rules of a data set; prints JSON.

Examples:
    python tools/evaluate.py ava --groundtruth ava_val_v2.2.csv --detections detections.csv --label-map ava_action_list_v2.2.pbtxt --excluded excluded.csv
    python tools/evaluate.py epic55 --annotations epic55 --submission output/epic55/submission.json
    python tools/evaluate.py epic100 --annotations epic100 --submission output/epic100/submission.zip
    python tools/evaluate.py charades --scores output/charades/scores.pt
    python tools/evaluate.py topk --scores output/kinetics/scores.pt
    python tools/evaluate.py folds output/ucf101_1/results.json output/ucf101_2/results.json output/ucf101_3/results.json

Accuracies are percentages; AVA's mAP is in 0..1. Exit codes: 0 done; 2 a mistake, told in one line.
"""

import argparse
import json
import sys
import zipfile

import numpy as np

from avslowfast.checkpoint import read_checkpoint
from avslowfast.config import ConfigError
from avslowfast.datasets import ava as ava_files
from avslowfast.datasets import epic as epic_files
from avslowfast.evaluation.metrics import ava, classification, epic
from avslowfast.utils.errors import UserError


def parse_args(argv=None):
    """The command line: a data set's name, then what it needs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = parser.add_subparsers(dest="name", required=True, metavar="NAME")
    p = names.add_parser("ava", help="frame mAP at IoU 0.5")
    p.add_argument("--groundtruth", required=True, help="CSV: video_id,second,x1,y1,x2,y2,action_id[,person_id]")
    p.add_argument("--detections", required=True, help="CSV: video_id,second,x1,y1,x2,y2,action_id,score")
    p.add_argument("--label-map", required=True, help="pbtxt with the classes that are evaluated")
    p.add_argument("--excluded", help="CSV of key frames that do not count: video_id,second")
    p.add_argument(
        "--max-boxes",
        type=int,
        default=50,
        help="rows of a key frame that count, the best ones; 0 for all (default: %(default)s)",
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
    p = names.add_parser("folds", help="mean of several splits' results (UCF101, HMDB51)")
    p.add_argument("results", nargs="+", help="results.json of each split")
    return parser.parse_args(argv)


def main(argv=None):
    """Score and print."""
    args = parse_args(argv)
    try:
        result = {"ava": score_ava, "epic55": score_epic55, "epic100": score_epic100, "folds": score_folds}.get(
            args.name, score_file
        )(args)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(result, indent=1))
    return 0


def score_ava(args):
    """{"mAP": x, "per_class": {name: average precision or None}}."""
    names = ava_files.read_label_map(args.label_map)
    truth, found = ava_files.read_boxes(args.groundtruth), ava_files.read_boxes(args.detections, scores=True)
    excluded = ava_files.read_excluded(args.excluded) if args.excluded else set()
    truth, found = (table[~table.frame.isin(excluded)] for table in (truth, found))
    values = ava.frame_ap(truth, found, list(names), max_boxes=args.max_boxes)
    mean = ava.mean_ap(values)
    return {"mAP": None if np.isnan(mean) else mean, "per_class": {names[i]: value for i, value in values.items()}}


def _submission(args, dataset):
    """(verb scores, noun scores) of a checked submission, in the data set's order."""
    try:
        if args.submission.endswith(".zip"):
            with zipfile.ZipFile(args.submission) as f:
                content = json.loads(f.read("test.json"))
        else:
            with open(args.submission, encoding="utf-8") as f:
                content = json.load(f)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ConfigError(f"{args.submission}: not a submission ({' '.join(str(error).split())})") from None
    names, sizes = (
        dataset.name.tolist(),
        [len(next(iter(content.get("results", {"": {}}).values())).get(part, ())) for part in ("verb", "noun")],
    )
    wrong = epic.check_submission(content, names, *sizes)
    if wrong:
        raise ConfigError(
            f"{args.submission}: {wrong[0]}" + (f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else "")
        )
    return epic.scores_of(content, names)


def score_epic55(args):
    """Accuracies and many-shot precision and recall on the local validation kitchens."""
    table = epic_files.read_validation("epic55", args.annotations)
    scores = _submission(args, table)
    labels = table.verb_class.to_numpy(), table.noun_class.to_numpy()
    found = (
        epic.many_shot(*scores, *labels, *epic_files.read_many_shot(args.annotations))
        if epic_files.has_many_shot(args.annotations)
        else {}
    )
    return {**epic.accuracy(*scores, *labels), **{f"many_shot_{name}": value for name, value in found.items()}}


def score_epic100(args):
    """All, unseen and tail."""
    table = epic_files.read_validation("epic100", args.annotations)
    scores = _submission(args, table)
    unseen, verbs, nouns = epic_files.read_groups_100(args.annotations)
    labels = table.verb_class.to_numpy(), table.noun_class.to_numpy()
    return epic.challenge_100(*scores, *labels, table.participant_id.isin(unseen).to_numpy(), verbs, nouns)


def score_file(args):
    """Metrics of a scores.pt; a dict of them for several classifiers."""
    content = read_checkpoint(args.scores)
    if not isinstance(content, dict) or not {"scores", "labels"} <= set(content):
        raise ConfigError(f"{args.scores}: not a scores.pt that a test has written (no scores and labels in it)")
    labels = content["labels"].numpy()
    heads = content["scores"] if isinstance(content["scores"], dict) else {"": content["scores"]}

    def one(scores, truth):
        if args.name == "topk":
            return classification.summarize(scores, truth)
        return {"map": classification.mean_average_precision(scores, truth, unlabelled_last=args.name == "charades")}

    results = {
        name: one(scores.numpy(), labels[:, i] if name else labels) for i, (name, scores) in enumerate(heads.items())
    }
    return results.get("", results)


def score_folds(args):
    """Mean of each metric that all files have."""
    contents = []
    for path in args.results:
        try:
            with open(path, encoding="utf-8") as f:
                contents.append(json.load(f))
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path}: not a results.json ({error})") from None
    keys = [
        key for key in ("top1", "top5", "mean_class_accuracy", "map") if all(key in content for content in contents)
    ]
    return {"folds": len(contents), **{key: float(np.mean([content[key] for content in contents])) for key in keys}}


if __name__ == "__main__":
    sys.exit(main())
