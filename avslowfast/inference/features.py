"""Features of many videos into one file, resumable."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence, Set
from typing import Any

import torch
from torch import nn, Tensor
from tqdm import tqdm

from ..checkpoint import read_checkpoint, states
from ..config.names import STAGES
from ..datasets.kinetics import read_unlabelled
from ..media import DecodeError
from ..media.files import list_videos
from ..media.streams import path_text
from ..utils.arguments import ArgumentTypeError, whole
from ..utils.batches import chunks
from ..utils.errors import UserError
from ..utils.logging import get_logger
from .load import meta_of, network_of
from .scoring import check_finite, evaluating, network_inputs, NotFiniteError

logger = get_logger(__name__)

# A .pt file is written again after so many videos, and at the end.
_SAVE_EVERY = 50

# A folder or a list file, or several files and folders.
Videos = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


class FeatureFileError(UserError, ValueError):
    """A file that features cannot be written to, or a stage that a network does not have; the message says why."""


class _FeatureFile(ABC):
    """A file with the features of videos, by path.

    Args:
        path: The file; it is completed where it exists.
        about: What the features are: the weights and the stage.
    """

    @abstractmethod
    def __init__(self, path: str, about: str) -> None: ...

    @abstractmethod
    def __contains__(self, video: str) -> bool:
        """Whether the file has all features of a video."""

    @abstractmethod
    def add(self, video: str, features: dict[str, Tensor]) -> None:
        """Keep the features of a video."""

    @abstractmethod
    def close(self) -> None:
        """Write what is not written yet."""


class _TorchFile(_FeatureFile):
    """{"about": text, "features": {path: {pathway: tensor}}} in a file of torch."""

    def __init__(self, path: str, about: str) -> None:
        self._path, self._about = path, about
        self._features: dict[str, dict[str, Tensor]] = {}
        if os.path.exists(path):
            content = read_checkpoint(path)
            if not isinstance(content, dict) or content.get("about") != about:
                raise FeatureFileError(
                    f"{path}: not a file of features of this network at this stage; choose another file"
                )
            if not isinstance(content.get("features"), dict):
                raise FeatureFileError(f"{path}: there are no features in it; choose another file")
            self._features = content["features"]

    def __contains__(self, video: str) -> bool:
        return video in self._features

    def add(self, video: str, features: dict[str, Tensor]) -> None:
        self._features[video] = features
        if len(self._features) % _SAVE_EVERY == 0:
            self.close()

    def close(self) -> None:
        states.save({"about": self._about, "features": self._features}, self._path)


class _HDF5File(_FeatureFile):
    """One group per video, one data set per pathway."""

    def __init__(self, path: str, about: str) -> None:
        try:
            import h5py
        except ImportError:
            raise FeatureFileError(
                f"{path}: HDF5 files need the package h5py: pip install h5py; or name a .pt file"
            ) from None
        try:
            self._file: Any = h5py.File(path, "a")
        except OSError as error:
            raise FeatureFileError(f"{path}: not an HDF5 file ({error})") from None
        if self._file.attrs.get("about", about) != about:
            self._file.close()
            raise FeatureFileError(f"{path}: holds features of another network or stage; choose another file")
        self._file.attrs["about"] = about

    def __contains__(self, video: str) -> bool:
        # The attribute is written last: a group without it was interrupted.
        return _group_name(video) in self._file and "whole" in self._file[_group_name(video)].attrs

    def add(self, video: str, features: dict[str, Tensor]) -> None:
        if _group_name(video) in self._file:
            del self._file[_group_name(video)]
        group = self._file.create_group(_group_name(video))
        for name, value in features.items():
            group.create_dataset(name, data=value.numpy())
        group.attrs.update(path=video, whole=True)
        self._file.flush()

    def close(self) -> None:
        self._file.close()


_KINDS: dict[str, type[_FeatureFile]] = {".pt": _TorchFile, ".h5": _HDF5File}


def _group_name(path: str) -> str:
    # A slash would make groups within groups.
    return path.replace("/", "|")


def extract_features(
    model: nn.Module,
    videos: Videos,
    stage: str = "res5",
    out: str | os.PathLike[str] = "features.pt",
    views: int | None = None,
    batch: int = 8,
) -> tuple[int, list[tuple[str, str]]]:
    """Write the features of a stage for each video, averaged over all positions.

    An interrupted call resumes when it is repeated.

    Args:
        model: From `avslowfast.load_model`.
        videos: A folder, several files and folders, or a list file (.csv, .txt) with one path per line; a class id
            after the path is ignored. Of folders a network without frames takes the sound files, too.
        stage: pool1 | res2 | res3 | res4 | res5.
        out: File to write. .pt: {"about", "features": {path: {"slow", "fast", "audio": float32 [views, channels],
            "start": seconds [views]}}}, with the pathways of the network. .h5: one group per video (slashes of its path
            written as |), one data set per pathway.
        views: Clips over the length of each video; None takes TEST.NUM_ENSEMBLE_VIEWS of the network's configuration.
        batch: Clips in one forward pass.

    Returns:
        (number of videos in the file, [(path, reason)] of those that could not be read).

    Raises:
        ArgumentError: A number that makes no sense, or something else than paths.
        FeatureFileError: The network does not have the stage, or the file holds something else.
        UserError: There are no videos.
    """
    batch = whole("batch", batch)
    if views is not None:
        whole("views", views)
    meta = meta_of(model)
    paths, out = _paths(videos, meta.only_listens), path_text(out)
    for name, pathway in network_of(model).pathways.items():
        if not hasattr(pathway, stage):
            raise FeatureFileError(f"the {name} pathway has no stage {stage!r}; use one of {', '.join(STAGES)}")
    kind = _KINDS.get(os.path.splitext(out)[1].lower())
    if kind is None:
        raise FeatureFileError(f"{out}: name a .pt or .h5 file")
    os.makedirs(os.path.dirname(os.path.abspath(out)), exist_ok=True)
    file = kind(out, f"{meta.source or 'fresh weights'}; {stage}")
    failed = []
    try:
        for path in tqdm([path for path in paths if path not in file], desc="features", unit="video", disable=None):
            try:
                clips = meta.preprocess(path, views, crops=1)
            except DecodeError as error:
                failed.append((path, error.reason_for(path)))
                logger.warning("left out: %s", error)
                continue
            features = _pooled(model, clips, stage, batch)
            try:
                check_finite(features.values(), "features", path)
            except NotFiniteError as error:
                failed.append((path, str(error).removeprefix(f"{path}: ")))
                logger.warning("left out: %s", error)
                continue
            file.add(path, {**features, "start": clips["start"].float()})
    finally:
        file.close()
    return len(paths) - len(failed), failed


@torch.no_grad()
def _pooled(model: nn.Module, clips: dict[str, Tensor], stage: str, batch: int) -> dict[str, Tensor]:
    """{pathway: [clips, channels]} of a stage, on the CPU."""
    network, inputs = network_of(model), network_inputs(model, clips)
    with evaluating(network):
        parts = [network.pooled_features(part, stage) for part in chunks(inputs, len(clips["start"]), batch)]
    return {name: torch.cat([part[name] for part in parts]).float().cpu() for name in parts[0]}


def _paths(videos: Videos, sounds: bool) -> list[str]:
    """The files that are meant."""
    if not isinstance(videos, str | os.PathLike):
        if not isinstance(videos, Sequence | Set | Iterator) or isinstance(videos, bytes):
            raise ArgumentTypeError(
                f"videos is a {type(videos).__name__}; give a folder, a list file, or a list of paths"
            )
        return [str(path) for path in list_videos(list(videos), sounds)]
    if os.path.splitext(videos)[1].lower() not in (".csv", ".txt"):
        return [str(path) for path in list_videos([videos], sounds)]
    folder = os.path.dirname(os.path.abspath(videos))
    return [record.path for record in read_unlabelled(videos, prefix=folder)]
