import torch

from training.draws import Draws
from training.faces import blank
from training.framing import frame
from training.options import Data


def test_no_faces():
    assert len(blank(0, 32)) == 0
    assert len(blank(0, 32)[:0]) == 0


def test_some_of_the_faces():
    faces = blank(5, 32)
    assert faces.size_px == 32
    for which in (slice(1, 5, 2), torch.tensor([1, 3]), torch.tensor([0, 1, 0, 1, 0]).bool()):
        some = faces[which]
        assert len(some) == 2
        assert some.sample_N.tolist() == some.video_N.tolist() == [1, 3]
        assert some.image_NHWC.shape == (2, 32, 32, 3)


def test_framed_faces_are_cut_the_same_way():
    faces = blank(4, 32)
    framed = frame(faces, 112, draws=Draws(0, 0, faces.sample_N), data=Data())
    assert framed.size_px == 112
    assert framed[2:].sample_N.tolist() == [2, 3]
    assert framed[2:].image_NCHW.shape == (2, 3, 112, 112)
