"""UCF101: 101 actions, three splits; about half of the videos have audio (arXiv 1212.0402)."""

import os

from ..config import ConfigError
from .base import lines_of, Listing, Record, Source


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
    ids = {name: int(number) - 1 for number, name in (line.split() for line, _ in lines_of(index))}
    source.check_classes(len(ids), index)
    records = []
    for line, where in lines_of(source.file(f"{'train' if split == 'train' else 'test'}list0{source.fold}.txt")):
        # Training lists repeat the id after the file; test lists do not. The folder says it in both.
        file = line.split()[0]
        name = file.split("/")[0]
        if name not in ids:
            raise ConfigError(f"{where}: the class {name!r} is not in classInd.txt")
        fields = {"file": file, "stem": os.path.splitext(file)[0]}
        path, audio_path = source.video("{file}", **fields), source.audio(**fields)
        records.append(Record(path, ids[name], where, None, audio_path, file))
    return Listing(records, sorted(ids, key=lambda name: ids[name]))
