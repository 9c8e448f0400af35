"""Batches of clips: several clips may share one clip's audio, and each has its boxes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

# Tensors with one row per audio input, where "audio_index" says which of them each clip hears.
_AUDIO = ("audio", "waveform")


def chunks(batch: Mapping[str, Any], count: int, size: int) -> Iterator[dict[str, torch.Tensor]]:
    """A batch in chunks of at most `size` clips.

    What has no row per clip is left out, and so is audio that no clip of a chunk hears.

    Args:
        batch: {name: tensor or anything}. With "audio_index" [clips] the tensors named audio... and waveform... have
            one row per audio input.
        count: Clips in the batch.
        size: Clips in a chunk, at most.

    Yields:
        {name: tensor} of a chunk, with an "audio_index" into its audio.
    """
    index = batch.get("audio_index")
    for first in range(0, count, size):
        part = slice(first, first + size)
        chunk = {
            name: value[part]
            for name, value in batch.items()
            if isinstance(value, torch.Tensor) and value.dim() > 0 and len(value) == count
        }
        if index is not None:
            rows, chunk_index = torch.unique(index[part], return_inverse=True)
            for name, value in batch.items():
                if isinstance(value, torch.Tensor) and name != "audio_index" and name.startswith(_AUDIO):
                    chunk[name] = value[rows]
            chunk["audio_index"] = chunk_index
        yield chunk


def numbered_boxes(boxes: Sequence[torch.Tensor]) -> torch.Tensor:
    """The boxes of several clips in a row, each with the number of its clip in front, as a network takes them.

    Args:
        boxes: [K, 4] of each clip.

    Returns:
        [sum of K, 5].
    """
    return torch.cat([torch.cat([torch.full((len(b), 1), float(i)), b], dim=1) for i, b in enumerate(boxes)])
