"""A->FS, the paper's default (arXiv 2001.08740): audio joins Slow after Fast has joined it."""

from .base import AddedAudio


class AudioToFastSlow(AddedAudio):
    """Audio is added to Slow's features, those of the fused Fast pathway included."""
