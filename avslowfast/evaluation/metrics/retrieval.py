"""Nearest-neighbour retrieval: how self-supervised features are judged without training anything."""

import numpy as np


def recall_at_k(queries, query_labels, gallery, gallery_labels, ks=(1, 5, 10)):
    """Share of the queries one of whose k nearest gallery items has their class, in percent: {k: value}.

    Nearest by the cosine of features from which the gallery's mean is taken off.

    Args:
        queries: [N, C]; gallery: [M, C]. query_labels: [N]; gallery_labels: [M] class ids.
    """
    mean = gallery.mean(axis=0)
    a, b = ((x - mean) / np.maximum(np.linalg.norm(x - mean, axis=1, keepdims=True), 1e-12) for x in (queries, gallery))
    most = min(max(ks), len(gallery))
    nearest = np.argsort(-(a @ b.T), axis=1, kind="stable")[:, :most]
    right = gallery_labels[nearest] == query_labels[:, None]
    return {k: 100.0 * float(right[:, :k].any(axis=1).mean()) for k in ks}
