from pathlib import Path

import cv2
import numpy as np
import pytest

from facekit.faces import Face


def _face(image_HWC, box_xyxy):
    return Face(
        video=Path("clip.mp4"),
        frame_index=0,
        pts_s=0.0,
        track_id=0,
        image_HWC=image_HWC,
        box_xyxy=np.array(box_xyxy, np.float32),
        keypoints_xy=np.full((5, 2), np.nan, np.float32),
        score=1.0,
    )


def _spot(size_wh, centre_xy, sigma_px):
    """A black frame with one bright Gaussian spot: the only thing there that has a place."""
    x, y = np.meshgrid(np.arange(size_wh[0]), np.arange(size_wh[1]))
    distance = (x - centre_xy[0]) ** 2 + (y - centre_xy[1]) ** 2
    grey = 255 * np.exp(-distance / (2 * sigma_px**2))
    return np.repeat(grey.round().astype(np.uint8)[..., None], 3, axis=2)


@pytest.fixture(scope="session")
def face():
    """Makes a `Face` of a frame and a box."""
    return _face


@pytest.fixture(scope="session")
def spot():
    """Makes a frame with a spot at a known place."""
    return _spot


@pytest.fixture(scope="session")
def photograph(pyfeat_clips):
    """A real face on a real frame, RGB."""
    return cv2.imread(str(pyfeat_clips / "single_face.jpg"))[..., ::-1].copy()
