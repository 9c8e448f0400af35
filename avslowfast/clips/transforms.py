"""Scale, crop, flip and augmentation of clips, each from explicit random draws."""

import numpy as np
import torch
from torchvision.transforms import v2

from ..media import Geometry


def scaled_size(height, width, short_side):
    """(height, width) with the given short side, proportions kept, whole pixels."""
    if height <= width:
        return short_side, max(short_side, round(width * short_side / height))
    return max(short_side, round(height * short_side / width)), short_side


def random_crop(rng, scales, crop, inverse=False):
    """Geometry of a training clip: short side drawn from `scales`, crop drawn from what that leaves.

    Args:
        scales: [smallest, largest] short side, pixels. crop: side of the crop, pixels.
        inverse: draw 1 / scale evenly (arXiv 1406.4729 style), not scale.
    """
    lo, hi = scales
    u = rng.random()
    short = round(1.0 / (1.0 / hi + u * (1.0 / lo - 1.0 / hi))) if inverse else round(lo + u * (hi - lo))
    y, x = rng.random(2)

    def geometry(height, width):
        h, w = scaled_size(height, width, short)
        return Geometry((h, w), (round(y * (h - crop)), round(x * (w - crop)), crop, crop))

    return geometry


def centre_crop(short_side, crop):
    """Geometry of a validation clip: fixed short side, crop from the middle."""

    def geometry(height, width):
        h, w = scaled_size(height, width, short_side)
        return Geometry((h, w), ((h - crop) // 2, (w - crop) // 2, crop, crop))

    return geometry


def only_scale(short_side):
    """Geometry of a test clip: fixed short side, whole picture; see `spatial_crops`."""
    return lambda height, width: Geometry(scaled_size(height, width, short_side))


def spatial_crops(frames_THWC, crop, num_crops):
    """Crops of a test clip: the centre (1), or both ends and the centre of the longer side (3): list of [T, crop, crop, 3]."""
    _, h, w, _ = frames_THWC.shape
    shares = (0.5,) if num_crops == 1 else (0.0, 0.5, 1.0)
    corners = [
        (round(s * (h - crop)), (w - crop) // 2) if h > w else ((h - crop) // 2, round(s * (w - crop))) for s in shares
    ]
    return [frames_THWC[:, y : y + crop, x : x + crop] for y, x in corners]


class Recorded:
    """A geometry that remembers what it said of the pictures of a video, in `geometry`."""

    def __init__(self, kind):
        self.kind = kind
        self.geometry = None

    def __call__(self, height, width):
        self.geometry = self.kind(height, width)
        return self.geometry


def move_boxes(boxes, geometry, flip=False):
    """Boxes where their pixels are after scale, crop and flip.

    Args:
        boxes: float [K, 4] (x1, y1, x2, y2), shares of the picture.

    Returns:
        (boxes in pixels of the result, clipped to it, float32 [K, 4]; whether anything of each is left, bool [K]).
    """
    height, width = geometry.size
    top, left, rows, columns = geometry.crop or (0, 0, height, width)
    moved = np.asarray(boxes, np.float32).reshape(-1, 4) * np.float32([width, height, width, height]) - np.float32(
        [left, top, left, top]
    )
    if flip:
        moved = np.stack([columns - moved[:, 2], moved[:, 1], columns - moved[:, 0], moved[:, 3]], axis=1)
    moved = np.clip(moved, 0, np.float32([columns, rows, columns, rows]))
    return moved, (moved[:, 2] > moved[:, 0]) & (moved[:, 3] > moved[:, 1])


class ColourJitter:
    """The same change of colour for all frames of a clip: brightness, contrast and saturation (unless `pca_only`), then along the
    principal components of the pixels (AlexNet, section 4.1).

    Args:
        eigenvalues: [3]; eigenvectors: [3][3], a row a channel. strength: spread of the shift along each.
    """

    def __init__(self, eigenvalues, eigenvectors, pca_only=True, strength=0.1):
        self.values, self.vectors = np.float32(eigenvalues), np.float32(eigenvectors)
        self.pca_only, self.strength = pca_only, strength
        self.jitter = v2.ColorJitter(0.4, 0.4, 0.4)

    def __call__(self, frames_THWC, rng):
        """[T, H, W, 3] uint8 -> the same shape."""
        frames = frames_THWC
        if not self.pca_only:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(int(rng.integers(2**31)))
                frames = (
                    self.jitter(torch.from_numpy(np.ascontiguousarray(frames.transpose(0, 3, 1, 2))))
                    .numpy()
                    .transpose(0, 2, 3, 1)
                )
        shift = self.vectors @ (self.values * rng.normal(0, self.strength, 3).astype(np.float32))
        return np.clip(frames + 255 * shift, 0, 255).astype(np.uint8)


def to_tensor(frames_THWC, flip=False, bgr=False):
    """Frames as the network takes them: uint8 [3, T, H, W], optionally flipped left to right or with channels B, G, R."""
    frames = frames_THWC[:, :, ::-1] if flip else frames_THWC
    frames = frames[..., ::-1] if bgr else frames
    return torch.from_numpy(np.ascontiguousarray(frames.transpose(3, 0, 1, 2)))


class RandAugment:
    """RandAugment (arXiv 1909.13719) by torchvision, the same operations for all frames of a clip.

    Args:
        setting: rand-m{magnitude 0..10}-n{operations}-mstd{spread of the magnitude}.
    """

    def __init__(self, setting):
        words = {}
        for word in setting.split("-"):
            name = word.rstrip("0123456789.")
            words[name] = word[len(name) :]
        self.magnitude = float(words["m"])
        self.num_ops = int(words.get("n") or 2)
        self.spread = float(words.get("mstd") or 0)

    def __call__(self, frames_THWC, rng):
        """[T, H, W, 3] uint8 -> the same shape."""
        magnitude = float(np.clip(self.magnitude + self.spread * rng.standard_normal(), 0, 10))
        augment = v2.RandAugment(self.num_ops, round(magnitude * 3), num_magnitude_bins=31)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**31)))
            x = augment(torch.from_numpy(np.ascontiguousarray(frames_THWC.transpose(0, 3, 1, 2))))
        return x.numpy().transpose(0, 2, 3, 1)
