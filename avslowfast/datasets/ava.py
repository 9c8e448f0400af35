"""AVA: boxes of people at key frames of movies, with what they do (arXiv 1705.08421)."""

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..config import ConfigError
from ..utils.remote import is_file, join
from ..utils.text import open_text, read_text
from .base import BoxLabels, Listing, Record, Source
from .tables import hint, is_box, number, PathLike, shown, split_rows, whole_number

# Key frames: every second of this range.
FIRST_KEY, LAST_KEY = 902, 1798
FRAMES_PER_SECOND = 30.0
# Class ids are 1 to this.
NUM_CLASSES = 80
# While training, key frames at multiples of this second are enough to compare epochs.
VALIDATION_PERIOD = 4
_CORNERS = ("x1", "y1", "x2", "y2")
_COLUMNS = ["video_id", "second", *_CORNERS, "class_id"]

# Corners of a scored box beyond this are in pixels.
_LARGEST_SHARE = 4.0
# What a label map (pbtxt) is made of: a comment, a text in quotes, a brace, a word.
_TOKEN = re.compile(r"""#.*|"((?:[^"\\\n]|\\.)*)"|([{}])|([^\s"{}:#]+):?|\S""")
_EXAMPLE, _LARGEST_ID = 'item { name: "bend/bow (at the waist)" id: 1 }', 9999

# {(video, second): {(x1, y1, x2, y2): class ids}}
_Boxes = dict[tuple[str, int], dict[tuple[float, ...], set[int]]]


def read(source: Source, split: str) -> Listing:
    """Key frames with boxes: ground truth and predicted boxes for training, predicted boxes for validation and test.

    Args:
        source: Where the label files lie, with the configuration's node AVA as options.
        split: train | val | test.

    Raises:
        TextError: A list is no text.
        ConfigError: A list does not exist or has a mistake, or there are no boxes.
    """
    options = source.options
    folder = options["ANNOTATION_DIR"] or source.folder
    truth = options["TRAIN_GT_BOX_LISTS"] if split == "train" else ()
    predicted = options["TRAIN_PREDICT_BOX_LISTS"] if split == "train" else options["TEST_PREDICT_BOX_LISTS"]
    boxes: _Boxes = {}
    # PySlowFast's published files name the ground truth among the predicted lists; it has no scores.
    unscored = {*options["TRAIN_GT_BOX_LISTS"], options["GROUNDTRUTH_FILE"]}
    for name in dict.fromkeys([*truth, *predicted]):
        threshold = None if name in unscored else options["DETECTION_SCORE_THRESH"]
        path = os.path.join(folder, name)
        if not is_file(path):
            raise ConfigError(
                f"AVA: the list of boxes {path!r} does not exist; set DATA.PATH_TO_DATA_DIR or AVA.ANNOTATION_DIR to "
                "its folder, or change AVA.TRAIN_GT_BOX_LISTS, TRAIN_PREDICT_BOX_LISTS and TEST_PREDICT_BOX_LISTS"
            )
        _collect(path, boxes, threshold, source.num_classes)
    period = VALIDATION_PERIOD if split == "val" and not options["FULL_TEST_ON_VAL"] else 1
    keys = [key for key in sorted(boxes) if FIRST_KEY <= key[1] <= LAST_KEY and key[1] % period == 0]
    if not keys:
        raise ConfigError(
            f"AVA: no boxes at seconds {FIRST_KEY} to {LAST_KEY} in {', '.join([*truth, *predicted])} of {folder!r} "
            f"for {split}; check AVA.TRAIN_GT_BOX_LISTS, TEST_PREDICT_BOX_LISTS and DETECTION_SCORE_THRESH"
        )
    records = [_record(source, video, second, boxes[video, second]) for video, second in keys]
    names_file, names = os.path.join(folder, options["LABEL_MAP_FILE"]), None
    if is_file(names_file):
        label_map = read_label_map(names_file)
        names = [label_map.get(i + 1, f"class {i + 1}") for i in range(source.num_classes)]
    return Listing(records, names, "boxes", info={"annotation_dir": folder})


