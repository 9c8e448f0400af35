"""List files as PySlowFast reads them: one video per line, `path<separator>label`."""

import os
from collections.abc import Iterator, Mapping

from ..config import ConfigError
from ..utils.remote import is_file, join
from .base import Listing, Record, Records, Source
from .list_lines import LineForm, parse
from .tables import (
    Block,
    blocks_of,
    check_class_id,
    check_distinct,
    check_span,
    csv_rows,
    field,
    hint,
    lines_of,
    PathLike,
    shown,
    whole_number,
)

# Words of header lines.
_HEADER = frozenset(("path", "file", "filename", "video", "video_path", "label", "class", "name"))


def read(source: Source, split: str) -> Listing:
    """Kinetics-400/600 and every data set written in its list format: `{train,val,test}.csv`.

    Paths in the list start at the prefix, or at the folder itself without one. Class names come from the names file, or
    from `classes.txt` in the folder where that exists. A list to test on (the test split's, or TEST.LIST) may be one of
    paths alone.

    Args:
        source: Where the list lies.
        split: train | val | test.

    Raises:
        ConfigError: The list does not exist, or has a mistake.
    """
    path = source.split_file() if source.list_file else os.path.join(source.folder, f"{split}.csv")
    if not source.list_file and (not source.folder or not is_file(path)):
        raise ConfigError(
            f"DATA.PATH_TO_DATA_DIR is {source.folder!r}: {path!r} does not exist; set it to the folder that holds "
            "train.csv, val.csv and test.csv"
        )
    if not source.labelled:
        return Listing(read_unlabelled(path, source.separator, source.video_folder), labels="none")
    labelled = split != "test" or has_labels(path, source.separator)
    if labelled:
        records = read_list(path, source.num_classes, source.separator, source.video_folder, source.multi_label)
    else:
        records = read_unlabelled(path, source.separator, source.video_folder, strict=True)
    names = read_class_names(source.folder, source.names_file, source.num_classes)
    return Listing(records, names, "none" if not labelled else "multi" if source.multi_label else "class")


def read_list(
    path: str, num_classes: int, separator: str = " ", prefix: str = "", multi_label: bool = False
) -> Records:
    """The records of a list file.

    Args:
        path: The list.
        num_classes: Class ids are below this.
        separator: Between path and label; the last one of the line counts, so that paths may contain it.
        prefix: Put in front of each path that is not absolute.
        multi_label: Labels are ids joined by commas.

    Raises:
        ConfigError: An empty list, a line without a label, a label that is no class id; names file and line.
    """
    form = LineForm(separator, prefix, num_classes, multi_label)
    parts = []
    # Texts of labels that were checked already: a list has many lines and few classes.
    known: dict[str, tuple[int, ...]] = {}
    for block in blocks_of(path):
        part = parse(block, form)
        if part is None:
            part = Records.of(_labelled(block, form, num_classes, known), "multi" if multi_label else "class")
        parts.append(part)
    return _not_empty(path, parts)


def _labelled(block: Block, form: LineForm, num_classes: int, known: dict[str, tuple[int, ...]]) -> Iterator[Record]:
    """The records of a block of lines with labels, line by line."""
    for line, where in block.lines():
        file, separated, text = line.rpartition(form.separator)
        file = file.rstrip()
        if not separated or not file:
            raise ConfigError(
                f"{where}: no label in {shown(line)}; a line is a path, {form.separator!r} "
                f"(DATA.PATH_LABEL_SEPARATOR) and a class id{hint(line, where)}"
            )
        labels = known.get(text)
        if labels is None:
            labels = known[text] = _class_ids(text, line, where, num_classes, form.multi_label)
        if is_comment(file):
            raise ConfigError(_COMMENT.format(where=where, line=shown(line)))
        yield Record(join(form.prefix, file), labels if form.multi_label else labels[0], where)


def _not_empty(path: PathLike, parts: list[Records]) -> Records:
    parts = [part for part in parts if len(part)]
    if not parts:
        raise ConfigError(f"{path}: the list is empty")
    return Records.join(parts)


# What is said of a line that begins with # and names no video.
_COMMENT = (
    "{where}: {line} looks like a comment; lists have none, so remove the line (a file of this name: write ./#...)"
)


def is_comment(line: str) -> bool:
    """Whether a line of a list is a comment: it begins with # and names no file (HMDB51 has videos called #20_...)."""
    if not line.startswith("#"):
        return False
    return line[1:2] in ("", " ", "\t", "#") or not _is_media(line.strip())


def _class_ids(text: str, line: str, where: str, num_classes: int, several: bool) -> tuple[int, ...]:
    """The class ids after a path, checked."""
    parts = text.split(",") if several else [text]
    try:
        labels = tuple(whole_number(part, where, "the label", None) for part in parts)
    except ConfigError:
        raise ConfigError(
            f"{where}: the label {shown(text)} is no class id (a whole number){hint(line, where)}"
        ) from None
    for label in labels:
        check_class_id(label, num_classes, where)
    return labels


def has_labels(path: PathLike, separator: str = " ") -> bool:
    """Whether a list file has labels: its first line has a separator and does not end like the name of a media file.

    Args:
        path: The list.
        separator: Between path and label.
    """
    line, _ = next(lines_of(path), ("", ""))
    return not line or (separator in line and not _is_media(line))


