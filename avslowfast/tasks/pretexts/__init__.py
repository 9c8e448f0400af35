"""Pretexts: what a network can learn from clips without labels, one file each, registered in PRETEXTS."""

from .base import Draw, Pretext, VariantPretext

__all__ = ["Draw", "Pretext", "VariantPretext"]
