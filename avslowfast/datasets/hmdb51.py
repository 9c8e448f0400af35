"""HMDB51: 51 actions, three splits; most videos have no audio (ICCV 2011)."""

import glob
import os

from ..config import ConfigError
from .base import Listing, Record, Source
from .tables import lines_of, shown

_PARTS = {"0": "", "1": "train", "2": "test"}


def read(source: Source, split: str) -> Listing:
    """`{class}_test_split{1,2,3}.txt` with lines `file 0|1|2` (unused, training, test); DATA.FOLD chooses the split.

    The test videos serve for validation too.

    Args:
        source: Where the label files lie.
        split: train | val | test.

    Raises:
        ConfigError: A line of another form, or lists of another number of classes than the network has.
    """
    source.check_fold("HMDB51")
    ending = f"_test_split{source.fold}.txt"
    lists = sorted(glob.glob(os.path.join(glob.escape(source.folder), f"*{ending}")))
    names = [os.path.basename(path).removesuffix(ending) for path in lists]
    if source.num_classes != len(names):
        raise ConfigError(
            f"MODEL.NUM_CLASSES is {source.num_classes}: {source.folder!r} has the lists of {len(names)} classes of "
            f"split {source.fold}; set it to {len(names)}, or DATA.PATH_TO_DATA_DIR to the folder of the lists"
        )
    records = []
    for label, (name, path) in enumerate(zip(names, lists)):
        for line, where in lines_of(path):
            file, _, part = line.rpartition(" ")
            if part not in _PARTS or not file.strip():
                raise ConfigError(f"{where}: not 'file 0|1|2' but {shown(line)}")
            if _PARTS[part] == ("train" if split == "train" else "test"):
                fields = {"name": name, "file": file.strip(), "stem": os.path.splitext(file.strip())[0]}
                video, audio_path = source.video("{name}/{file}", **fields), source.audio(**fields)
                records.append(Record(video, label, where, None, audio_path, fields["file"]))
    if not records:
        raise ConfigError(f"{source.folder}: no videos of {split} in its {len(lists)} lists *{ending}")
    return Listing(records, names)
