"""A->F->S (arXiv 2001.08740): audio joins Fast, which then joins Slow."""

from .base import AddedAudio


class AudioToFastToSlow(AddedAudio):
    """Audio is added to Fast's features before F->S carries them to Slow."""
