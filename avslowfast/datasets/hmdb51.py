"""HMDB51: 51 actions, three splits; most videos have no sound (ICCV 2011)."""

import glob
import os

from ..config import ConfigError
from .base import DATASETS, Record, VideoDataset

_PARTS = {"0": None, "1": "train", "2": "test"}


@DATASETS.register("hmdb51")
class HMDB51(VideoDataset):
    """`{class}_test_split{1,2,3}.txt` with lines `file 0|1|2` (unused, training, test); DATA.FOLD chooses the split."""

    multi_label = False

    @classmethod
    def from_source(cls, source, split, settings):
        """Read the lists of the fold, of every class."""
        if source.fold not in (1, 2, 3):
            raise ConfigError(f"DATA.FOLD is {source.fold}: HMDB51 has the splits 1, 2 and 3")
        ending = f"_test_split{source.fold}.txt"
        lists = sorted(glob.glob(os.path.join(glob.escape(source.folder), f"*{ending}")))
        names = [os.path.basename(path).removesuffix(ending) for path in lists]
        if source.num_classes != len(names):
            raise ConfigError(
                f"MODEL.NUM_CLASSES is {source.num_classes}: {source.folder!r} has the lists of {len(names)} classes of split {source.fold}; "
                "set it so, or set DATA.PATH_TO_DATA_DIR to the folder that holds them"
            )
        wanted = "train" if split == "train" else "test"
        records = []
        for label, (name, path) in enumerate(zip(names, lists)):
            with open(path, encoding="utf-8") as f:
                for number, line in enumerate(f, 1):
                    where = f"{path}, line {number}"
                    file, _, part = line.strip().rpartition(" ")
                    if not line.strip():
                        continue
                    if part not in _PARTS or not file:
                        raise ConfigError(f"{where}: not 'file 0|1|2' but {line.strip()!r}")
                    if _PARTS[part] == wanted:
                        fields = {"name": name, "file": file.strip(), "stem": os.path.splitext(file.strip())[0]}
                        records.append(
                            Record(
                                source.video("{name}/{file}", **fields),
                                label,
                                where,
                                None,
                                source.sound(**fields),
                                fields["file"],
                            )
                        )
        return cls(records, settings, split, names)
