"""UCF101: 101 actions, three splits; about half of the videos have audio (arXiv 1212.0402)."""

import os

from ..config import ConfigError
from .base import Listing, Record, Source
from .tables import hint, lines_of, shown, whole_number


def read(source: Source, split: str) -> Listing:
    """`classInd.txt` (ids from 1) and `{train,test}list0{1,2,3}.txt`; DATA.FOLD chooses the split.

    The test list serves as validation list too.

    Args:
        source: Where the label files lie.
        split: train | val | test.

    Raises:
        ConfigError: A file does not exist or has a mistake, or the network has another number of classes.
    """
    source.check_fold("UCF101")
    index = source.file("classInd.txt")
    ids = _read_classes(index)
    source.check_classes(len(ids), index)
    records = []
    own = f"{'train' if split == 'train' else 'test'}list0{source.fold}.txt"
    listed = source.split_file(own)
    for line, where in lines_of(listed):
        # Training lists repeat the id after the file; test lists do not. The folder says it in both.
        file, *repeated = line.split()
        name = file.split("/")[0]
        if name not in ids:
            raise ConfigError(f"{where}: the class {shown(name)} is not in classInd.txt{hint(line, where)}")
        if repeated and repeated != [str(ids[name] + 1)]:
            raise ConfigError(f"{where}: {name} has the id {ids[name] + 1} in classInd.txt, not {shown(repeated[0])}")
        fields = {"file": file, "stem": os.path.splitext(file)[0]}
        path, audio_path = source.video("{file}", **fields), source.audio(**fields)
        records.append(Record(path, ids[name], where, None, audio_path, file))
    if not records:
        raise ConfigError(f"{listed}: no videos in it; it should be the official file, unchanged")
    return Listing(records, sorted(ids, key=lambda name: ids[name]))


def _read_classes(path: str) -> dict[str, int]:
    """Class ids, from 0, by name."""
    ids: dict[str, int] = {}
    for line, where in lines_of(path):
        fields = line.split()
        if len(fields) != 2:
            raise ConfigError(f"{where}: not 'id name' but {shown(line)}{hint(line, where)}")
        class_id = whole_number(fields[0], where, "the id", 1) - 1
        if fields[1] in ids or class_id in ids.values():
            raise ConfigError(f"{where}: the class {fields[1]} or the id {fields[0]} stands in the file already")
        ids[fields[1]] = class_id
    if sorted(ids.values()) != list(range(len(ids))):
        raise ConfigError(f"{path}: the ids of its {len(ids)} classes are not 1 to {len(ids)}; correct them")
    return ids
