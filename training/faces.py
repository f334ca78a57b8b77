"""The nouns of a batch: faces as a shard holds them, and the same as the network sees them.

Letters: N faces, S side of a stored crop in pixels, C channels, H W rows and columns, P the 68
points, E the 24 ellipses.
"""

from dataclasses import dataclass, fields
from typing import Self

import torch


class _Rows:
    """Tensors whose first axis is one face each."""

    def __len__(self) -> int:
        first: torch.Tensor = getattr(self, fields(self)[0].name)  # type: ignore[arg-type]
        return len(first)

    def __getitem__(self, which: slice | torch.Tensor) -> Self:
        """Some of the faces: a slice, or a tensor of indices or of truth values."""
        told = {one.name: getattr(self, one.name)[which] for one in fields(self)}  # type: ignore[arg-type]
        return type(self)(**told)


@dataclass(frozen=True, kw_only=True)
class Faces(_Rows):
    """Faces as a shard holds them, on one device.

    Args:
        image_NHWC: (N, S, S, 3) uint8, RGB.
        landmarks_NP2: (N, 68, 2) float32, pixels of the stored crop; NaN where there are none.
        ellipses_NE5: (N, 24, 5) float32: cx, cy, a, b in pixels of the stored crop, theta in
            radians; all zero where there are none.
        margin_N: (N,) float32, side of the stored crop over the longer side of the face's box.
        label_N: (N,) int64: 0 real, 1 fake, -1 unknown.
        video_N: (N,) int64, row of `Table.videos`.
        sample_N: (N,) int64, row of `Table.samples`: what `Draws` knows a face by.

    >>> faces = blank(3, 32)
    >>> len(faces), faces[1:].image_NHWC.shape
    (3, torch.Size([2, 32, 32, 3]))
    """

    image_NHWC: torch.Tensor
    landmarks_NP2: torch.Tensor
    ellipses_NE5: torch.Tensor
    margin_N: torch.Tensor
    label_N: torch.Tensor
    video_N: torch.Tensor
    sample_N: torch.Tensor

    @property
    def size_px(self) -> int:
        """S."""
        return self.image_NHWC.shape[1]


@dataclass(frozen=True, kw_only=True)
class Framed(_Rows):
    """Faces framed for the network, on one device.

    Args:
        image_NCHW: (N, 3, H, W) float32, RGB, 0..1.
        landmarks_NP2: (N, 68, 2) float32, pixels of this image.
        ellipses_NE5: (N, 24, 5) float32: cx, cy, a, b in pixels of this image, theta in radians.
        label_N: (N,) int64: 0 real, 1 fake, -1 unknown.
        video_N: (N,) int64, row of `Table.videos`.
        sample_N: (N,) int64, row of `Table.samples`.
    """

    image_NCHW: torch.Tensor
    landmarks_NP2: torch.Tensor
    ellipses_NE5: torch.Tensor
    label_N: torch.Tensor
    video_N: torch.Tensor
    sample_N: torch.Tensor

    @property
    def size_px(self) -> int:
        """H and W."""
        return self.image_NCHW.shape[-1]


def blank(count: int, size_px: int, device: torch.device | str = "cpu") -> Faces:
    """Black faces without points, framed at margin 1: to warm up and to measure with.

    Args:
        count: N.
        size_px: S.
        device: where they lie.
    """
    index_N = torch.arange(count, device=device)
    return Faces(
        image_NHWC=torch.zeros(count, size_px, size_px, 3, dtype=torch.uint8, device=device),
        landmarks_NP2=torch.full((count, 68, 2), torch.nan, device=device),
        ellipses_NE5=torch.zeros(count, 24, 5, device=device),
        margin_N=torch.ones(count, device=device),
        label_N=torch.zeros_like(index_N),
        video_N=index_N,
        sample_N=index_N,
    )
