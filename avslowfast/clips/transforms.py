"""Scale, crop, flip and augmentation of clips, each from explicit random draws."""

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from ..media.pixels import ChooseGeometry, Geometry


def scaled_size(height: int, width: int, short_side: int) -> tuple[int, int]:
    """(height, width) with the given short side, proportions kept, whole pixels."""
    if height <= width:
        return short_side, max(short_side, round(width * short_side / height))
    return max(short_side, round(height * short_side / width)), short_side


def random_crop(rng: np.random.Generator, scales: tuple[int, int], crop: int, inverse: bool = False) -> ChooseGeometry:
    """Geometry of a training clip: the short side is drawn from `scales`, the crop's place from what that leaves.

    Args:
        rng: Source of the draws.
        scales: Smallest and largest short side, pixels.
        crop: Side of the crop, pixels.
        inverse: Draw 1 / scale evenly (as in arXiv 1406.4729), not scale.
    """
    lo, hi = scales
    u = rng.random()
    short = round(1.0 / (1.0 / hi + u * (1.0 / lo - 1.0 / hi))) if inverse else round(lo + u * (hi - lo))
    y, x = rng.random(2)

    def geometry(height: int, width: int) -> Geometry:
        h, w = scaled_size(height, width, short)
        return Geometry((h, w), (round(y * (h - crop)), round(x * (w - crop)), crop, crop))

    return geometry