def _record(source: Source, video: str, second: int, boxes: Mapping[tuple[float, ...], set[int]]) -> Record:
    frames = source.options["FRAME_DIR"]
    at = second - source.options["FIRST_SECOND"]
    return Record(
        join(frames, video) if frames else source.video("{video}.mp4", video=video),
        BoxLabels(np.array(list(boxes), np.float32), tuple(tuple(sorted(ids)) for ids in boxes.values())),
        f"{video}, second {second}",
        (at, at),
        source.audio(video=video),
        frame_key(video, second),
        FRAMES_PER_SECOND if frames else 0.0,
    )


def _collect(path: str, boxes: _Boxes, threshold: float | None, num_classes: int) -> None:
    """Add the boxes of a list.

    Args:
        path: The list. A row of two columns is a key frame without boxes.
        boxes: To which the boxes are added.
        threshold: Boxes with a smaller score are left out; None for ground truth, whose last column is a person.
        num_classes: Largest class id.

    Raises:
        TextError: The list cannot be read as text.
        ConfigError: A row of another form; names file and line.
    """
    for row, where in split_rows(path):
        if len(row) == 2:
            whole_second(row[1], where)
            continue
        key = row[0].strip(), whole_second(row[1], where) if len(row) > 1 else -1
        if not key[0] or not 6 <= len(row) <= 8:
            raise ConfigError(
                f"{where}: not video,second,x1,y1,x2,y2,action[,score or person] but "
                f"{shown(','.join(row))}{hint(row[0], where)}"
            )
        box = _box(row[2:6], where)
        class_id = _class_id(row[6] if len(row) > 6 else "", where, num_classes, threshold is None)
        if threshold is not None and len(row) == 8 and _score(row[7], where) < threshold:
            continue
        ids = boxes.setdefault(key, {}).setdefault(box, set())
        if class_id:
            ids.add(class_id)


def whole_second(text: str, where: str) -> int:
    """The second of a key frame; tools write 902, 0902 and 902.0.

    Args:
        text: As it stands in the file.
        where: File and line.

    Raises:
        ConfigError: It is no whole number; names file and line.
    """
    second = number(text, where, "second", 0.0)
    if second != int(second):
        raise ConfigError(f"{where}: second is {shown(text)}, not a whole number; key frames lie at whole seconds")
    return int(second)


def _box(fields: list[str], where: str) -> tuple[float, ...]:
    """(x1, y1, x2, y2), rounded so that one box is the same in every list."""
    box = tuple(round(number(text, where, name), 6) for text, name in zip(fields, _CORNERS))
    if not is_box(box):
        raise ConfigError(
            f"{where}: {shown(','.join(fields))} is no box in shares of the frame, 0 <= x1 < x2 <= 1 and "
            "0 <= y1 < y2 <= 1; correct it or remove the row"
        )
    return box


def _class_id(text: str, where: str, num_classes: int, is_truth: bool) -> int:
    """The action of a row, from 1; 0 for a predicted box that has none ("" or -1)."""
    if not is_truth and text.strip() in ("", "-1"):
        return 0
    class_id = whole_number(text, where, "the action", 1)
    if class_id > num_classes:
        raise ConfigError(
            f"{where}: the action {shown(class_id)} is above {num_classes}; correct it or set MODEL.NUM_CLASSES"
        )
    return class_id


def _score(text: str, where: str) -> float:
    try:
        return number(text, where, "the score", 0.0, 1.0)
    except ConfigError as error:
        raise ConfigError(
            f"{error} (a list of ground truth, without scores, belongs in AVA.TRAIN_GT_BOX_LISTS)"
        ) from None


def read_label_map(path: PathLike) -> dict[int, str]:
    """Class names by id of a label map (pbtxt): the classes that are evaluated.

    Raises:
        TextError: The file cannot be read as text.
        ConfigError: There are no classes in it, or an id or a name is given twice.
    """
    names: dict[int, str] = {}
    for item, where in _items(read_text(path), path):
        class_id = whole_number(item["id"], where, f"the id of {shown(item['name'])}", 1, _LARGEST_ID)
        if class_id in names or item["name"] in names.values():
            twice = f"the id {class_id}" if class_id in names else f"the name {shown(item['name'])}"
            raise ConfigError(f"{where}: {twice} is given twice; correct it")
        names[class_id] = item["name"]
    if not names:
        raise ConfigError(f"{path}: no items such as {_EXAMPLE} in it; it should be the official label map")
    return names


