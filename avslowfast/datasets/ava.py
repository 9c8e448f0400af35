"""AVA: boxes of people at key frames of movies, with what they do (arXiv 1705.08421)."""

import os
import re

import numpy as np
import pandas as pd
import torch

from ..clips import transforms
from ..config import ConfigError
from ..media import DecodeError
from .base import DATASETS, open_record, Record, VideoDataset

# Key frames: every second of this range.
FIRST_KEY, LAST_KEY = 902, 1798
FRAMES_PER_SECOND = 30.0
_COLUMNS = ["video_id", "second", "x1", "y1", "x2", "y2", "class_id"]


def read_label_map(path):
    """Class names by id of a label map (pbtxt): {id: name}, the classes that are evaluated.

    Raises:
        ConfigError: no such file, or no classes in it.
    """
    text = _text(path)
    found = {
        int(number): name for name, number in re.findall(r'name:\s*"((?:[^"\\]|\\.)*)"\s*(?:label_)?id:\s*(\d+)', text)
    }
    if not found:
        raise ConfigError(
            f'{path}: no items such as name: "bend/bow (at the waist)" id: 1 in it; it should be the official label map'
        )
    return found


def read_boxes(path, scores=False):
    """Rows of a ground-truth or detection CSV as a table: frame ("video,second"), class_id, x1, y1, x2, y2, with score.

    Args:
        scores: the file has a score in its eighth column (detections); in ground truth that column, the person, is left out.

    Raises:
        ConfigError: no such file, too few columns, or something that is no number; names the line.
    """
    _text(path, peek=True)
    table = pd.read_csv(path, header=None, dtype={0: str})
    wanted = [*_COLUMNS, "score"] if scores else _COLUMNS
    if table.shape[1] < len(wanted):
        raise ConfigError(f"{path}: {table.shape[1]} columns, not {','.join(wanted)}")
    table = table.iloc[:, : len(wanted)].set_axis(wanted, axis=1)
    for column in wanted[1:]:
        numbers = pd.to_numeric(table[column], errors="coerce")
        if numbers.isna().any():
            row = int(numbers.isna().to_numpy().argmax())
            raise ConfigError(f"{path}, line {row + 1}: {column} is {table[column].iloc[row]!r}, not a number")
        table[column] = numbers
    table["class_id"] = table.class_id.astype(int)
    return table.assign(frame=frame_keys(table.video_id, table.second))


def read_excluded(path):
    """Key frames that do not count: a set of "video,second"; an empty file excludes none."""
    lines = [line.split(",") for line in _text(path).split("\n") if line.strip()]
    return set(
        frame_keys(
            pd.Series([line[0] for line in lines], dtype=str), pd.Series([line[1] for line in lines], dtype=float)
        )
    )


def frame_keys(videos, seconds):
    """ "video,second" of each row; seconds are whole numbers, however they are written."""
    return videos + "," + seconds.astype(float).round().astype(int).astype(str)


