"""What every reader of label files uses: the records it returns and where they come from; `tables` reads the files.

A data set is a function `read(source, split) -> Listing`, registered in `config.names.DATASETS`:

    @DATASETS.register("my_set")
    def read(source: Source, split: str) -> Listing:
        lines = lines_of(source.file("list.txt"))
        return Listing([Record(source.video("{file}", file=line), 0, where) for line, where in lines])
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..config import ConfigError
from ..utils.remote import is_file, join
from ..utils.text import counted
from .label_columns import BoxLabels, Labels
from .records import Record, Records

__all__ = ["BoxLabels", "ClassNames", "Labels", "Listing", "names_difference", "Record", "Records", "Source"]

# Names in order of the class ids; {classifier: names or None} for several classifiers; None without names.
ClassNames = list[str] | dict[str, list[str] | None] | None


def names_difference(old: Any, new: Any) -> tuple[str, str]:
    """Where class names that are not equal differ first.

    Args:
        old: `ClassNames`.
        new: `ClassNames`.

    Returns:
        What a sentence says of both, such as ("class 3 is 'run'", "'jump'") or ("verb: 97 names", "125 names").
    """
    if isinstance(old, dict) and isinstance(new, dict) and old.keys() == new.keys():
        head = next(head for head in old if old[head] != new[head])
        before, now = names_difference(old[head], new[head])
        return f"{head}: {before}", now
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        index = next(i for i, pair in enumerate(zip(old, new)) if pair[0] != pair[1])
        return f"class {index} is {old[index]!r}", repr(new[index])
    return _summary(old), _summary(new)


def _summary(names: Any) -> str:
    if isinstance(names, dict):
        return f"names of the classifiers {', '.join(names)}"
    return counted(len(names), "name") if names else "none"


@dataclass(init=False)
class Listing:
    """What a reader returns: the records of a split, and what is known of all of them.

    Args:
        records: In the order of the label file: any iterable. They are kept in columns, see `records.Records`, which
            is a sequence of them again; of an iterator a few thousand are in memory at a time.
        class_names: Names in order of the class ids, or None; {classifier: names} for several classifiers.
        labels: What a record's `label` is.
        classifiers: Names of the classifiers that the labels can feed; () for data sets with one label per video.
        info: Further facts. "annotation_dir": folder of the label files, where it is not DATA.PATH_TO_DATA_DIR (AVA).

    Raises:
        ConfigError: The label of a record is something else than `labels` says.
    """

    records: Records
    class_names: ClassNames
    labels: Labels
    classifiers: tuple[str, ...]
    info: dict[str, str]

    def __init__(
        self,
        records: Iterable[Record],
        class_names: ClassNames = None,
        labels: Labels = "class",
        classifiers: tuple[str, ...] = (),
        info: Mapping[str, str] | None = None,
    ) -> None:
        self.records = records if isinstance(records, Records) else Records.of(records, labels)
        self.class_names, self.labels, self.classifiers = class_names, labels, classifiers
        self.info = dict(info or {})

    def fingerprint(self) -> str:
        """A hash of the records in their order: files, segments and labels.

        Paths count from the folder that all of them share, so that a data set may lie elsewhere the next time.
        """
        return self.records.fingerprint()


@dataclass(frozen=True)
class Source:
    """Where a data set lies and how it is cut; each reader uses what concerns it.

    Attributes:
        folder: Folder of the label files.
        prefix: Folder of the videos; "" means `folder`.
        separator: Between path and label in list files.
        names_file: File with one class name per line.
        num_classes: Classes of a network with one classifier.
        classifiers: {classifier: classes} of a network with several.
        multi_label: Labels of list files are several class ids.
        fold: Number of the split, from 1, of data sets that have several.
        train_part: Which part is trained on, for data sets that leave a choice.
        test_part: Which part is tested on.
        target: What a single classifier learns, for data sets with several labels per segment.
        video_file: Name of a video's file, with fields in braces; "" means the data set's naming.
        audio_file: Name of a separate audio file, with the same fields; "" means that the video holds the audio.
        options: The configuration node called like the data set in capitals; {} where there is none.
        labelled: Whether labels are needed; without, list files need none.
        list_file: File that is read in place of the split's own (TEST.LIST); "" for none. A reader that uses
            `split_file` says so with `DatasetFacts.takes_list`.
    """

    folder: str
    prefix: str = ""
    separator: str = " "
    names_file: str = ""
    num_classes: int = 0
    classifiers: Mapping[str, int] = field(default_factory=dict)
    multi_label: bool = False
    fold: int = 1
    train_part: str = ""
    test_part: str = ""
    target: str = ""
    video_file: str = ""
    audio_file: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    labelled: bool = True
    list_file: str = ""

    @property
    def video_folder(self) -> str:
        """Folder of the videos."""
        return self.prefix or self.folder

    def file(self, *names: str, what: str = "label file") -> str:
        """Path of the first of some files in the folder that exists.

        Args:
            names: Names of the files.
            what: What they are, for the message.

        Raises:
            ConfigError: None exists; names the first.
        """
        for name in names:
            path = os.path.join(self.folder, name)
            if is_file(path):
                return path
        raise ConfigError(
            f"DATA.PATH_TO_DATA_DIR is {self.folder!r}: the {what} {os.path.join(self.folder, names[0])!r} does not "
            "exist; set it to the folder that holds the data set's label files (DATASETS.md)"
        )

    def split_file(self, *names: str, what: str = "label file") -> str:
        """Path of `list_file`, or else of the split's own file. Arguments and errors as for `file`."""
        if not self.list_file:
            return self.file(*names, what=what)
        if not is_file(self.list_file):
            raise ConfigError(f"TEST.LIST is {self.list_file!r}: the file does not exist")
        return self.list_file

    def video(self, template: str, **fields: object) -> str:
        """Path of a video by `video_file`, or by the data set's naming.

        Args:
            template: The data set's naming, with fields in braces.
            fields: Their values.

        Raises:
            ConfigError: `video_file` has a field that the data set does not have.
        """
        return join(self.video_folder, _filled(self.video_file or template, "DATA.VIDEO_FILE", fields))

    def audio(self, **fields: object) -> str:
        """Path of a separate audio file; "" without `audio_file`. Arguments as for `video`."""
        if not self.audio_file:
            return ""
        return join(self.video_folder, _filled(self.audio_file, "DATA.AUDIO_FILE", fields))

    def check_classes(self, count: int, where: str) -> None:
        """Compare the number of classes with the network's.

        Args:
            count: Classes of the data set.
            where: The file that says so, for the message.

        Raises:
            ConfigError: There is none, or the network has another number.
        """
        if not count:
            raise ConfigError(f"{where}: no classes in it; it should be the official file, unchanged")
        if self.num_classes != count:
            raise ConfigError(
                f"MODEL.NUM_CLASSES is {self.num_classes}: {where} has {count} classes; "
                f"set MODEL.NUM_CLASSES to {count}"
            )

    def check_fold(self, title: str) -> None:
        """Check DATA.FOLD for a data set with three splits.

        Args:
            title: Name of the data set, for the message.

        Raises:
            ConfigError: There is no such split.
        """
        if self.fold not in (1, 2, 3):
            raise ConfigError(f"DATA.FOLD is {self.fold}: {title} has the splits 1, 2 and 3")


def _filled(template: str, key: str, fields: Mapping[str, object]) -> str:
    """A naming with its fields filled in."""
    try:
        return template.format(**fields)
    except (KeyError, IndexError, ValueError, AttributeError):
        names = ", ".join(f"{{{name}}}" for name in fields)
        raise ConfigError(f"{key} is {template!r}: the fields of this data set are {names}; use these alone") from None
