"""Parts outside the package: a lateral with an option, a data set, a pretext, a metric.

    avslowfast train my_network.yaml
    avslowfast train my_network.yaml TASK pretrain PRETRAIN.TASKS "['reversed']" OUTPUT_DIR output/my_pretraining

`PLUGINS: [my_plugin]` in the YAML imports this module before names are looked up; `--import my_plugin` does the same.
"""

import os
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn, Tensor

from avslowfast.config import add_config
from avslowfast.config.derived import Cfg
from avslowfast.config.names import DATASETS, LATERALS, Metric, METRICS, PretextFacts, PRETEXTS
from avslowfast.config.ranges import choice, number
from avslowfast.datasets import Listing, Record, Source
from avslowfast.datasets.tables import lines_of
from avslowfast.models.laterals.base import AddedAudio, LateralGeometry
from avslowfast.models.norm import NormSpec
from avslowfast.tasks.pretexts.base import VariantPretext
from avslowfast.tasks.scores import ClassScores

# Further keys: (default, comment, range). They are set and checked like any other key.
add_config("SCALED_AUDIO", {"START": (1.0, "First value of the learnt factor on the audio features.", number(-10, 10))})
add_config(
    "SYNTHAV_HALF",
    {"HALF": ("motion", "Which half of SynthAV's pairs is the label: motion | audio.", choice("motion", "audio"))},
)


@LATERALS.register("scaled_audio")
class ScaledAudio(AddedAudio):
    """A->FS with a learnt factor on the audio features of the stage.

    Args:
        geometry: What the lateral connects.
        norm: Makes its batch norms.
        inplace: Apply ReLU in place.
        start: First value of the factor.
    """

    def __init__(self, geometry: LateralGeometry, norm: NormSpec, inplace: bool = True, *, start: float = 1.0) -> None:
        super().__init__(geometry, norm, inplace)
        self.factor = nn.Parameter(torch.tensor(start))

    @classmethod
    def options(cls, cfg: Cfg) -> dict[str, Any]:
        """The constructor's arguments that the configuration gives."""
        return {"start": cfg.SCALED_AUDIO.START}

    def fuse(self, x_visual: Tensor, encoded: Tensor, audio_mask: Tensor | None = None) -> Tensor:
        """Add audio [B, C, T] to visual features [B, C, T, H, W]."""
        return super().fuse(x_visual, self.factor * encoded, audio_mask)


@DATASETS.register("synthav_half")
def read_half(source: Source, split: str) -> Listing:
    """SynthAV pairs with one half of each pair as the label: 4 classes.

    Args:
        source: Its folder has train.csv, val.csv, test.csv and classes.txt of `avslowfast synthav`.
        split: train | val | test.
    """
    half = {"motion": 0, "audio": 1}[source.options["HALF"]]
    pairs = [line.split("+") for line, _ in lines_of(source.file("classes.txt"))]
    names = sorted({pair[half] for pair in pairs})
    source.check_classes(len(names), "classes.txt")
    records = []
    for line, where in lines_of(source.file(f"{split}.csv")):
        path, pair = line.rsplit(" ", 1)
        label = names.index(pairs[int(pair)][half])
        records.append(Record(os.path.join(source.video_folder, path), label, where))
    return Listing(records, names)


@PRETEXTS.register("reversed", facts=PretextFacts(outputs=2))
class ReversedPretext(VariantPretext):
    """Recognise whether the frames of a clip run forwards or backwards."""

    def vary(self, clips: Tensor, variants: Tensor) -> Tensor:
        """Clips [B, C, T, H, W], those with variant 1 backwards."""
        return torch.where(variants.view(-1, 1, 1, 1, 1) == 1, clips.flip(2), clips)


@METRICS.register("error_rate", facts=Metric("error_rate", "error rate", better="lower"))
def error_rate(scores: ClassScores, labels: NDArray[np.int64]) -> float:
    """Share of the videos whose best class is not their label, in percent."""
    return 100.0 * float((scores.only.argmax(axis=1) != labels).mean())
