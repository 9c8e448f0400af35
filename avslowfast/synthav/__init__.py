"""SynthAV: the data set that ships with the code, rendered as real files (H.264 + AAC in mp4)."""

from .make import render_dataset, RenderSummary, SynthAVError, VARIANTS
from .render import class_names, Clip, render_clip

__all__ = ["VARIANTS", "Clip", "RenderSummary", "SynthAVError", "class_names", "render_clip", "render_dataset"]
