"""List files as PySlowFast reads them: one video a line, `path<separator>label`."""

import os

from ..config import ConfigError
from .base import DATASETS, Record, VideoDataset


@DATASETS.register("kinetics")
class Kinetics(VideoDataset):
    """Kinetics-400/600 and every data set written in its list format: `{train,val,test}.csv`."""

    @classmethod
    def from_lists(cls, folder, split, settings, separator=" ", prefix="", names_file=""):
        """Read `folder/{split}.csv`; paths in it start at `prefix`, or at the folder itself without one. Class names come from
        `names_file`, or from `folder/classes.txt` where that exists.
        """
        path = os.path.join(folder, f"{split}.csv")
        if not folder or not os.path.isfile(path):
            raise ConfigError(
                f"DATA.PATH_TO_DATA_DIR is {folder!r}: {path!r} does not exist; set it to the folder that holds train.csv, val.csv and test.csv"
            )
        records = read_list(path, settings.num_classes, separator, prefix or folder, settings.multi_label)
        return cls(records, settings, split, read_class_names(folder, names_file, settings.num_classes))


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
                raise ConfigError(f"{where}: no label in {line!r}; a line is a path, {separator!r} (DATA.PATH_LABEL_SEPARATOR) and a class id")
            try:
                labels = tuple(int(part) for part in (text.split(",") if multi_label else [text]))
            except ValueError:
                raise ConfigError(f"{where}: the label {text!r} is no class id (a whole number)") from None
            if any(not 0 <= label < num_classes for label in labels):
                raise ConfigError(f"{where}: the label {text} is outside 0..{num_classes - 1}; correct it or set MODEL.NUM_CLASSES")
            records.append(Record(os.path.join(prefix, file.strip()), labels if multi_label else labels[0], where))
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
