"""AVA: boxes of people at key frames of movies, with what they do (arXiv 1705.08421)."""

import os
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..config import ConfigError
from .base import BoxLabels, Listing, Record, Source

# Key frames: every second of this range.
FIRST_KEY, LAST_KEY = 902, 1798
FRAMES_PER_SECOND = 30.0
_COLUMNS = ["video_id", "second", "x1", "y1", "x2", "y2", "class_id"]

# {(video, second): {(x1, y1, x2, y2): class ids}}
_Boxes = dict[tuple[str, int], dict[tuple[float, ...], set[int]]]


def read(source: Source, split: str) -> Listing:
    """Key frames with boxes: ground truth and predicted boxes for training, predicted boxes for validation and test.

    Args:
        source: Where the label files lie, with the configuration's node AVA as options.
        split: train | val | test.

    Raises:
        ConfigError: A file does not exist or has a mistake, or there are no boxes.
    """
    options = source.options
    folder = options["ANNOTATION_DIR"] or source.folder
    truth = options["TRAIN_GT_BOX_LISTS"] if split == "train" else ()
    predicted = options["TRAIN_PREDICT_BOX_LISTS"] if split == "train" else options["TEST_PREDICT_BOX_LISTS"]
    boxes: _Boxes = {}
    # PySlowFast's published files name the ground truth among the predicted lists; it has no scores.
    for name in dict.fromkeys([*truth, *predicted]):
        path = os.path.join(folder, name)
        _collect(path, boxes, options["DETECTION_SCORE_THRESH"], source.num_classes)
    # While training, every fourth second is enough to compare epochs.
    every_key = split != "val" or options["FULL_TEST_ON_VAL"]
    keys = [key for key in sorted(boxes) if FIRST_KEY <= key[1] <= LAST_KEY and (every_key or key[1] % 4 == 0)]
    if not keys:
        raise ConfigError(
            f"AVA: no boxes at seconds {FIRST_KEY} to {LAST_KEY} in {', '.join([*truth, *predicted])} of {folder!r} "
            f"for {split}; check AVA.TRAIN_GT_BOX_LISTS, TEST_PREDICT_BOX_LISTS and DETECTION_SCORE_THRESH"
        )
    records = [_record(source, video, second, boxes[video, second]) for video, second in keys]
    names_file, names = os.path.join(folder, options["LABEL_MAP_FILE"]), None
    if os.path.isfile(names_file):
        label_map = read_label_map(names_file)
        names = [label_map.get(i + 1, f"class {i + 1}") for i in range(source.num_classes)]
    return Listing(records, names, "boxes", info={"annotation_dir": folder})


def _record(source: Source, video: str, second: int, boxes: Mapping[tuple[float, ...], set[int]]) -> Record:
    frames = source.options["FRAME_DIR"]
    at = second - source.options["FIRST_SECOND"]
    return Record(
        os.path.join(frames, video) if frames else source.video("{video}.mp4", video=video),
        BoxLabels(np.array(list(boxes), np.float32), tuple(tuple(sorted(ids)) for ids in boxes.values())),
        f"{video}, second {second}",
        (at, at),
        source.audio(video=video),
        f"{video},{second}",
        FRAMES_PER_SECOND if frames else 0.0,
    )


def _collect(path: str, boxes: _Boxes, threshold: float, num_classes: int) -> None:
    """Add the boxes of a list; those with a score below the threshold are left out.

    Args:
        path: The list.
        boxes: To which the boxes are added.
        threshold: Smallest score.
        num_classes: Largest class id.

    Raises:
        ConfigError: No such file, or a line of another form; names file and line.
    """
    _text(path, peek=True)
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            row = line.strip().split(",")
            if row == [""]:
                continue
            where = f"{path}, line {number}"
            try:
                key, box = (row[0], int(float(row[1]))), tuple(round(float(v), 6) for v in row[2:6])
                class_id = int(row[6]) if len(row) > 6 and row[6] else -1
                # Ground truth ends in a person's number, a detection in a score.
                score = float(row[7]) if len(row) > 7 and "." in row[7] else 1.0
            except (ValueError, IndexError):
                raise ConfigError(
                    f"{where}: not video,second,x1,y1,x2,y2,action[,score or person] but {line.strip()!r}"
                ) from None
            if class_id > num_classes:
                raise ConfigError(
                    f"{where}: the action {class_id} is above {num_classes}; correct it or set MODEL.NUM_CLASSES"
                )
            if score < threshold:
                continue
            ids = boxes.setdefault(key, {}).setdefault(box, set())
            if class_id > 0:
                ids.add(class_id)


def read_label_map(path: str | os.PathLike[str]) -> dict[int, str]:
    """Class names by id of a label map (pbtxt): the classes that are evaluated.

    Raises:
        ConfigError: No such file, or no classes in it.
    """
    items = re.findall(r'name:\s*"((?:[^"\\]|\\.)*)"\s*(?:label_)?id:\s*(\d+)', _text(path))
    if not items:
        raise ConfigError(
            f'{path}: no items such as name: "bend/bow (at the waist)" id: 1 in it; it should be the official label map'
        )
    return {int(number): name for name, number in items}


def read_boxes(path: str | os.PathLike[str], scores: bool = False) -> Any:
    """The rows of a ground-truth or detection CSV.

    Args:
        path: The file.
        scores: The file has a score in its eighth column (detections). In ground truth that column, the person, is
            left out.

    Returns:
        A pandas table: frame ("video,second"), class_id, x1, y1, x2, y2, with score.

    Raises:
        ConfigError: No such file, too few columns, or something that is no number; names the line.
    """
    import pandas as pd

    _text(path, peek=True)
    table = pd.read_csv(path, header=None, dtype={0: str})
    columns = [*_COLUMNS, "score"] if scores else _COLUMNS
    if table.shape[1] < len(columns):
        raise ConfigError(f"{path}: {table.shape[1]} columns, not {','.join(columns)}")
    table = table.iloc[:, : len(columns)].set_axis(columns, axis=1)
    for column in columns[1:]:
        numbers = pd.to_numeric(table[column], errors="coerce")
        if numbers.isna().any():
            row = int(numbers.isna().to_numpy().argmax())
            raise ConfigError(f"{path}, line {row + 1}: {column} is {table[column].iloc[row]!r}, not a number")
        table[column] = numbers
    table["class_id"] = table.class_id.astype(int)
    return table.assign(frame=frame_keys(table.video_id, table.second))


def read_excluded(path: str | os.PathLike[str]) -> set[str]:
    """Key frames that do not count, as "video,second"; an empty file excludes none.

    Raises:
        ConfigError: No such file.
    """
    lines = [line.split(",") for line in _text(path).split("\n") if line.strip()]
    return {f"{line[0]},{round(float(line[1]))}" for line in lines}


def frame_keys(videos: Any, seconds: Any) -> Any:
    """Keys ("video,second") of the rows of two pandas columns; seconds are whole numbers, however they are written."""
    return videos + "," + seconds.astype(float).round().astype(int).astype(str)


def _text(path: str | os.PathLike[str], peek: bool = False) -> str:
    """A text file, or its first character."""
    try:
        with open(path, encoding="utf-8") as f:
            return f.read(1) if peek else f.read()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
