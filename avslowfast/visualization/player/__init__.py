"""A page to play with: a video with its sound and what a network makes of it, in one file that needs nothing else."""

from .page import PlayerPage, write_player

__all__ = ["PlayerPage", "write_player"]