def _items(text: str, path: PathLike) -> Iterator[tuple[dict[str, str], str]]:
    """(name and id, file and line) of each item of a label map; v2.2 of AVA calls the id label_id."""
    item: dict[str, str] | None = None
    words: list[str] = []
    for count, line in enumerate(text.split("\n"), 1):
        where = f"{path}, line {count}"
        for token in _TOKEN.finditer(line):
            quoted, brace, word = token.groups()
            if token[0].startswith("#"):
                continue
            if brace == "{" and item is None and len(words) == 1:
                item, words = {}, []
            elif brace == "}" and item is not None and {"name", "id"} <= set(item) and not words:
                yield item, where
                item = None
            elif item is not None and len(words) == 1 and (quoted or (word and words[0] != "name")):
                key = words.pop().removeprefix("label_")
                if key in item:
                    raise ConfigError(f"{where}: a second {key} in one item; correct it")
                item[key] = quoted or word
            elif word and not words:
                words = [word]
            else:
                raise ConfigError(f"{where}: {shown(token[0])} is no part of an item such as {_EXAMPLE}; correct it")
    if item is not None:
        raise ConfigError(f"{path}: the last item has no end; it should be the official label map")
    if words:
        raise ConfigError(f"{path}: {shown(words[0])} is no part of an item such as {_EXAMPLE}; correct it")


class Boxes(NamedTuple):
    """The content of a ground-truth or detection CSV.

    Attributes:
        rows: A pandas table, one row per (box, class): frame (as `frame_key`), class_id, x1, y1, x2, y2, with score.
        key_frames: All frames that the file names, with or without boxes.
    """

    rows: Any
    key_frames: frozenset[str]


def read_boxes(path: PathLike, num_classes: int = NUM_CLASSES, scores: bool = False) -> Boxes:
    """The rows of a ground-truth or detection CSV, as the official tool reads them.

    Rows of two columns are key frames without boxes; a detection of seven columns has the score 1. Seconds may have
    decimals, of which six count.

    Args:
        path: The file.
        num_classes: Largest class id.
        scores: The file has a score in its eighth column (detections). In ground truth that column, the person, is
            left out.

    Raises:
        TextError: The file cannot be read as text.
        ConfigError: It is empty, or a row has another number of columns, or something that is no number or class;
            names the line.
    """
    import pandas as pd

    columns = [*_COLUMNS, "score"]
    try:
        # As many names as columns, and one: without it, a longer row would lend its first column to an index.
        table = pd.read_csv(
            open_text(path),
            header=None,
            names=[*columns, "more"],
            index_col=False,
            dtype={"video_id": str},
            keep_default_na=False,
            na_values={name: [""] for name in (*columns[1:], "more")},
            skip_blank_lines=False,
            low_memory=False,
        )
    except pd.errors.EmptyDataError:
        table = pd.DataFrame(columns=[*columns, "more"])
    except pd.errors.ParserError as error:
        raise ConfigError(f"{path}: no CSV of {','.join(columns)} ({' '.join(str(error).split())})") from None
    table = table[
        table.video_id.notna() & ~(table.drop(columns="video_id").isna().all(axis=1) & (table.video_id == ""))
    ]
    if not len(table):
        raise ConfigError(f"{path}: the file is empty; a key frame without boxes is a row video,second")
    _check_widths(table, path, columns)
    seconds = _numbers(table, path, "second", 0)
    table = table.assign(frame=_frame_keys(table.video_id, seconds))
    frames = frozenset(table.frame.unique())
    rows = table[table.x1.notna()]
    if scores and rows.score.isna().any():
        rows = rows.assign(score=rows.score.fillna(1.0))
    for column in (*_CORNERS, *(["score"] if scores else [])):
        rows = rows.assign(**{column: _numbers(rows, path, column)})
    _check_corners(rows, path)
    rows = rows.assign(class_id=_numbers(rows, path, "class_id", 1, num_classes).astype(int))
    return Boxes(rows[["frame", "class_id", *_CORNERS, *(["score"] if scores else [])]].reset_index(drop=True), frames)


