"""AVA's frame mAP: both scorers in use, from their own files and from their rules written out."""

import json
import time
from collections import defaultdict

import numpy as np
import pandas as pd
import pytest
from helpers import ROOT
from helpers.tools import evaluate

from avslowfast.evaluation import scoring
from avslowfast.evaluation.metrics import ava

GOLDEN = ROOT / "tests/golden"
KEY = "PascalBoxes_PerformanceByCategory/AP@0.5IOU/"
MEAN = "PascalBoxes_Precision/mAP@0.5IOU"
NOT_EVALUATED = {2, 16, 18, 19, 21, 23, 25, 31, 32, 33, 35, 39, 40, 42, 44, 50, 53, 55, 71, 75}
IDS = [i for i in range(1, 81) if i not in NOT_EVALUATED]
CASES = json.loads((GOLDEN / "ava2_expected.json").read_text())


def write_label_map(path, names):
    path.write_text("".join(f'item {{\n  name: "{name}"\n  id: {i}\n}}\n' for i, name in names.items()))
    return path


@pytest.fixture(scope="module")
def label_map(tmp_path_factory):
    """AVA's label map; the reference lists its names in the order of their ids."""
    names = [key.removeprefix(KEY) for key in next(iter(CASES.values())) if key.startswith(KEY)]
    return write_label_map(tmp_path_factory.mktemp("map") / "map.pbtxt", dict(zip(IDS, names, strict=True)))


def compare(result, expected):
    assert len(result["per_class"]) == 60
    for name, value in result["per_class"].items():
        reference = expected.get(KEY + name)
        if reference is None or np.isnan(reference):
            assert value is None, name
        else:
            assert abs(value - reference) < 1e-9, name
    assert abs(result["mAP"] - expected[MEAN]) < 1e-9


@pytest.mark.parametrize("case", sorted(CASES))
def test_files_with_all_that_official_ones_may_have(label_map, case):
    args = ["--groundtruth", GOLDEN / "ava2_gt.csv", "--detections", GOLDEN / "ava2_det.csv", "--label-map", label_map]
    args += ["--max-boxes", 0] * case.startswith("pyslowfast_no_cap")
    args += ["--excluded", GOLDEN / "ava2_excluded.csv"] * case.endswith("with_exclusions")
    result = evaluate("ava", *args)
    compare(result, CASES[case])
    assert result["detections_on_other_frames"] > 0


def test_the_first_files(label_map):
    names = [str(GOLDEN / f"ava_eval_{part}.csv") for part in ("gt", "det", "excluded")]
    result = scoring.score_ava(names[0], names[1], str(label_map), names[2], 0)
    compare(result, json.loads((GOLDEN / "ava_eval_expected.json").read_text()))
    assert scoring.score_ava(names[0], names[1], str(label_map))["mAP"] != result["mAP"]


