"""UCF101: 101 actions, three splits; about half of the videos have sound (arXiv 1212.0402)."""

import os

from ..config import ConfigError
from .base import DATASETS, Record, VideoDataset


@DATASETS.register("ucf101")
class UCF101(VideoDataset):
    """`classInd.txt` (ids from 1) and `{train,test}list0{1,2,3}.txt`; DATA.FOLD chooses the split. The test list is the validation list too."""

    multi_label = False

    @classmethod
    def from_source(cls, source, split, settings):
        """Read a list of the fold."""
        if source.fold not in (1, 2, 3):
            raise ConfigError(f"DATA.FOLD is {source.fold}: UCF101 has the splits 1, 2 and 3")
        index = source.file("classInd.txt")
        with open(index, encoding="utf-8") as f:
            pairs = [line.split() for line in f if line.strip()]
        ids = {name: int(number) - 1 for number, name in pairs}
        if source.num_classes != len(ids):
            raise ConfigError(f"MODEL.NUM_CLASSES is {source.num_classes}: {index} has {len(ids)} classes; set it so")
        path = source.file(f"{'train' if split == 'train' else 'test'}list0{source.fold}.txt")
        records = []
        with open(path, encoding="utf-8") as f:
            for number, line in enumerate(f, 1):
                if not line.strip():
                    continue
                # Training lists repeat the id after the file; test lists do not. The folder says it in both.
                file = line.split()[0]
                name = file.split("/")[0]
                if name not in ids:
                    raise ConfigError(f"{path}, line {number}: the class {name!r} is not in classInd.txt")
                fields = {"file": file, "stem": os.path.splitext(file)[0]}
                records.append(
                    Record(
                        source.video("{file}", **fields),
                        ids[name],
                        f"{path}, line {number}",
                        None,
                        source.sound(**fields),
                        file,
                    )
                )
        return cls(records, settings, split, sorted(ids, key=ids.get))