def _check_widths(table: Any, path: PathLike, columns: list[str]) -> None:
    """Rows have two, seven or eight fields."""
    count = 1 + table[columns[1:]].notna().to_numpy().sum(axis=1)
    wrong = table.more.notna().to_numpy() | ~np.isin(count, (2, 7, 8)) | (table.video_id == "").to_numpy()
    if wrong.any():
        row = int(wrong.argmax())
        where, video = f"{path}, line {table.index[row] + 1}", str(table.video_id.iloc[row])
        found = 9 if table.more.notna().iloc[row] else count[row]
        raise ConfigError(f"{where}: {found} columns, not {','.join(columns)}{hint(video, where)}")


def _check_corners(rows: Any, path: PathLike) -> None:
    """Boxes may stand out of the frame, as those of a detector; they are not reversed and not in pixels."""
    corners = rows[list(_CORNERS)].to_numpy(float)
    wrong = (corners[:, :2] > corners[:, 2:]).any(axis=1) | (abs(corners) > _LARGEST_SHARE).any(axis=1)
    if wrong.any():
        row = int(wrong.argmax())
        raise ConfigError(
            f"{path}, line {rows.index[row] + 1}: {','.join(f'{value:g}' for value in corners[row])} is no box in "
            "shares of the frame, x1 <= x2 and y1 <= y2; correct it"
        )


def _numbers(table: Any, path: PathLike, column: str, lowest: int | None = None, highest: int | None = None) -> Any:
    """A column as finite numbers; classes are whole."""
    import pandas as pd

    values = pd.to_numeric(table[column], errors="coerce").astype(float)
    array, whole = values.to_numpy(), column == "class_id"
    wrong = ~np.isfinite(array) | (whole & (np.floor(array) != array))
    kind = "a whole number" if whole else "a finite number"
    if not wrong.any() and lowest is not None:
        wrong = (array < lowest) | (array > (np.inf if highest is None else highest))
        kind = f"{lowest} or above" if highest is None else f"one of {lowest}..{highest}"
    if wrong.any():
        row = int(wrong.argmax())
        where, value = f"{path}, line {table.index[row] + 1}", table[column].iloc[row]
        value = value if isinstance(value, str) else f"{value:g}"
        # A header's first name of a number is that of the second.
        header = hint(value, where) if column == "second" else ""
        raise ConfigError(f"{where}: {column} is {shown(value)}, not {kind}{header}")
    return values


def read_excluded(path: PathLike) -> set[str]:
    """Key frames that do not count, as `frame_key` writes them; an empty file excludes none.

    Raises:
        TextError: The file cannot be read as text.
        ConfigError: A row is not video,second; names file and line.
    """
    frames = set()
    for row, where in split_rows(path):
        if len(row) != 2 or not row[0].strip():
            raise ConfigError(f"{where}: not video,second but {shown(','.join(row))}{hint(row[0], where)}")
        frames.add(frame_key(row[0], number(row[1], where, "second", 0.0)))
    return frames


def frame_key(video: str, second: float) -> str:
    """Key of a frame, "video,second"; it is the same for 902, 0902 and 902.0, and six decimals count."""
    return f"{video},{_second_text(second)}"


def is_validation_frame(key: str) -> bool:
    """Whether a key frame is one of those that validation scores while training.

    Args:
        key: As `frame_key` writes it.
    """
    return float(key.rsplit(",", 1)[1]) % VALIDATION_PERIOD == 0


def _frame_keys(videos: Any, seconds: Any) -> Any:
    """As `frame_key`, of two pandas columns."""
    return videos + "," + seconds.map({second: _second_text(second) for second in seconds.unique()})


def _second_text(second: float) -> str:
    return f"{second:.6f}".rstrip("0").rstrip(".")