def centre_crop(short_side: int, crop: int) -> ChooseGeometry:
    """Geometry of a validation clip: fixed short side, crop from the middle."""

    def geometry(height: int, width: int) -> Geometry:
        h, w = scaled_size(height, width, short_side)
        return Geometry((h, w), ((h - crop) // 2, (w - crop) // 2, crop, crop))

    return geometry


def only_scale(short_side: int) -> ChooseGeometry:
    """Geometry of a test clip: fixed short side, whole frame; see `spatial_crops`."""
    return lambda height, width: Geometry(scaled_size(height, width, short_side))


def view_crops(crop: int, num_crops: int) -> ChooseGeometry:
    """Geometry of a test clip: the short side is that of the crops, and no more is kept than `spatial_crops` takes.

    Args:
        crop: Side of the crops, pixels.
        num_crops: 1 or 3.
    """

    def geometry(height: int, width: int) -> Geometry:
        size = scaled_size(height, width, crop)
        # Crops of ordinary frames overlap: these need less memory as they are.
        if num_crops > 1 and max(size) <= num_crops * crop:
            return Geometry(size)
        (top, left), *others = _corners(*size, crop, num_crops)
        return Geometry(size, (top, left, crop, crop), tuple(others))

    return geometry


def _corners(height: int, width: int, crop: int, num_crops: int) -> list[tuple[int, int]]:
    """(top, left) of the crops of a test clip: the centre (1), or both ends and the centre of the longer side (3)."""
    shares = (0.5,) if num_crops == 1 else (0.0, 0.5, 1.0)
    if height > width:
        return [(round(s * (height - crop)), (width - crop) // 2) for s in shares]
    return [((height - crop) // 2, round(s * (width - crop))) for s in shares]


def spatial_crops(frames_THWC: NDArray[np.uint8], crop: int, num_crops: int) -> list[NDArray[np.uint8]]:
    """Crops of a test clip: the centre (1), or both ends and the centre of the longer side (3).

    Args:
        frames_THWC: Frames, [T, H, W, 3], whole or as `view_crops` keeps them.
        crop: Side of the crop, pixels.
        num_crops: 1 or 3.

    Returns:
        Arrays [T, crop, crop, 3] that share the frames' memory.
    """
    _, h, w, _ = frames_THWC.shape
    return [frames_THWC[:, y : y + crop, x : x + crop] for y, x in _corners(h, w, crop, num_crops)]


class RecordedGeometry:
    """A geometry that remembers what it chose for the frames of a video.

    Args:
        choose: What is asked.
    """

    def __init__(self, choose: ChooseGeometry) -> None:
        self._choose = choose
        self._chosen: Geometry | None = None

    def __call__(self, height: int, width: int) -> Geometry:
        """Ask, and remember the answer."""
        self._chosen = self._choose(height, width)
        return self._chosen

    @property
    def chosen(self) -> Geometry:
        """What was chosen.

        Raises:
            RuntimeError: No frames have been read with it.
        """
        if self._chosen is None:
            raise RuntimeError("no frames have been read with this geometry yet")
        return self._chosen


def move_boxes(
    boxes: ArrayLike, geometry: Geometry, flip: bool = False
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Boxes where their pixels are after scale, crop and flip.

    Args:
        boxes: (x1, y1, x2, y2) as shares of the frame, float [K, 4].
        geometry: Scale and crop of the frames.
        flip: Whether the frames are flipped left to right.

    Returns:
        (boxes in pixels of the result, clipped to it, float32 [K, 4]; whether anything of each box is left, bool [K]).
    """
    height, width = geometry.size
    top, left, rows, columns = geometry.crop or (0, 0, height, width)
    scale = np.array([width, height, width, height], np.float32)
    corner = np.array([left, top, left, top], np.float32)
    moved = np.asarray(boxes, np.float32).reshape(-1, 4) * scale - corner
    if flip:
        moved = np.stack([columns - moved[:, 2], moved[:, 1], columns - moved[:, 0], moved[:, 3]], axis=1)
    moved = np.clip(moved, 0, np.array([columns, rows, columns, rows], np.float32))
    return moved, (moved[:, 2] > moved[:, 0]) & (moved[:, 3] > moved[:, 1])


def to_tensor(frames_THWC: NDArray[np.uint8], flip: bool = False, bgr: bool = False) -> torch.Tensor:
    """Frames as the network takes them: uint8 [3, T, H, W].

    Args:
        frames_THWC: RGB frames, [T, H, W, 3].
        flip: Flip left to right.
        bgr: Put the channels in the order B, G, R.
    """
    frames = frames_THWC[:, :, ::-1] if flip else frames_THWC
    frames = frames[..., ::-1] if bgr else frames
    return torch.from_numpy(np.ascontiguousarray(frames.transpose(3, 0, 1, 2)))


class ColourJitter:
    """The same change of colour for all frames of a clip.

    Brightness, contrast and saturation change first (unless `pca_only`), then the colour moves along the principal
    components of the pixels (AlexNet).

    Args:
        eigenvalues: Of the pixels' covariance, [3].
        eigenvectors: Its eigenvectors, [3][3], one row per channel.
        pca_only: Leave brightness, contrast and saturation as they are.
        strength: Spread of the shift along each component.
    """

    def __init__(
        self, eigenvalues: ArrayLike, eigenvectors: ArrayLike, pca_only: bool = True, strength: float = 0.1
    ) -> None:
        self._values = np.asarray(eigenvalues, np.float32)
        self._vectors = np.asarray(eigenvectors, np.float32)
        self._strength = strength
        self._jitter = None
        if not pca_only:
            # Takes a second to import, and few runs need it.
            from torchvision.transforms import v2

            self._jitter = v2.ColorJitter(0.4, 0.4, 0.4)

    def __call__(self, frames_THWC: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """[T, H, W, 3] uint8 -> the same shape."""
        frames = frames_THWC
        if self._jitter is not None:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(int(rng.integers(2**31)))
                frames = _channels_last(self._jitter(_channels_first(frames)))
        shift = self._vectors @ (self._values * rng.normal(0, self._strength, 3).astype(np.float32))
        return np.clip(frames + 255 * shift, 0, 255).astype(np.uint8)


class RandAugment:
    """RandAugment (arXiv 1909.13719) by torchvision, the same operations for all frames of a clip.

    Args:
        setting: rand-m{magnitude 0..10}-n{operations}-mstd{spread of the magnitude}.
    """

    def __init__(self, setting: str) -> None:
        # Imported here and not in the workers, which inherit it.
        from torchvision.transforms import v2

        words = {}
        for word in setting.split("-"):
            name = word.rstrip("0123456789.")
            words[name] = word[len(name) :]
        self._magnitude = float(words["m"])
        self._num_ops = int(words.get("n") or 2)
        self._spread = float(words.get("mstd") or 0)
        self._kind = v2.RandAugment

    def __call__(self, frames_THWC: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """[T, H, W, 3] uint8 -> the same shape."""
        magnitude = float(np.clip(self._magnitude + self._spread * rng.standard_normal(), 0, 10))
        augment = self._kind(self._num_ops, round(magnitude * 3), num_magnitude_bins=31)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**31)))
            return _channels_last(augment(_channels_first(frames_THWC)))


def _channels_first(frames_THWC: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(frames_THWC.transpose(0, 3, 1, 2)))


def _channels_last(frames_TCHW: torch.Tensor) -> NDArray[np.uint8]:
    frames: NDArray[np.uint8] = frames_TCHW.numpy().transpose(0, 2, 3, 1)
    return frames
