"""Features of many videos into one file, resumable."""

import os

import torch
from tqdm import tqdm

from ..checkpoint import read_checkpoint, states
from ..media import DecodeError
from ..preparation.folders import list_videos
from ..utils.batches import pieces
from ..utils.errors import UserError
from ..utils.logging import get_logger

logger = get_logger(__name__)

# A .pt file is written anew after so many videos, and at the end.
_SAVE_EVERY = 50


class FeatureFileError(UserError, ValueError):
    """A file that features cannot be written to; the message says why."""


class _TorchFile:
    """{path: {pathway: tensor}} in a file of torch."""

    def __init__(self, path, about):
        self.path, self.about, self.content = path, about, {}
        if os.path.exists(path):
            found = read_checkpoint(path)
            if not isinstance(found, dict) or found.get("about") != about:
                raise FeatureFileError(
                    f"{path}: holds other things than features of this network at this stage; choose another file"
                )
            self.content = found["features"]

    def __contains__(self, key):
        return key in self.content

    def add(self, key, features):
        """Keep a video's features."""
        self.content[key] = features
        if len(self.content) % _SAVE_EVERY == 0:
            self.close()

    def close(self):
        """Write all there is."""
        states.save({"about": self.about, "features": self.content}, self.path)


class _HDF5File:
    """A group a video, a data set a pathway."""

    def __init__(self, path, about):
        try:
            import h5py
        except ImportError:
            raise FeatureFileError(
                f"{path}: HDF5 files need the package h5py: pip install h5py; or name a .pt file"
            ) from None
        try:
            self.file = h5py.File(path, "a")
        except OSError as error:
            raise FeatureFileError(f"{path}: not an HDF5 file ({error})") from None
        if self.file.attrs.get("about", about) != about:
            self.file.close()
            raise FeatureFileError(f"{path}: holds features of another network or stage; choose another file")
        self.file.attrs["about"] = about

    def __contains__(self, key):
        # Written last, so that a group without it is one that was cut off.
        return _h5_name(key) in self.file and "whole" in self.file[_h5_name(key)].attrs

    def add(self, key, features):
        """Write a video's features at once."""
        if _h5_name(key) in self.file:
            del self.file[_h5_name(key)]
        group = self.file.create_group(_h5_name(key))
        for name, value in features.items():
            group.create_dataset(name, data=value.numpy())
        group.attrs.update(path=key, whole=True)
        self.file.flush()

    def close(self):
        """Close the file."""
        self.file.close()


def _h5_name(path):
    # A slash would make groups within groups.
    return path.replace("/", "|")


@torch.no_grad()
def extract_features(model, videos, stage="res5", out="features.pt", views=None, batch=8):
    """Features of a stage for each video, averaged over all positions; goes on where an earlier call was interrupted.

    Args:
        model: from `avslowfast.load_model`.
        videos: a folder, a list of files and folders, or a list file (a path a line; what follows a space as a class id is passed over).
        stage: pool1 | res2 | res3 | res4 | res5.
        out: .pt: {"features": {path: {"slow": [views, C], "fast", "audio", "start": [views]}}, "about"}; .h5: a group a video (slashes of its
            path written as |), a data set a pathway. Pathways that the network has.
        views: clips over each video's length; None takes the configuration's. batch: clips in a forward pass.

    Returns:
        (number of videos in the file, [(path, reason)] of those that could not be read).

    Raises:
        UserError: no videos, a stage that the network does not have, or a file that holds something else.
    """
    paths = _paths(videos)
    lacking = [name for name, pathway in model.pathways.items() if not hasattr(pathway, stage)]
    if lacking:
        raise FeatureFileError(
            f"the {lacking[0]} pathway has no stage {stage!r}; use one of pool1, res2, res3, res4, res5"
        )
    about = f"{model.meta.source or 'fresh weights'}; {stage}"
    kind = {".pt": _TorchFile, ".h5": _HDF5File}.get(os.path.splitext(out)[1].lower())
    if kind is None:
        raise FeatureFileError(f"{out}: name a .pt or .h5 file")
    device, failed = next(model.parameters()).device, []
    os.makedirs(os.path.dirname(os.path.abspath(out)), exist_ok=True)
    file = kind(out, about)
    waiting = [path for path in paths if path not in file]
    try:
        for path in tqdm(waiting, desc="features", unit="video", disable=None):
            try:
                inputs = model.meta.preprocess(path, views, crops=1)
            except DecodeError as error:
                failed.append((path, str(error)))
                logger.warning("left out: %s", error)
                continue
            tensors = {name: value.to(device) for name, value in inputs.items() if name != "start"}
            parts = [model.pooled_features(piece, stage) for piece in pieces(tensors, len(inputs["start"]), batch)]
            found = {name: torch.cat([part[name] for part in parts]).float().cpu() for name in parts[0]}
            file.add(path, {**found, "start": inputs["start"].float()})
    finally:
        file.close()
    return len(paths) - len(failed), failed


def _paths(videos):
    if isinstance(videos, (str, os.PathLike)) and os.path.splitext(videos)[1].lower() in (".csv", ".txt"):
        with open(videos, encoding="utf-8") as f:
            lines = [line.strip() for line in f if line.strip()]
        stripped = [
            head if found and tail.isdigit() else line for line in lines for head, found, tail in [line.rpartition(" ")]
        ]
        folder = os.path.dirname(os.path.abspath(videos))
        return [os.path.join(folder, line) for line in stripped]
    return [str(path) for path in list_videos([videos] if isinstance(videos, (str, os.PathLike)) else list(videos))]
