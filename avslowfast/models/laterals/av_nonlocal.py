"""Audiovisual non-local attention as a lateral (arXiv 2001.08740)."""

from torch import nn, Tensor

from ..masking import zero_clips_without_audio
from ..nonlocal_block import attend
from ..norm import NormSpec
from .base import AudioLateral, LateralGeometry


class AudiovisualNonLocal(AudioLateral):
    """Audio steps query the visual positions (T, H, W).

    What they gather is projected, averaged to Slow's time steps and added to Slow. The last batch norm starts at
    zero, so at first the visual pathway is undisturbed.

    Args:
        geometry: What the lateral connects.
        norm: Makes its batch norm.
        inplace: Not used; this lateral has no ReLU.
        kind: How affinities are normalised, see `attend`.
    """

    starts_at_zero = ("bn",)

    def __init__(
        self, geometry: LateralGeometry, norm: NormSpec, inplace: bool = True, *, kind: str = "softmax"
    ) -> None:
        super().__init__(geometry, norm, inplace)
        dim_visual, inner = geometry.dim_visual, max(geometry.dim_audio // 2, 1)
        self.query = nn.Conv1d(geometry.dim_audio, inner, 1)
        self.key = nn.Conv3d(dim_visual, inner, 1)
        self.value = nn.Conv3d(dim_visual, inner, 1)
        self.align = nn.AvgPool1d(geometry.stride, geometry.stride)
        self.out = nn.Conv1d(inner, dim_visual, 1)
        self.bn = norm(dim_visual, 1)
        self.pool = nn.MaxPool3d((1, 2, 2), (1, 2, 2), ceil_mode=True)
        self.kind = kind
        self.dim_encoded = inner

    def encode(self, x_BCTF: Tensor) -> Tensor:
        """[B, C, T, F] -> queries [B, C/2, T], one per audio step."""
        queries: Tensor = self.query(x_BCTF.mean(dim=3))
        return queries

    def fuse(self, x_visual: Tensor, encoded: Tensor, audio_mask: Tensor | None = None) -> Tensor:
        """See `AudioLateral.fuse`; `encoded` are the queries."""
        pooled = self.pool(x_visual)
        gathered = attend(encoded, self.key(pooled).flatten(2), self.value(pooled).flatten(2), self.kind)
        added = self.bn(self.out(self.align(gathered)))
        return x_visual + zero_clips_without_audio(added, audio_mask)[..., None, None]