@DATASETS.register("ava")
class AVA(VideoDataset):
    """Key frames with boxes; a clip is centred on its key frame, and so is its sound.

    Samples have, besides the clip, "boxes" [K, 4] (x1, y1, x2, y2 in input pixels), "targets" [K, classes] of 0 and 1, and
    "dropped_boxes", the number of those that lay outside the crop. A record's label is (boxes [K, 4] as shares of the picture, classes
    of each box).
    """

    boxes = True

    @classmethod
    def from_source(cls, source, split, settings):
        """Read the boxes of a split: ground truth and predicted ones for training, predicted ones for validation and test."""
        o = source.options
        threshold = o["DETECTION_SCORE_THRESH"]
        folder = o["ANNOTATION_DIR"] or source.folder
        truth = o["TRAIN_GT_BOX_LISTS"] if split == "train" else ()
        predicted = o["TRAIN_PREDICT_BOX_LISTS"] if split == "train" else o["TEST_PREDICT_BOX_LISTS"]
        # PySlowFast's published files name the ground truth among the predicted lists; it has no scores.
        found = {}
        for name in dict.fromkeys([*truth, *predicted]):
            _collect(os.path.join(folder, name), found, threshold, source.num_classes)
        # While training, every fourth second is enough to compare epochs.
        keys = [
            key
            for key in sorted(found)
            if FIRST_KEY <= key[1] <= LAST_KEY and (split != "val" or o["FULL_TEST_ON_VAL"] or key[1] % 4 == 0)
        ]
        if not keys:
            raise ConfigError(
                f"AVA: no boxes at seconds {FIRST_KEY} to {LAST_KEY} in {', '.join([*truth, *predicted])} of {folder!r} for {split}; "
                "check AVA.TRAIN_GT_BOX_LISTS, TEST_PREDICT_BOX_LISTS and DETECTION_SCORE_THRESH"
            )
        records = []
        for video, second in keys:
            boxes = found[video, second]
            label = np.array(list(boxes), np.float32), tuple(tuple(sorted(ids)) for ids in boxes.values())
            frames = o["FRAME_DIR"]
            path = os.path.join(frames, video) if frames else source.video("{video}.mp4", video=video)
            rate = FRAMES_PER_SECOND if frames else 0.0
            at = second - o["FIRST_SECOND"]
            records.append(
                Record(
                    path,
                    label,
                    f"{video}, second {second}",
                    (at, at),
                    source.sound(video=video),
                    f"{video},{second}",
                    rate,
                )
            )
        names_file = os.path.join(folder, o["LABEL_MAP_FILE"])
        names = None
        if os.path.isfile(names_file):
            known = read_label_map(names_file)
            names = [known.get(i + 1, f"class {i + 1}") for i in range(source.num_classes)]
        dataset = cls(records, settings, split, names)
        dataset.folder, dataset.options = folder, o
        return dataset

    def label(self, index, span=None):
        """Nothing: boxes have labels, clips have none."""
        return torch.zeros(0)

    def targets(self, index):
        """What the people of a key frame do: [K, classes] of 0 and 1."""
        boxes, classes = self.records[index].label
        targets = torch.zeros(len(boxes), self.settings.num_classes)
        for row, ids in enumerate(classes):
            targets[row, [i - 1 for i in ids]] = 1.0
        return targets

    def _bounds(self, record, reader):
        """A clip's length around the key frame, which alone the record spans."""
        centre = reader.video.start + record.span[0]
        if not reader.video.start <= centre <= reader.video.end:
            raise DecodeError(
                f"{record.path}: the key frame at {record.span[0]:.0f} s lies outside its {reader.video.end - reader.video.start:.1f} s"
            )
        half = self.settings.duration / 2
        return centre - half, centre + half

    def _augment(self, frames, rng):
        return self.settings.colour(frames, rng) if self.settings.colour else frames

    def _beside_pictures(self, index, geometry, flip):
        return self._boxes(index, geometry, flip)

    def read_views(self, index):
        """The clip around a key frame: in validation its centre crop, in testing the whole picture."""
        s, record = self.settings, self.records[index]
        with open_record(record) as reader:
            start, end = self._bounds(record, reader)
            kind = (
                transforms.only_scale(s.test_crop) if self.split == "test" else transforms.centre_crop(s.crop, s.crop)
            )
            plan = transforms.Recorded(kind)
            sample = self._pictures(
                transforms.to_tensor(reader.read_frames(self._times(start, record, end), plan).pixels, bgr=s.bgr)
            )
            sample.update(self._boxes(index, plan.geometry, keep_all=True))
            if s.audio:
                sample.update(self._sound(reader, start))
        return {**sample, "start": torch.tensor(start, dtype=torch.float64)}

    def _boxes(self, index, geometry, flip=False, keep_all=False):
        boxes, inside = transforms.move_boxes(self.records[index].label[0], geometry, flip)
        targets = self.targets(index)
        if not keep_all:
            boxes, targets = boxes[inside], targets[torch.from_numpy(inside)]
        # In evaluation a box beyond the crop is scored as well, by what is nearest: every box has to be given a score.
        return {
            "boxes": torch.from_numpy(boxes),
            "targets": targets,
            "dropped_boxes": torch.tensor(0 if keep_all else int((~inside).sum())),
        }


def _collect(path, found, threshold, num_classes):
    """Add the boxes of a list to {(video, second): {(x1, y1, x2, y2): {class ids}}}; those with a score below the threshold are left out."""
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
            ids = found.setdefault(key, {}).setdefault(box, set())
            if class_id > 0:
                ids.add(class_id)


def _text(path, peek=False):
    try:
        with open(path, encoding="utf-8") as f:
            return f.read(1) if peek else f.read()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
