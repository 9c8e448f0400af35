"""Batches of clips in which several clips may share one sound."""

import torch

# Tensors with a row a sound, where "audio_index" says which one each clip hears.
_SOUND = ("audio", "waveform")


def pieces(batch, count, size):
    """A batch in pieces of at most `size` clips; what has no row a clip is left out, sounds that no clip of a piece hears are too.

    Args:
        batch: {name: tensor or anything}; `count` clips. With "audio_index" [clips] the tensors named audio... and waveform... have a row a sound.
    """
    index = batch.get("audio_index")
    for first in range(0, count, size):
        part = slice(first, first + size)
        rows = None
        if index is not None:
            rows, own = torch.unique(index[part], return_inverse=True)
        piece = {}
        for name, value in batch.items():
            if not isinstance(value, torch.Tensor) or value.dim() == 0:
                continue
            if index is not None and name != "audio_index" and name.startswith(_SOUND):
                piece[name] = value[rows]
            elif len(value) == count:
                piece[name] = value[part]
        if index is not None:
            piece["audio_index"] = own
        yield piece
