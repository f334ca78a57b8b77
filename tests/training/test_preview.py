"""The sheet of tampered faces is drawn from shards."""

import cv2
import drawn_faces
import numpy as np
import pytest
import synthetic_shards

from facekit import au_masks
from facekit.errors import BadInput
from training.config import Config
from training.options import Model, Tampering
from training.preview import preview_tampered

SMALL = Config(model=Model(size_px=112))


def _folder(path, labels):
    told = synthetic_shards.header()
    points = drawn_faces.points(synthetic_shards.SIDE_PX)[None]
    columns = synthetic_shards.faces(
        told,
        3,
        landmarks_xy=np.repeat(points, 3, 0),
        au_ellipses=np.repeat(au_masks.ellipses(points), 3, 0),
    )
    videos = [(f"set/{nth}", columns, {"label": label}) for nth, label in enumerate(labels)]
    return synthetic_shards.shards(path, told, videos)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return _folder(tmp_path_factory.mktemp("shards") / "a", (0, 1, 0))


def test_a_picture_is_written_whole_and_the_same_again(folder, tmp_path):
    paths = [
        preview_tampered(folder, tmp_path / name, faces=2, config=SMALL)
        for name in ("a.png", "b.png")
    ]
    assert cv2.imread(str(paths[0])).shape[1] == 1600
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_the_recipe_and_more_faces_make_another_sheet(folder, tmp_path):
    sbi = Config(model=SMALL.model, tampering=Tampering(recipe="sbi"))
    two, other, more = (
        cv2.imread(str(preview_tampered(folder, tmp_path / f"{n}.png", faces=n, config=config)))
        for n, config in ((2, SMALL), (1, sbi), (3, SMALL))
    )
    assert two.shape == other.shape
    assert (two != other).any()
    assert more.shape[0] > two.shape[0]


@pytest.mark.parametrize(("faces", "said"), [(0, "--faces"), (101, "--faces must lie in 1 to 100")])
def test_too_few_and_too_many_are_refused(folder, tmp_path, faces, said):
    with pytest.raises(BadInput, match=said):
        preview_tampered(folder, tmp_path / "a.png", faces=faces)


def test_fakes_alone_are_not_tampered_with(tmp_path):
    with pytest.raises(BadInput, match="no real face with landmarks, in 2 videos"):
        preview_tampered(_folder(tmp_path / "a", (1, 1)), tmp_path / "a.png")