def plain_overlap(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    both = max(width, 0.0) * max(height, 0.0)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def plain_scores(truth, found, classes, excluded, official):
    """{class: average precision} by the rules as the literature states them.

    Args:
        truth: [(frame, box, class), ...]; the box is None in a row of two columns.
        found: The same with score, in the order of the file.
        classes: Ids that are evaluated.
        excluded: Frames.
        official: The official rule, not PySlowFast's.
    """
    named = {frame for frame, _, _ in truth} - excluded
    truth = [row for row in truth if row[0] not in excluded and row[1] and row[2] in classes]
    by_frame = defaultdict(list)
    for frame, box, label, score in found:
        if frame not in excluded and box and label in classes:
            by_frame[frame].append((score, label, box))
    if official:
        by_frame = {
            frame: sorted(rows, key=lambda row: -row[0])[:50] for frame, rows in by_frame.items() if frame in named
        }
    result = {}
    for label in classes:
        boxes = defaultdict(list)
        for frame, box, other in truth:
            if other == label:
                boxes[frame].append(box)
        marks = []
        for frame, rows in by_frame.items():
            taken = set()
            for score, other, box in rows:
                if other != label or not (box[0] < box[2] and box[1] < box[3]):
                    continue
                overlaps = [plain_overlap(box, other_box) for other_box in boxes[frame]]
                best = overlaps.index(max(overlaps)) if overlaps else None
                right = best is not None and overlaps[best] >= 0.5 and best not in taken
                if right:
                    taken.add(best)
                marks.append((score, right))
        total, hits = sum(map(len, boxes.values())), 0
        marks.sort(key=lambda mark: -mark[0])
        precisions = []
        for place, (_, right) in enumerate(marks, 1):
            hits += right
            precisions.append(hits / place)
        # Each true box that is found weighs the best precision at its recall or a higher one.
        areas = [max(precisions[i:]) / total for i, (_, right) in enumerate(marks) if right]
        result[label] = sum(areas) if total else None
    return result


def random_files(folder, seed):
    """Ground truth, detections and exclusions as text files, and the same as the plain scorer takes them."""
    rng = np.random.default_rng(seed)
    seconds = [*range(902, 902 + 4 * 6, 4), 1003, 903.5]
    frames = [(video, second) for video in ("-a_1", "NA", "null") for second in seconds]
    lines = {"truth": [], "found": [], "excluded": []}
    truth, found, excluded = [], [], set()

    def stamp(frame):
        video, second = frame
        spellings = [f"{second:06.1f}", f"{second:.1f}", f"{second:.6f}"]
        spellings += [f"{second:04d}", f"{second}"] if isinstance(second, int) else []
        return f"{video},{rng.choice(spellings)}"

    def line(frame, box, *rest):
        return ",".join([stamp(frame), *(f"{x:.3f}" for x in box), *map(str, rest)])

    count = 0
    for frame in frames:
        people = []
        for person in range(rng.integers(0, 4)):
            corner, size = rng.uniform(0, 0.5, 2), rng.uniform(0.1, 0.5, 2)
            box = tuple(float(x) for x in np.round([*corner, *(corner + size)], 3))
            people.append(box)
            # 7 and 8 are not evaluated; some frames have these alone.
            labels = [7, 8] if rng.random() < 0.2 else range(1, 9)
            for label in rng.permutation(labels)[: rng.integers(1, 4)]:
                truth.append((frame, box, int(label)))
                lines["truth"].append(line(frame, box, label, person))
        if not people and rng.random() < 0.7:
            truth.append((frame, None, 0))
            lines["truth"].append(stamp(frame))
        for _ in range(rng.choice([0, 1, 12])):
            box = people[rng.integers(len(people))] if people and rng.random() < 0.8 else (0.1, 0.1, 0.4, 0.4)
            corners = np.sort(np.round(np.add(box, rng.normal(0, 0.05, 4)), 3).reshape(2, 2), axis=0)
            box = tuple(float(x) for x in corners.ravel())
            for label in range(1, 9):
                count += 1
                # No two are equal.
                score = float(f"{rng.random() ** 4:.4f}{count:05d}")
                found.append([frame, box, label, score])
                lines["found"].append(line(frame, box, label, rng.choice([repr(score), f"{score:.9e}"])))
        if rng.random() < 0.1:
            excluded.add(frame)
            lines["excluded"].append(stamp(frame))
    # Seven columns are the score 1; a row of two is a frame where nothing was found.
    chosen = rng.integers(len(found))
    found[chosen][3] = 1.0
    lines["found"][chosen] = lines["found"][chosen].rsplit(",", 1)[0]
    lines["found"].insert(0, stamp(frames[0]))
    for name, rows in lines.items():
        (folder / f"{name}.csv").write_text("".join(f"{row}\n" for row in rows))
    return truth, found, excluded


@pytest.mark.parametrize("official", [True, False], ids=["official", "pyslowfast"])
@pytest.mark.parametrize("seed", range(6))
def test_random_files_equal_the_rules_written_out(tmp_path, seed, official):
    truth, found, excluded = random_files(tmp_path, seed)
    names = {i: f"class {i}" for i in range(1, 7)}
    label_map = str(write_label_map(tmp_path / "map.pbtxt", names))
    args = [str(tmp_path / "truth.csv"), str(tmp_path / "found.csv"), label_map]
    for left_out, file in ((set(), None), (excluded, str(tmp_path / "excluded.csv"))):
        result = scoring.score_ava(*args, file, 50 if official else 0)
        expected = plain_scores(truth, found, list(names), left_out, official)
        assert list(result["per_class"]) == list(names.values())
        for i, name in names.items():
            assert result["per_class"][name] == pytest.approx(expected[i], abs=1e-9), name
        assert result["mAP"] == pytest.approx(np.mean([v for v in expected.values() if v is not None]), abs=1e-9)
    # The rules differ on these files.
    other = plain_scores(truth, found, list(names), excluded, not official)
    assert other != pytest.approx(expected, abs=1e-4)


def boxes(rows, score=False):
    return pd.DataFrame(rows, columns=["frame", "class_id", "x1", "y1", "x2", "y2", *(["score"] if score else [])])


def test_by_hand():
    truth = boxes([["a", 1, 0, 0, 1, 1], ["a", 1, 2, 0, 3, 1], ["b", 1, 0, 0, 1, 1], ["a", 2, 0, 0, 1, 1]])
    result = boxes(
        [
            ["a", 1, 0, 0, 1, 1, 0.9],
            ["a", 1, 0, 0, 1, 0.9, 0.8],
            ["a", 1, 2.1, 0, 3, 1, 0.7],
            ["c", 1, 0, 0, 1, 1, 0.95],
            ["a", 3, 0, 0, 1, 1, 1.0],
        ],
        True,
    )
    # Right, taken already, right; a frame that the ground truth does not name and a class without any do not count.
    expected = {1: pytest.approx(1 / 3 * 1 + 1 / 3 * 2 / 3), 2: 0.0, 3: None}
    assert ava.frame_ap(truth, result, [1, 2, 3], {"a", "b"}) == expected
    # Named, without boxes: the best detection of all is wrong.
    named = {1: pytest.approx(1 / 3 * 1 / 2 + 1 / 3 * 2 / 4), 2: 0.0, 3: None}
    assert ava.frame_ap(truth, result, [1, 2, 3], {"a", "b", "c"}) == named
    assert ava.frame_ap(truth, result, [1, 2, 3], {"a", "b"}, max_boxes=0) == named
    assert ava.frame_ap(truth, result, [1, 2, 3], {"a", "b"}, {"c"}, max_boxes=0) == expected
    assert ava.mean_ap({1: 0.5, 2: 0.0, 3: None}) == 0.25
    assert np.isnan(ava.mean_ap({1: None}))
    # The cap keeps the best rows of a frame.
    assert ava.frame_ap(truth, result, [1], {"a", "b"}, max_boxes=1)[1] == pytest.approx(1 / 3)


def test_a_million_detections_are_scored_quickly_enough():
    rng = np.random.default_rng(0)
    n = 1_000_000
    corner = rng.random((n, 2)) / 2
    result = pd.DataFrame(
        {"frame": rng.integers(0, 57000, n), "class_id": rng.integers(1, 81, n), "score": rng.random(n)}
    )
    result[["x1", "y1"]], result[["x2", "y2"]] = corner, corner + 0.1 + rng.random((n, 2)) / 3
    truth = result.sample(200_000, random_state=1).drop(columns="score")
    began = time.perf_counter()
    values = ava.frame_ap(truth, result, list(range(1, 81)), set(truth.frame))
    # 60 s are allowed; this takes 2 s on one core. A loop over boxes would take minutes.
    assert time.perf_counter() - began < 60
    assert all(0 < v < 1 for v in values.values())