def _is_media(name: str) -> bool:
    # Readers of label files run without av.
    from ..media.files import is_sound, is_video

    return is_video(name) or is_sound(name)


def read_unlabelled(path: PathLike, separator: str = " ", prefix: str = "", strict: bool = False) -> Records:
    """The records of a list file whose labels, if it has any, are not needed.

    Args:
        path: The list.
        separator: Between path and label.
        prefix: Put in front of each path that is not absolute.
        strict: No line may have a label.

    Raises:
        ConfigError: An empty list, or a line with a label in a list that has none.
    """
    form = LineForm(separator, prefix, None)
    parts: list[Records] = []
    for block in blocks_of(path):
        line, where = next(block.lines(), ("", ""))
        if not any(map(len, parts)) and line and _HEADER.issuperset(line.lower().replace(",", " ").split()):
            raise ConfigError(f"{where}: {shown(line)} is no path of a video{hint(line, where)}")
        if strict:
            _check_no_label(block, separator)
        part = parse(block, form)
        parts.append(Records.of(_unlabelled(block, form), "none") if part is None else part)
    return _not_empty(path, parts)


def _check_no_label(block: Block, separator: str) -> None:
    for line, where in block.lines():
        file, separated, text = line.rpartition(separator)
        if separated and text.isdecimal() and _is_media(file.rstrip()):
            raise ConfigError(
                f"{where}: {shown(line)} has a label, but the first line of the list has none; give all lines a label "
                "or none"
            )


def _unlabelled(block: Block, form: LineForm) -> Iterator[Record]:
    """The records of a block of lines, line by line."""
    for line, where in block.lines():
        file, separated, text = line.rpartition(form.separator)
        # What follows the last separator is a label if it looks like one; paths may contain separators.
        has_label = separated and file.strip() and text.replace(",", "").isdecimal()
        name = file.strip() if has_label else line
        if is_comment(name):
            raise ConfigError(_COMMENT.format(where=where, line=shown(line)))
        yield Record(join(form.prefix, name), where=where)


def read_class_names(folder: str, names_file: str, num_classes: int) -> list[str] | None:
    """Class names in order of their ids, or None without a file.

    Args:
        folder: Folder of the lists; its `classes.txt` serves where there is one.
        names_file: Another file with one name per line, or "".
        num_classes: Names that there have to be.

    Raises:
        ConfigError: `names_file` does not exist, or the number of names is another.
    """
    path = names_file or os.path.join(folder, "classes.txt")
    if not is_file(path):
        if names_file:
            raise ConfigError(f"DATA.CLASS_NAMES_FILE is {names_file!r}: the file does not exist")
        return None
    lines = list(lines_of(path))
    names = [line for line, _ in lines]
    if len(names) != num_classes:
        # A class may be called #1; that it is a comment is a guess.
        comment = next((f" ({where} looks like a comment)" for line, where in lines if is_comment(line)), "")
        raise ConfigError(
            f"{path}: {len(names)} class names, but MODEL.NUM_CLASSES is {num_classes}; make them equal{comment}"
        )
    check_distinct(names, path, "class")
    return names


def read_crawled(path: PathLike) -> list[tuple[dict[str, str], str]]:
    """Rows of the crawler's CSV (`label,youtube_id,time_start,time_end,split[,is_cc]`): [(row, file and line)].

    Raises:
        ConfigError: A column is missing.
    """
    return list(csv_rows(path, ("label", "youtube_id", "time_start", "time_end")))


def crawled_file(row: Mapping[str, str], where: str) -> str:
    """Name that the crawler gives the file of a row.

    Args:
        row: Of `read_crawled`.
        where: File and line.

    Raises:
        ConfigError: The row has no video, or no span of whole seconds; names file and line.
    """
    start, stop = (whole_number(row[name], where, name) for name in ("time_start", "time_end"))
    check_span(start, stop, where)
    return f"{row['label']}/{field(row, 'youtube_id', where)}_{start:06d}_{stop:06d}.mp4"


def read_crawled_splits(folder: str, release: int) -> tuple[dict[str, list[tuple[str, int]]], list[str]]:
    """The crawler's rows of each split that exists.

    Args:
        folder: Folder of the crawler's files, called `kinetics-400_train.csv`, `kinetics_400_train.csv` or `train.csv`.
        release: 400 | 600 | 700.

    Returns:
        ({split: [(path below the folder of videos, class id)]}, class names in order of their ids).

    Raises:
        ConfigError: No such file at all.
    """
    tables = {}
    for split in ("train", "val", "test"):
        for name in (f"kinetics-{release}_{split}.csv", f"kinetics_{release}_{split}.csv", f"{split}.csv"):
            if is_file(os.path.join(folder, name)):
                tables[split] = [row for row in read_crawled(os.path.join(folder, name)) if row[0]["label"]]
                break
    if not tables:
        raise ConfigError(
            f"{folder}: no kinetics-{release}_train.csv, _val.csv or _test.csv in it; "
            "give the folder with the crawler's CSV files"
        )
    names = sorted({row["label"] for rows in tables.values() for row, _ in rows})
    ids = {name: i for i, name in enumerate(names)}
    labels = {
        split: [(crawled_file(row, where), ids[row["label"]]) for row, where in rows] for split, rows in tables.items()
    }
    return labels, names
