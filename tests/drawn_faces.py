"""A face by ruler and compass, framed for the network: what tampering needs, without any data."""

import numpy as np
import torch

from facekit import au_masks
from training.draws import Draws
from training.faces import Framed


def _arc(cx, cy, a, b, degrees):
    turn = np.deg2rad(degrees)
    return np.stack([cx + a * np.cos(turn), cy + b * np.sin(turn)], -1)


def points(size_px=224):
    """(68, 2) float32 of an upright face in a crop of 224 pixels, or of another size."""
    eye = [180, 240, 300, 0, 60, 120]
    drawn = np.concatenate(
        [
            _arc(112, 95, 70, 100, np.linspace(180, 0, 17)),
            [(60, 80), (70, 74), (80, 73), (88, 75), (96, 79)],
            [(128, 79), (136, 75), (144, 73), (154, 74), (164, 80)],
            [(112, 100), (112, 110), (112, 120), (112, 130)],
            [(100, 134), (106, 136), (112, 138), (118, 136), (124, 134)],
            _arc(84, 100, 12, 6, eye),
            _arc(140, 100, 12, 6, eye),
            _arc(112, 160, 24, 10, np.arange(180, 540, 30)),
            _arc(112, 160, 16, 4, np.arange(180, 540, 45)),
        ]
    )
    return ((drawn + 0.5) * (size_px / 224) - 0.5).astype(np.float32)


def picture(count, size_px, seed=0):
    """(N, 3, S, S) float32 in 0..1: smooth, with some grain, no two alike."""
    drawn = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 8, 8, generator=drawn)
    smooth = torch.nn.functional.interpolate(coarse, size=(size_px, size_px), mode="bicubic")
    grain = 0.1 * torch.randn(count, 3, size_px, size_px, generator=drawn)
    return (0.6 * smooth + 0.2 + grain).clamp(0, 1)


def framed(count, size_px=64, seed=0):
    """That many faces, shaken a little, with samples 10, 11, ..."""
    rng = np.random.default_rng(seed)
    shaken = points(size_px) + rng.normal(0, size_px / 150, (count, 68, 2)).astype(np.float32)
    index = torch.arange(count)
    return Framed(
        image_NCHW=picture(count, size_px, seed),
        landmarks_NP2=torch.from_numpy(shaken),
        ellipses_NE5=torch.from_numpy(au_masks.ellipses(shaken)),
        label_N=torch.zeros_like(index),
        video_N=index,
        sample_N=index + 10,
    )


def draws(count, seed=0):
    """The draws of samples 10, 11, ..."""
    return Draws(seed, 0, torch.arange(count) + 10)
