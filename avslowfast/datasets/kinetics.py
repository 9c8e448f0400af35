"""List files as PySlowFast reads them: one video a line, `path<separator>label`."""

import csv
import os

from ..config import ConfigError
from .base import DATASETS, Record, VideoDataset


@DATASETS.register("kinetics")
class Kinetics(VideoDataset):
    """Kinetics-400/600 and every data set written in its list format: `{train,val,test}.csv`."""

    @classmethod
    def from_source(cls, source, split, settings):
        """Read `{split}.csv`; paths in it start at the prefix, or at the folder itself without one. Class names come from the names
        file, or from `classes.txt` in the folder where that exists.
        """
        path = os.path.join(source.folder, f"{split}.csv")
        if not source.folder or not os.path.isfile(path):
            raise ConfigError(
                f"DATA.PATH_TO_DATA_DIR is {source.folder!r}: {path!r} does not exist; set it to the folder that holds train.csv, val.csv and test.csv"
            )
        if not source.labelled:
            return cls(read_unlabelled(path, source.separator, source.prefix or source.folder), settings, split)
        records = read_list(
            path, source.num_classes, source.separator, source.prefix or source.folder, settings.multi_label
        )
        return cls(records, settings, split, read_class_names(source.folder, source.names_file, source.num_classes))


def read_crawled(path):
    """Rows of the crawler's CSV (`label,youtube_id,time_start,time_end,split[,is_cc]`): [(dict, file and line)].

    Raises:
        ConfigError: a column is missing.
    """
    with open(path, newline="", encoding="utf-8") as f:
        reader = csv.DictReader(f)
        lacking = [c for c in ("label", "youtube_id", "time_start", "time_end") if c not in (reader.fieldnames or ())]
        if lacking:
            raise ConfigError(f"{path}, line 1: no column '{lacking[0]}'; it should be the crawler's file, unchanged")
        return [(row, f"{path}, line {number}") for number, row in enumerate(reader, 2)]


def crawled_file(row):
    """Name that the crawler gives the file of a row."""
    return f"{row['label']}/{row['youtube_id']}_{int(row['time_start']):06d}_{int(row['time_end']):06d}.mp4"


def read_crawled_splits(folder, release):
    """The crawler's rows of each split that is there: ({split: [(path below the folder of videos, class id)]}, class names in order of their ids).

    Args:
        release: 400 | 600 | 700; files are called `kinetics-400_train.csv`, `kinetics_400_train.csv` or `train.csv`.

    Raises:
        ConfigError: no such file at all.
    """
    tables = {}
    for split in ("train", "val", "test"):
        for name in (f"kinetics-{release}_{split}.csv", f"kinetics_{release}_{split}.csv", f"{split}.csv"):
            if os.path.isfile(os.path.join(folder, name)):
                tables[split] = [row for row, _ in read_crawled(os.path.join(folder, name)) if row["label"]]
                break
    if not tables:
        raise ConfigError(
            f"{folder}: no kinetics-{release}_train.csv, _val.csv or _test.csv in it; give the folder with the crawler's CSV files"
        )
    names = sorted({row["label"] for rows in tables.values() for row in rows})
    ids = {name: i for i, name in enumerate(names)}
    return {split: [(crawled_file(row), ids[row["label"]]) for row in rows] for split, rows in tables.items()}, names


def read_list(path, num_classes, separator=" ", prefix="", multi_label=False):
    """The records of a list file.

    Args:
        separator: between path and label (the last one of the line counts, so that paths may contain it).
        prefix: put in front of each path that is not absolute.
        multi_label: labels are ids joined by commas.

    Raises:
        ConfigError: an empty list, a line without a label, a label that is no class id; names file and line.
    """
    records = []
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            line = line.strip()
            if not line:
                continue
            where = f"{path}, line {number}"
            file, found, text = line.rpartition(separator)
            if not found or not file:
                raise ConfigError(
                    f"{where}: no label in {line!r}; a line is a path, {separator!r} (DATA.PATH_LABEL_SEPARATOR) and a class id"
                )
            try:
                labels = tuple(int(part) for part in (text.split(",") if multi_label else [text]))
            except ValueError:
                raise ConfigError(f"{where}: the label {text!r} is no class id (a whole number)") from None
            if any(not 0 <= label < num_classes for label in labels):
                raise ConfigError(
                    f"{where}: the label {text} is outside 0..{num_classes - 1}; correct it or set MODEL.NUM_CLASSES"
                )
            records.append(Record(os.path.join(prefix, file.strip()), labels if multi_label else labels[0], where))
    if not records:
        raise ConfigError(f"{path}: the list is empty")
    return records


def read_unlabelled(path, separator=" ", prefix=""):
    """The records of a list file whose labels, if it has any, are of no interest: all are 0. Arguments as for `read_list`.

    Raises:
        ConfigError: an empty list.
    """
    records = []
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            line = line.strip()
            file, found, text = line.rpartition(separator)
            # What follows the last separator is a label if it looks like one; paths may contain separators.
            file = file.strip() if found and text.replace(",", "").isdigit() else line
            if file:
                records.append(Record(os.path.join(prefix, file), 0, f"{path}, line {number}"))
    if not records:
        raise ConfigError(f"{path}: the list is empty")
    return records


def read_class_names(folder, names_file, num_classes):
    """Class names in order of their ids, or None without a file."""
    path = names_file or os.path.join(folder, "classes.txt")
    if not os.path.isfile(path):
        if names_file:
            raise ConfigError(f"DATA.CLASS_NAMES_FILE is {names_file!r}: there is no such file")
        return None
    with open(path, encoding="utf-8") as f:
        names = [line.strip() for line in f if line.strip()]
    if len(names) != num_classes:
        raise ConfigError(f"{path}: {len(names)} class names, but MODEL.NUM_CLASSES is {num_classes}; make them agree")
    return names
