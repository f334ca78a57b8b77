"""The descriptor: dlib's on OpenFace's own crops, and a slow reading of its definition."""

import numpy as np
import pytest
import torch

from facekit.openface.fhog import Fhog

UNIT_X = (1, 0.9397, 0.7660, 0.5, 0.1736, -0.1736, -0.5, -0.7660, -0.9397)
UNIT_Y = (0, 0.3420, 0.6428, 0.8660, 0.9848, 0.9848, 0.8660, 0.6428, 0.3420)
UNIT_XY = np.stack([UNIT_X, UNIT_Y], axis=1)


def _gradient(img_CHW, y, x):
    """The steepest colour's: of equal ones blue's, towards the right edge red's."""
    colours = (2, 1, 0) if x <= 104 else (0, 1, 2)
    best = (-1, 0, 0)
    for colour in colours:
        gx = int(img_CHW[colour, y, x + 1]) - int(img_CHW[colour, y, x - 1])
        gy = int(img_CHW[colour, y + 1, x]) - int(img_CHW[colour, y - 1, x])
        if gx * gx + gy * gy > best[0]:
            best = (gx * gx + gy * gy, gx, gy)
    return best[1:]


def _slowly(img_CHW):
    votes = np.zeros((16, 16, 18))  # cells from -1 to 14
    for y in range(1, 111):
        for x in range(1, 111):
            gradient = _gradient(img_CHW, y, x)
            dots = UNIT_XY @ gradient
            direction, most = 0, 0.0
            for number, dot in enumerate(dots):
                for found, value in ((number, dot), (number + 9, -dot)):
                    if value > most:
                        direction, most = found, value
            (iy, fy), (ix, fx) = (divmod((p + 0.5) / 8 - 0.5 + 1, 1) for p in (y, x))
            for down, share_y in ((0, 1 - fy), (1, fy)):
                for right, share_x in ((0, 1 - fx), (1, fx)):
                    cell = votes[int(iy) + down, int(ix) + right]
                    cell[direction] += np.hypot(*gradient) * share_y * share_x
    votes = votes[1:-1, 1:-1]
    energy = ((votes[..., :9] + votes[..., 9:]) ** 2).sum(-1)
    found = np.zeros((12, 12, 31))
    for r in range(1, 13):
        for c in range(1, 13):
            signed = votes[r, c]
            both = np.concatenate([signed, signed[:9] + signed[9:]])
            for k, (up, left) in enumerate([(0, 0), (1, 0), (0, 1), (1, 1)]):
                block = energy[r - up : r - up + 2, c - left : c - left + 2].sum()
                limit = 0.2 * np.sqrt(block + 1e-4)
                clipped = np.minimum(both, limit) * 0.1 / limit
                found[r - 1, c - 1, :27] += clipped
                found[r - 1, c - 1, 27 + k] = 0.4714 * clipped[:18].sum()
    return found.ravel()


@pytest.fixture(scope="module")
def fhog(cpu):
    return Fhog(cpu)


def test_the_descriptor_is_that_of_dlib(reference, fhog):
    img_NCHW = torch.tensor(reference.arrays["aligned_bgr"][..., ::-1].transpose(0, 3, 1, 2).copy())
    ours = fhog(img_NCHW.to(torch.int16))
    np.testing.assert_allclose(ours, reference.arrays["fhog"], atol=1e-6)


@pytest.mark.parametrize("levels", [3, 255])
def test_the_descriptor_is_as_defined(fhog, levels):
    """With few grey levels, most pixels have colours that are equally steep."""
    rng = np.random.default_rng(levels)
    img_CHW = rng.integers(0, levels + 1, (3, 112, 112)) * (255 // levels)
    img_CHW[:, 40:60, 30:50] = 77
    ours = fhog(torch.tensor(img_CHW)[None].to(torch.int16))[0]
    np.testing.assert_allclose(ours, _slowly(img_CHW), atol=2e-6)


def test_black_gives_nothing(fhog):
    assert not fhog(torch.zeros(2, 3, 112, 112, dtype=torch.int16)).any()


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_a_descriptor_does_not_hang_on_the_faces_beside_it(fhog, at_once):
    rng = np.random.default_rng(1)
    img_NCHW = torch.tensor(rng.integers(0, 256, (7, 3, 112, 112))).to(torch.int16)
    apart = [fhog(img_NCHW[start : start + at_once]) for start in range(0, 7, at_once)]
    assert torch.equal(torch.cat(apart), fhog(img_NCHW))
