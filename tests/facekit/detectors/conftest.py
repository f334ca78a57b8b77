"""Real frames and pictures for the detectors."""

import av
import cv2
import numpy as np
import pytest

CLIPS = (
    "original_sequences/youtube/c23/videos/035.mp4",
    "manipulated_sequences/Deepfakes/c23/videos/055_147.mp4",
    "manipulated_sequences/Face2Face/c23/videos/044_945.mp4",
    "manipulated_sequences/Deepfakes/c23/videos/994_986.mp4",
)


@pytest.fixture(autouse=True)
def nothing_else_at_hand(monkeypatch, tmp_path):
    """Models come from FACEKIT_WEIGHTS, if it is set, and from nowhere else."""
    monkeypatch.setenv("FACEKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FACEKIT_OFFLINE", "1")


@pytest.fixture(scope="session")
def frames(data_dir):
    """The first frame of four clips, (H, W, 3) RGB, of several sizes, one face each."""
    made = []
    for name in CLIPS:
        with av.open(str(data_dir / "ffpp" / name)) as container:
            made.append(next(container.decode(video=0)).to_ndarray(format="rgb24"))
    return made


@pytest.fixture(scope="session")
def group(pyfeat_clips):
    """A photograph of several people, (H, W, 3) RGB."""
    return np.ascontiguousarray(cv2.imread(str(pyfeat_clips / "multi_face.jpg"))[..., ::-1])


@pytest.fixture(scope="session")
def single(pyfeat_clips):
    """A photograph of one person looking at the camera, (H, W, 3) RGB."""
    return np.ascontiguousarray(cv2.imread(str(pyfeat_clips / "single_face.jpg"))[..., ::-1])
