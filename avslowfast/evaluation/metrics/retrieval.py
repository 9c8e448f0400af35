"""Nearest-neighbour retrieval: how self-supervised features are judged without training anything."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def recall_at_k(
    queries: NDArray[Any],
    query_labels: NDArray[Any],
    gallery: NDArray[Any],
    gallery_labels: NDArray[Any],
    ks: Sequence[int] = (1, 5, 10),
) -> dict[int, float]:
    """Share of the queries one of whose k nearest gallery items has their class, in percent: {k: value}.

    Nearest by the cosine of features from which the gallery's mean is subtracted.

    Args:
        queries: [N, C].
        query_labels: [N] class ids.
        gallery: [M, C].
        gallery_labels: [M] class ids.
        ks: The values of k.
    """
    mean = gallery.mean(axis=0)
    a, b = ((x - mean) / np.maximum(np.linalg.norm(x - mean, axis=1, keepdims=True), 1e-12) for x in (queries, gallery))
    most = min(max(ks), len(gallery))
    nearest = np.argsort(-(a @ b.T), axis=1, kind="stable")[:, :most]
    right = gallery_labels[nearest] == query_labels[:, None]
    return {k: 100.0 * float(right[:, :k].any(axis=1).mean()) for k in ks}
